"""Several processes as one: who am I, what do all of us say, and how the model is spread over us (`torchrun` starts us)."""

import copy
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from armillary.core import Batch, ConfigError
from armillary.train.config import TrainConfig
from armillary.train.noise import ShardedNoise


class LossCall(nn.Module):
    """A module whose forward is the world's loss, so that the hooks of DDP and FSDP2 run."""

    def __init__(self, world: nn.Module):
        super().__init__()
        self.world = world

    def forward(self, batch: Batch, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise, and its parts."""
        loss = self.world.loss(batch, rng)
        return loss.total, dict(loss.parts)


@dataclass(frozen=True, kw_only=True)
class Group:
    """The processes that train together; of one process, `rank` is 0 and `world_size` 1."""

    rank: int
    world_size: int
    device: torch.device
    parallel: str

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def rows(self, batch_size: int) -> tuple[int, int]:
        """This rank's rows `first:last` of a batch, which `WindowSampler` shares out equally."""
        share = batch_size // self.world_size
        return self.rank * share, (self.rank + 1) * share

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, tensor: Tensor) -> Tensor:
        """Every rank's rows of a tensor, joined along the first axis in order."""
        parts = [torch.empty_like(tensor) for _ in range(self.world_size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def noise(self, rng: Generator, batch_size: int) -> AbstractContextManager:
        """Within the block, draws from `rng` are this rank's rows of the noise for the whole batch."""
        if self.world_size == 1:
            return nullcontext()
        first, last = self.rows(batch_size)
        return ShardedNoise(rng, first=first, last=last, whole=batch_size, gather=self.gather)

    def agree(self, module: nn.Module) -> None:
        """Give every rank the weights of rank 0."""
        if self.world_size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world_size > 1:
            dist.barrier()

    def spread(self, world: nn.Module, phase: str) -> tuple[nn.Module, nn.Module]:
        """Begin a phase and spread the model: (the world that is trained, the module whose forward is its loss).

        Under FSDP2 the trained world is a sharded copy, since sharding cannot be taken back.
        """
        live = copy.deepcopy(world) if self.parallel == "fsdp2" else world
        live.begin_phase(phase)
        call = LossCall(live)
        if self.parallel == "fsdp2":
            mesh = init_device_mesh(self.device.type, (self.world_size,))
            fully_shard(call, mesh=mesh, reshard_after_forward=True)
        elif self.parallel == "ddp":
            devices = [self.device] if self.device.type == "cuda" else None
            call = DistributedDataParallel(call, device_ids=devices, find_unused_parameters=True)
        return live, call


def rank() -> int:
    """This process's rank, 0 when it is alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes were started together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait_for_all() -> None:
    """Wait until every rank is here. Raises ConfigError when several ranks run outside a session."""
    if world_size() == 1:
        return
    if not dist.is_initialized():
        raise ConfigError("several processes were started but none joined the others; open `distributed.session(config)` first")
    dist.barrier()


@contextmanager
def session(config: TrainConfig) -> Iterator[Group]:
    """Join the processes that `torchrun` started (or none), and leave them at the end. Re-enters a session that is open already."""
    device = choose_device(config)
    count = world_size()
    if config.parallel in ("ddp", "fsdp2") and "RANK" not in os.environ:
        raise ConfigError(f"train.parallel = {config.parallel} needs torchrun: run `torchrun --nproc-per-node 2 -m armillary train ...`")
    if config.parallel == "none" and count > 1:
        raise ConfigError(f"train.parallel = none contradicts the {count} processes that torchrun started; leave it at auto")
    parallel = config.parallel if config.parallel != "auto" else ("ddp" if count > 1 else "none")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    opened = parallel != "none" and not dist.is_initialized()
    if opened:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(rank=rank(), world_size=count, device=device, parallel=parallel)
    finally:
        if opened:
            dist.destroy_process_group()


def choose_device(config: TrainConfig) -> torch.device:
    """The device of this process: the named one, or the GPU of its local rank, or the CPU."""
    if config.device != "auto":
        device = torch.device(config.device)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError(f"train.device = {config.device} but no GPU is here; leave it at auto")
        return device
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def choose_precision(config: TrainConfig, device: torch.device) -> torch.dtype:
    """float32, or bfloat16 where the hardware has it: on a GPU unless fp32 is asked for, on a CPU only when bf16 is.

    So runs on different CPUs compare. A CPU without bf16 units is refused: there bf16 was measured 90 times slower than fp32.
    """
    able = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else cpu_has_bf16()
    if config.precision == "bf16" and not able:
        raise ConfigError(f"train.precision = bf16 needs hardware with bf16 units, this {device.type} has none; use fp32 or auto")
    wanted = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if able and wanted else torch.float32


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 itself (AVX-512 BF16 or AMX)."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
