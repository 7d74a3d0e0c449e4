"""The one training loop: every world with weights is fitted here."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from armillary.core import Batch, CheckpointError, ConfigError, Episode, InterruptedRun, Renders, Trainable, TrainingError, seeded
from armillary.data.windows import WindowLoader, WindowSampler
from armillary.nn.ema import Ema
from armillary.train import distributed
from armillary.train.checkpoint import TrainingState, load_weights, read_state, read_tensors, save_best, save_checkpoint
from armillary.train.compiling import compiled
from armillary.train.config import TrainConfig
from armillary.train.distributed import Group
from armillary.train.interrupt import Interrupts
from armillary.train.optimizers import build_optimizer, optimizer_tensors, restore_optimizer
from armillary.train.progress import Progress, Stopwatch
from armillary.train.recorder import Recorder
from armillary.train.run import RunFolder
from armillary.train.schedule import Stretch, lay_out, learning_rate, mixed_seed
from armillary.train.tensors import read_whole, whole_weights, write_weights, write_whole
from armillary.train.validation import ValidationSet

logger = logging.getLogger(__name__)
_UNAVERAGED = "unaveraged|"
_OPTIMIZER = "optimizer|"


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a finished run achieved, and where its weights are."""

    steps: int
    seconds: float
    best_step: int | None
    best_validation_loss: float | None
    latest_weights: Path
    best_weights: Path
    renders: bool
    diagnosis: str = ""  # what the world itself finds wrong with what it learned


def fit(
    world: nn.Module,
    *,
    run: RunFolder,
    train_episodes: Sequence[Episode],
    validation_episodes: Sequence[Episode],
    camera: str,
    config: TrainConfig,
    on_progress: Callable[[Progress], None] | None = None,
) -> FitResult:
    """Train `world` (an nn.Module that is Trainable) to the end of `config.steps`, going on from the run's latest checkpoint.

    Episodes are at the model's own stride. On return `world` is in eval mode and holds the best weights (lowest
    validation loss in the last phase; the last ones where nothing was validated). On a CPU the same seed and machine give the
    same losses to the bit, however often the run was killed and resumed.

    Raises TrainingError when the loss is no longer a number, StorageError when the disk refuses, InterruptedRun after Ctrl-C.
    """
    if not (isinstance(world, nn.Module) and isinstance(world, Trainable)):
        raise TypeError(f"fit needs a world that is an nn.Module and Trainable; received {type(world).__name__}")
    run.require_writer()
    with distributed.session(config) as group, Interrupts() as interrupts:
        loop = _Loop(world, run, _Material(train_episodes, validation_episodes, camera), config, group, interrupts, on_progress)
        try:
            return loop.run_all()
        finally:
            loop.close()


class _Material(NamedTuple):
    training: Sequence[Episode]
    validation: Sequence[Episode]
    camera: str


class _Loop:
    """One call of `fit`. `world` is the caller's; `live` is what the optimiser works on (the same, unless sharded)."""

    def __init__(self, world, run, material: _Material, config: TrainConfig, group: Group, interrupts: Interrupts, on_progress):
        self.world, self.run, self.material, self.config, self.group = world, run, material, config, group
        self.interrupts, self.on_progress = interrupts, on_progress
        self.stretches = lay_out(world.phases(), config.steps)
        self.dtype = distributed.choose_precision(config, group.device)
        self.step, self.best_step, self.best_loss, self.validation_loss = 0, None, None, None
        self.training: dict[str, Tensor] = {}
        self.started = time.perf_counter()
        world.to(group.device)
        self._restore()
        group.agree(world)
        self.recorder = Recorder(run, self.step, config) if group.is_main else None

    def run_all(self) -> FitResult:
        """Every phase that is left, then the result."""
        for stretch in self.stretches:
            if self.step < stretch.last_step:
                self._begin(stretch)
                if self.step == 0:
                    self._save(stretch)
                with compiled(self.live, self.call, self.group.device) if self.config.compile else nullcontext(self.call) as self.call:
                    self._train(stretch)
        return self._finish()

    def close(self) -> None:
        """Close the log files."""
        if self.recorder is not None:
            self.recorder.close()

    def _restore(self) -> None:
        folder = self.run.checkpoint("latest")
        if folder is None:
            return
        state = read_state(folder)
        if (state.seed, state.steps) != (self.config.seed, self.config.steps):
            raise CheckpointError(
                f"{folder} belongs to a run with seed {state.seed} and {state.steps} steps, the config says {self.config.seed} and "
                f"{self.config.steps}; start a new run for other settings"
            )
        load_weights(self.world, folder / "model.safetensors")
        self.training = read_tensors(folder / "training.safetensors")
        self.step, self.best_step, self.best_loss = state.step, state.best_step, state.best_loss

    def _begin(self, stretch: Stretch) -> None:
        """Set up one phase. Between phases the averaged weights become the weights, so that later phases build on what will be used."""
        self.live, self.call = self.group.spread(self.world, stretch.phase.name)
        self.trained = {name: p for name, p in self.live.named_parameters() if p.requires_grad}
        if not self.trained:
            raise ConfigError(f"phase {stretch.phase.name!r} trains nothing: begin_phase left no parameter that requires a gradient")
        self.optimizer = build_optimizer(self.trained.values(), self.config, stretch.phase.learning_rate)
        self.ema = Ema(self.trained, self.config.ema_decay) if self.config.ema_decay else None
        if self.step > stretch.first_step:
            self._restore_training()
        self.training = {}
        self.validation = ValidationSet(
            self.material.validation, self.material.camera, stretch.phase, self.config.validation_batches, self.group
        )

    def _restore_training(self) -> None:
        optimizer = {n.removeprefix(_OPTIMIZER): t for n, t in self.training.items() if n.startswith(_OPTIMIZER)}
        restore_optimizer(self.optimizer, self.trained, optimizer)
        for name, tensor in self.training.items():
            if name.startswith(_UNAVERAGED):
                write_whole(self.trained[name.removeprefix(_UNAVERAGED)].data, tensor)

    def _train(self, stretch: Stretch) -> None:
        phase, config, material = stretch.phase, self.config, self.material
        sampler = WindowSampler(
            [len(episode) for episode in material.training],
            num_frames=phase.num_frames,
            batch_size=phase.batch_size,
            seed=mixed_seed(config.seed, "order", stretch.index),
            rank=self.group.rank,
            world_size=self.group.world_size,
        )
        stopwatch = Stopwatch()
        start = self.step - stretch.first_step
        with WindowLoader(material.training, material.camera, sampler, workers=config.workers, start_step=start) as loader:
            batches = iter(loader)
            while self.step < stretch.last_step:
                stopwatch.start()
                row = self._step(next(batches), stretch)
                seconds = stopwatch.stop()
                self._after(stretch, row, seconds, stopwatch.left(config.steps - self.step))
        self._collect(stretch)

    def _step(self, batch: Batch, stretch: Stretch) -> dict[str, object]:
        """One optimiser step; the row that describes it."""
        rate = learning_rate(stretch, self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.world.train()
        self.live.train()
        total, parts = self._loss(batch, stretch.phase.batch_size, mixed_seed(self.config.seed, "noise", self.step))
        means = self._means(total, parts)
        self._require_number(means["loss"], "loss", batch)
        total.backward()
        limit = self.config.gradient_clip or math.inf
        norm = read_whole(nn.utils.clip_grad_norm_(list(self.trained.values()), limit)).item()
        self._require_number(norm, "size of the gradient", batch)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(self.step - stretch.first_step)
        self.live.after_step()
        self.step += 1
        return {"step": self.step, "phase": stretch.phase.name, **means, "learning_rate": rate, "gradient_norm": norm}

    def _loss(self, batch: Batch, batch_size: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = self.group.device
        rng = seeded(seed, device)
        autocast = torch.autocast(device.type, self.dtype) if self.dtype != torch.float32 else nullcontext()
        with autocast, self.group.noise(rng, batch_size):
            return self.call(batch.to(device), rng)

    def _means(self, total: Tensor, parts: Mapping[str, Tensor]) -> dict[str, float]:
        """The loss and its parts over the whole batch (ranks have equal shares of it), and whether any rank was asked to stop."""
        values = [value.detach().double() / self.group.world_size for value in (total, *parts.values())]
        asked = torch.tensor(float(self.interrupts.asked), dtype=torch.float64, device=self.group.device)
        *sums, asked = self.group.sum(torch.stack([*values, asked])).tolist()
        self.stop = asked > 0
        return dict(zip(("loss", *parts), sums, strict=True))

    def _require_number(self, value: float, what: str, batch: Batch) -> None:
        if math.isfinite(value):
            return
        positions = [] if batch.episode is None else sorted(set(batch.episode.tolist()))
        indices = [self.material.training[position].index for position in positions]
        raise TrainingError(
            f"the {what} became {value} at step {self.step + 1}, on windows of episodes {indices}. The latest checkpoint is intact "
            f"({self.run.checkpoint('latest')}). Look at those episodes with `armillary data doctor`, or train again with a lower "
            f"train.learning_rate_scale (now {self.config.learning_rate_scale}) or train.gradient_clip (now {self.config.gradient_clip})"
        )

    def _after(self, stretch: Stretch, row: dict, seconds: float, seconds_left: float | None) -> None:
        """Validate, log, checkpoint and stop, each when it is time."""
        config, at_end = self.config, self.step == stretch.last_step
        if self.validation and (at_end or (config.validate_every and self.step % config.validate_every == 0)):
            row |= self._validate(stretch)
        if self.recorder is not None:
            self.recorder.append({**row, "seconds": seconds})
        due = config.checkpoint_every and self.step % config.checkpoint_every == 0
        if due or self.stop or self.step == config.steps:
            self._save(stretch)
        if self.on_progress is not None and self.group.is_main:
            progress = Progress(
                step=self.step,
                steps=config.steps,
                phase=stretch.phase.name,
                loss=row["loss"],
                validation_loss=self.validation_loss,
                seconds_left=seconds_left,
            )
            self.on_progress(progress)
        if self.stop and self.step < config.steps:
            raise InterruptedRun(f"stopped after step {self.step} of {config.steps}; go on with `armillary resume {self.run.path}`")

    @torch.no_grad()
    def _validate(self, stretch: Stretch) -> dict[str, float]:
        """The mean loss on the held-out windows, with the weights that would be used; keeps them when they are the best so far."""
        self.live.eval()
        sums: dict[str, float] = {}
        with self.ema.swapped() if self.ema else nullcontext():
            for seed, batch in self.validation.batches():
                total, parts = self._loss(batch, self.validation.batch_size, seed)
                for name, value in self._means(total, parts).items():
                    sums[name] = sums.get(name, 0.0) + value / self.validation.num_batches
            self.live.train()
            self.validation_loss = sums["loss"]
            last_phase = stretch is self.stretches[-1]
            if last_phase and math.isfinite(sums["loss"]) and (self.best_loss is None or sums["loss"] < self.best_loss):
                self.best_step, self.best_loss = self.step, sums["loss"]
                weights = whole_weights(self.live)
                if self.group.is_main:
                    save_best(self.run.checkpoints, self._state(stretch), weights)
        return {f"validation_{name}": value for name, value in sums.items() if math.isfinite(value)}

    def _save(self, stretch: Stretch) -> None:
        training = {_OPTIMIZER + name: tensor for name, tensor in optimizer_tensors(self.optimizer, self.trained).items()}
        if self.ema is not None:
            training |= {_UNAVERAGED + name: read_whole(parameter) for name, parameter in self.trained.items()}
        with self.ema.swapped() if self.ema else nullcontext():
            weights = whole_weights(self.live)
        if self.group.is_main:
            self.recorder.sync()
            save_checkpoint(self.run.checkpoints, self._state(stretch), weights, training, self.config.keep_checkpoints)
        self.group.barrier()

    def _state(self, stretch: Stretch) -> TrainingState:
        return TrainingState(
            step=self.step,
            phase=stretch.phase.name,
            seed=self.config.seed,
            steps=self.config.steps,
            best_step=self.best_step,
            best_loss=self.best_loss,
        )

    def _collect(self, stretch: Stretch) -> None:
        """Bring the weights to use back into the caller's world at the end of a phase."""
        with self.ema.swapped() if self.ema else nullcontext():
            weights = whole_weights(self.live)
        write_weights(self.world, weights, f"phase {stretch.phase.name}")

    def _finish(self) -> FitResult:
        seconds = time.perf_counter() - self.started
        load_weights(self.world, self.run.weights("best"))
        self.world.eval()
        rows = self.run.metrics()
        diagnosis = self.world.diagnose(rows[-1]) if rows else ""
        if self.group.is_main:
            results = {"steps": self.step, "best step": self.best_step, "validation loss": self.best_loss, "diagnosis": diagnosis or None}
            self.run.write_card({name: value for name, value in results.items() if value is not None})
        return FitResult(
            steps=self.step,
            seconds=seconds,
            best_step=self.best_step,
            best_validation_loss=self.best_loss,
            latest_weights=self.run.weights("latest"),
            best_weights=self.run.weights("best"),
            renders=isinstance(self.world, Renders),
            diagnosis=diagnosis,
        )
