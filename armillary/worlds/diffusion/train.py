"""The settings of a diffusion run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from armillary.data.shape import DataConfig, DataShape
from armillary.train.config import TrainConfig
from armillary.worlds.diffusion.config import ModelConfig
from armillary.worlds.diffusion.distill import open_teacher
from armillary.worlds.diffusion.world import DiffusionWorld


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a diffusion run, besides the data itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PRESETS: Mapping[str, Config] = {
    "default": Config(),
    "no-guess": Config(model=ModelConfig(first_guess=False, frames_per_window=2)),
    "edm": Config(model=ModelConfig(noising="edm", sampler="heun", sampling_steps=18)),
}


def build(config: Config, shape: DataShape) -> DiffusionWorld:
    """A diffusion world with fresh weights for data of this shape."""
    return DiffusionWorld(config.model, shape)


def complete(config: Config) -> Config:
    """The settings as a run records them: where the teacher lies. CheckpointError or ConfigError where `model.teacher` names none."""
    if not config.model.teacher:
        return config
    return replace(config, model=replace(config.model, teacher=str(open_teacher(config.model.teacher).path.resolve())))


def carry(name: str, given: Tensor, fresh: Tensor, before: DataShape) -> Tensor:
    """A new robot's tensor with what it can keep of another's: how the reader takes in pictures, which stand behind the action."""
    if name != "reader.cell.weight_ih":
        return fresh
    pictures = given[:, before.action_size :]
    return torch.cat([fresh[:, : fresh.shape[1] - pictures.shape[1]], pictures], dim=1)
