"""The settings of a V-JEPA 2-AC run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from armillary.data.shape import DataConfig, DataShape
from armillary.train.config import TrainConfig
from armillary.worlds.jepa.action_conditioned_world import ActionConditionedWorld, ModelConfig
from armillary.worlds.jepa.frozen_encoder import RANDOM, open_encoder, require_encoder


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a V-JEPA 2-AC run, besides the data and the encoder themselves."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(weight_decay=0.04))
    model: ModelConfig = field(default_factory=ModelConfig)


# On the encoder of the preset "tiny" of vjepa2.
DEFAULT = ModelConfig()

# On ViT-g: 300 M parameters, windows of 16 frames at 4 a second (`data.stride` brings recordings near to that).
PUBLISHED = ModelConfig(
    width=1408,
    depth=40,
    heads=22,
    mlp_ratio=48 / 11,
    patch_size=16,
    predictor_width=1024,
    predictor_depth=24,
    predictor_heads=16,
    predict_change=False,
    learn_places=False,
    distance="l1",
    state_weight=1.0,
    window_steps=16,
    drop_state=0.0,
    batch_size=256,
    learning_rate=4.25e-4,
)

PRESETS: Mapping[str, Config] = {
    "default": Config(model=DEFAULT),
    "published": Config(
        data=DataConfig(height=256, width=256),
        train=TrainConfig(steps=94_500, weight_decay=0.04, warmup_steps=4_500, schedule="constant", gradient_clip=0.0),
        model=PUBLISHED,
    ),
}


def build(config: Config, shape: DataShape) -> ActionConditionedWorld:
    """V-JEPA 2-AC with fresh weights for data of this shape; `model.encoder` is read when training begins."""
    return ActionConditionedWorld(config.model, shape)


def complete(config: Config) -> Config:
    """The settings as a run records them: where the encoder lies, and the sizes that it has, so that it is read only once.

    ConfigError or CheckpointError where `model.encoder` names none.
    """
    source = config.model.encoder
    require_encoder(source)
    if source == RANDOM:
        return config
    place = str(Path(source).resolve()) if Path(source).is_dir() else source
    return replace(config, model=replace(config.model, encoder=place, **vars(open_encoder(place).sizes)))
