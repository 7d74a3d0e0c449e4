"""The settings of a Genie run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.data.shape import DataConfig, DataShape
from armillary.train.config import TrainConfig
from armillary.worlds.genie.config import ModelConfig
from armillary.worlds.genie.world import GenieWorld


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a Genie run, besides the data itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PRESETS: Mapping[str, Config] = {
    "default": Config(),
    "published": Config(
        model=ModelConfig(
            bottleneck="vq",
            latent_size=32,
            drop_past=0.0,
            variance_weight=0.0,
            change_weight=0.0,
            happens_weight=0.0,
            detail=False,
            reach=0,
            passes=25,
            temperature=2.0,
        )
    ),
}


def build(config: Config, shape: DataShape) -> GenieWorld:
    """A Genie world with fresh weights for data of this shape."""
    return GenieWorld(config.model, shape)
