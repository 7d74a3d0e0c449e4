"""The settings of a V-M-C run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.data.shape import DataConfig, DataShape
from armillary.train.config import TrainConfig
from armillary.worlds.vmc.ensemble import VmcEnsemble
from armillary.worlds.vmc.world import ModelConfig, VmcWorld


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a V-M-C run, besides the data itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PUBLISHED = ModelConfig(
    members=1,
    decoding="global",
    predicts="latent",
    latent_size=32,
    hidden_size=256,
    frames_per_window=4,
    batch_size=8,
    vision_batch_size=32,
    vision_share=0.5,
    memory_share=0.5,
    other_looks=0.0,
)

# Little moves in a small world's picture and little in it is new: V must find it first, and no other look is expected.
SMALL_WORLD = ModelConfig(
    members=1,
    latent_size=32,
    hidden_size=256,
    context_steps=6,
    dream_steps=12,
    frames_per_window=4,
    batch_size=8,
    vision_share=0.5,
    other_looks=0.0,
)

PRESETS: Mapping[str, Config] = {
    "default": Config(),
    "published": Config(model=PUBLISHED),
    "small-world": Config(model=SMALL_WORLD),
}


def build(config: Config, shape: DataShape) -> VmcWorld | VmcEnsemble:
    """A V-M-C world with fresh weights for data of this shape; of several members where the settings say so."""
    return VmcWorld(config.model, shape) if config.model.members == 1 else VmcEnsemble(config.model, shape)
