"""The settings of an end-to-end JEPA run, and the world that they build."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.data.shape import DataConfig, DataShape
from armillary.train.config import TrainConfig
from armillary.worlds.jepa.end_to_end_world import EndToEndWorld, ModelConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides an end-to-end JEPA run, besides the data itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


# Where something in the picture stays still for a whole episode and differs between episodes (a goal, a theme, a wall), embeddings of
# that alone vary, change little in time and are easily predicted: inverse dynamics keeps what actions move. Too much of all regularisers
# beside the prediction, and the still things that decide where one can go (a wall, a door) are hardly embedded at all (docs/LOG.md).
DEFAULT = ModelConfig()

# Where an agent pushes things: what changes slowly is what is pushed, and the default keeps little but the agent (docs/LOG.md).
MANIPULATION = ModelConfig(similarity_weight=8.0, inverse_weight=2.0, pooled=True)

# eb_jepa (two rooms without a drawn goal): 8 covariance, 16 variance, 12 temporal similarity, 1 inverse dynamics, 8 steps ahead.
# Its networks are larger: 512 dimensions, batches of 384 windows of 17 frames.
EB_JEPA = ModelConfig(
    latent_size=512,
    variance_weight=16.0,
    covariance_weight=8.0,
    similarity_weight=12.0,
    inverse_weight=1.0,
    batch_size=384,
    window_steps=17,
    learning_rate=1e-3,
)

# LeWM: the next embedding alone, and 0.09 SIGReg. Its history of three frames is our memory.
LEWM = ModelConfig(
    latent_size=192,
    batch_size=128,
    memory_size=64,
    context_steps=3,
    predict_steps=1,
    window_steps=8,
    sigreg_weight=0.09,
    variance_weight=0.0,
    covariance_weight=0.0,
    similarity_weight=0.0,
    inverse_weight=0.0,
    learning_rate=1e-3,
)

PRESETS: Mapping[str, Config] = {
    "default": Config(model=DEFAULT),
    "manipulation": Config(model=MANIPULATION),
    "eb-jepa": Config(model=EB_JEPA),
    "lewm": Config(model=LEWM),
}


def build(config: Config, shape: DataShape) -> EndToEndWorld:
    """An end-to-end JEPA with fresh weights for data of this shape."""
    return EndToEndWorld(config.model, shape)
