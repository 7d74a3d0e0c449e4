"""The settings of an autoregressive run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from armillary.data.shape import DataConfig, DataShape
from armillary.tokenizers.given_tokenizer import open_tokenizer
from armillary.train.config import TrainConfig
from armillary.worlds.autoregressive.config import ModelConfig
from armillary.worlds.autoregressive.world import AutoregressiveWorld


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides an autoregressive run, besides the data (and a given tokenizer) itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PRESETS: Mapping[str, Config] = {
    "default": Config(),
    "fast": Config(model=ModelConfig(passes=8)),
}


def build(config: Config, shape: DataShape) -> AutoregressiveWorld:
    """An autoregressive world with fresh weights for data of this shape; `model.tokenizer` is read when training begins."""
    return AutoregressiveWorld(config.model, shape)


def complete(config: Config) -> Config:
    """The settings as a run records them: where a given tokenizer lies, and its sizes. ConfigError or CheckpointError without one."""
    if not config.model.tokenizer:
        return config
    given = open_tokenizer(config.model.tokenizer)
    return replace(config, model=replace(config.model, tokenizer=str(given.run), **vars(given.sizes)))
