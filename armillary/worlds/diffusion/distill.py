"""Fewer sampling steps: one step of the student lands where many steps of its teacher end (progressive distillation, arXiv:2202.00512).

The student goes straight from one of its levels to the next (Euler's step). There it meets the teacher, which set out from the same
noisy picture and went through all of its own levels in between. Both read the same context and have the same first guess.
"""

import copy
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import ConfigError
from armillary.core.settings import from_plain
from armillary.nn.noising import Network, Noising
from armillary.nn.samplers import SAMPLERS
from armillary.train.checkpoint import read_weights
from armillary.train.run import RunFolder
from armillary.train.tensors import write_weights
from armillary.worlds.diffusion.config import ModelConfig

FAMILY = "diffusion"
PARTS = ("transformer", "finish", "embed_action")  # of a world: what draws, and what learns here


class Teacher(nn.Module):
    """The parts of another world that draw, with the sampler that they are used with. They never learn."""

    def __init__(self, world: nn.Module, sampler: str):
        super().__init__()
        for name in PARTS:
            setattr(self, name, copy.deepcopy(getattr(world, name)))
        self.requires_grad_(False)
        self.sampler = sampler


def open_teacher(path: Path | str) -> RunFolder:
    """The run of a teacher. CheckpointError when it is none or has no weights, ConfigError when it is no diffusion world."""
    run = RunFolder.open(path)
    family = run.config["family"]
    if family != FAMILY:
        raise ConfigError(f"{path} is a run of {family}, which is not drawn in sampling steps; give one of `armillary train {FAMILY}`")
    run.weights("best")
    return run


def teacher_of(world: nn.Module, path: Path | str) -> Teacher:
    """The teacher at `path` of a world with as large networks. CheckpointError when its networks are of other sizes."""
    run = open_teacher(path)
    teacher = Teacher(world, from_plain(ModelConfig, run.config["config"]["model"]).sampler)
    given = read_weights(run.weights("best"))
    write_weights(
        teacher, {name: tensor for name, tensor in given.items() if name.startswith(tuple(f"{part}." for part in PARTS))}, str(path)
    )
    device = next(world.parameters()).device
    return teacher.to(device)


def distillation_loss(
    noising: Noising,
    student: Network,
    teacher: Network,
    *,
    sampler: str,
    steps: tuple[int, int],
    step: int,
    clean: Float[Tensor, "b *rest"],
    noise: Float[Tensor, "b *rest"],
) -> Float[Tensor, ""]:
    """Squared error of the student's clean estimate at its level number `step`, against the one by which it would land with the teacher.

    `steps` are how many the student and the teacher take from pure noise to the picture; `sampler` is the teacher's.
    """
    now, then = noising.levels(steps[0])[step : step + 2].to(noise)
    between = noising.levels(steps[1]).to(noise)
    path = torch.cat([now[None], between[(between < now) & (between > then)], then[None]])
    level = now.expand(len(clean))
    noisy = noising.mix(clean, noise, level) if step else now.clamp(min=1.0) * noise
    with torch.no_grad():
        landed = SAMPLERS[sampler](lambda x, at: noising.slope(teacher, x, at), noisy, path)
        wanted = noisy - (landed - noisy) * (now / (then - now))
    return (noising.estimate(student, noisy, level) - wanted).square().mean()
