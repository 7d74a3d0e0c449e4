"""What a run will need, from a few measured steps on made-up data of the right shape."""

import copy
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from armillary.core import Batch, Trainable, seeded, to_bytes
from armillary.data.shape import DataShape
from armillary.train.config import TrainConfig
from armillary.train.distributed import choose_device, choose_precision
from armillary.train.optimizers import build_optimizer
from armillary.train.schedule import Stretch, lay_out

_BYTES_PER_ROW = 400  # one line of metrics.jsonl and its twin in TensorBoard


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Needs of a whole run. RAM is the process's peak, Python and torch included; VRAM is 0 without a GPU."""

    parameters: int
    ram_bytes: int
    vram_bytes: int
    disk_bytes: int
    seconds: float
    seconds_by_phase: Mapping[str, float]
    device: str


def estimate_cost(world: nn.Module, *, shape: DataShape, config: TrainConfig, cache_bytes: int = 0, measured_steps: int = 3) -> Cost:
    """Run `measured_steps` steps of every phase on a copy of `world` and extrapolate; nothing is written.

    `cache_bytes` is what the frame cache will take, if it is still to be built.
    """
    if not (isinstance(world, nn.Module) and isinstance(world, Trainable)):
        raise TypeError(f"a cost can be estimated for an nn.Module that is Trainable; received {type(world).__name__}")
    device = choose_device(config)
    trial = copy.deepcopy(world).to(device)
    weights = _bytes(trial.state_dict().values())
    seconds, memory = {}, 0
    for stretch in lay_out(trial.phases(), config.steps):
        step, look, state = _measure(trial, stretch, shape, config, device, measured_steps)
        looks = config.validation_batches * (stretch.num_steps // config.validate_every if config.validate_every else 1)
        seconds[stretch.phase.name] = step * stretch.num_steps + look * looks
        memory = max(memory, state)
    kept = config.keep_checkpoints + 1  # one more lies there while it is being written
    averages = weights if config.ema_decay else 0
    return Cost(
        parameters=sum(parameter.numel() for parameter in world.parameters()),
        ram_bytes=_peak_ram(),
        vram_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
        disk_bytes=kept * (weights + averages + memory) + 2 * weights + config.steps * _BYTES_PER_ROW + cache_bytes,
        seconds=sum(seconds.values()),
        seconds_by_phase=seconds,
        device=str(device),
    )


def _measure(world: nn.Module, stretch: Stretch, shape: DataShape, config: TrainConfig, device, count: int) -> tuple[float, float, int]:
    """Seconds of a training step and of a look at a validation batch, and bytes of optimiser memory."""
    world.begin_phase(stretch.phase.name)
    world.train()
    trained = [parameter for parameter in world.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(trained, config, stretch.phase.learning_rate)
    batch = _made_up(shape, stretch).to(device)
    dtype = choose_precision(config, device)

    def loss():
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            return world.loss(batch, seeded(0, device)).total

    def step():
        loss().backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        world.after_step()

    step()
    per_step = _timed(step, count, device)
    with torch.no_grad():
        per_look = _timed(loss, 1, device)
    memory = _bytes(value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor))
    return per_step, per_look, memory


def _timed(action, count: int, device: torch.device) -> float:
    started = time.perf_counter()
    for _ in range(count):
        action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / count


def _made_up(shape: DataShape, stretch: Stretch) -> Batch:
    rows, steps, rng = stretch.phase.batch_size, stretch.phase.num_frames, seeded(0)
    return Batch(
        frames=torch.rand(rows, steps, 3, shape.height, shape.width, generator=rng),
        actions=torch.randn(rows, steps, shape.action_size, generator=rng),
        rewards=torch.zeros(rows, steps) if shape.has_rewards else None,
        terminated=torch.zeros(rows, steps, dtype=torch.bool) if shape.has_rewards else None,
        text=to_bytes(["a made-up task"] * rows) if shape.has_text else None,
        captions=to_bytes(["a made-up event"] * rows * steps).unflatten(0, (rows, steps)) if shape.captions else None,
        episode=torch.zeros(rows, dtype=torch.long),
        seconds_per_step=shape.seconds_per_step,
    )


def _bytes(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _peak_ram() -> int:
    """The most memory this process ever held; the kernel counts kilobytes, but bytes on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
