"""The settings of a video diffusion run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from armillary.data.shape import DataConfig, DataShape
from armillary.tokenizers.given_tokenizer import open_tokenizer
from armillary.train.config import TrainConfig
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.world import VideoDiffusionWorld


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a video diffusion run, besides the data (and a given tokenizer) itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


_SMALL = ModelConfig(width=96, depth=4, heads=2, rank=16, chunk_steps=5, sampling_steps=6, learning_rate=2e-3)
_COSMOS_2B = ModelConfig(
    width=2048,
    depth=28,
    heads=16,
    rank=256,
    patch=2,
    text_width=1024,
    text_bytes=512,
    causal=False,
    places=False,
    shift=5.0,
    carry=False,
    sampler="euler",
    sampling_steps=35,
    context_steps=5,
    chunk_steps=88,
    batch_size=1,
    learning_rate=1e-4,
)
PRESETS: Mapping[str, Config] = {
    "default": Config(),
    "small": Config(data=DataConfig(height=32, width=32), model=_SMALL),
    "edm": Config(model=ModelConfig(noising="edm", sampler="heun", sampling_steps=18)),
    "cosmos-2b": Config(model=_COSMOS_2B),
}


def build(config: Config, shape: DataShape) -> VideoDiffusionWorld:
    """A video diffusion world with fresh weights for data of this shape; `model.tokenizer` is read when training begins."""
    return VideoDiffusionWorld(config.model, shape)


def complete(config: Config) -> Config:
    """The settings as a run records them: where a given tokenizer lies, and its sizes. ConfigError or CheckpointError without one."""
    if not config.model.tokenizer:
        return config
    given = open_tokenizer(config.model.tokenizer)
    return replace(config, model=replace(config.model, tokenizer=str(given.run), latents=given.sizes))
