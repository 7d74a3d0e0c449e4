"""The settings of a code decoder's run, and the decoder that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from armillary.data.shape import DataConfig, DataShape
from armillary.tokenizers.given_tokenizer import open_tokenizer
from armillary.train.config import TrainConfig
from armillary.worlds.video_diffusion.code_decoder import CodeDecoder, ModelConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a code decoder's run, besides the data and the given tokenizers themselves."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PRESETS: Mapping[str, Config] = {"default": Config()}


def build(config: Config, shape: DataShape) -> CodeDecoder:
    """A decoder with fresh weights for data of this shape; the tokenizers are read when training begins."""
    return CodeDecoder(config.model, shape)


def complete(config: Config) -> Config:
    """The settings as a run records them: where the tokenizers lie, and their sizes. ConfigError or CheckpointError without one."""
    model = config.model
    if model.codes:
        given = open_tokenizer(model.codes, "codes")
        model = replace(model, codes=str(given.run), code_sizes=given.sizes)
    if model.tokenizer:
        given = open_tokenizer(model.tokenizer)
        model = replace(model, tokenizer=str(given.run), latents=given.sizes)
    return replace(config, model=model)
