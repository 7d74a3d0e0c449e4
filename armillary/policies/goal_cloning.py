"""Goal-conditioned behaviour cloning: the action that was done where it looked like this and later like that. The plain baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import ConfigError
from armillary.data.shape import DataConfig, DataShape
from armillary.nn.residual_cnn import Encoder
from armillary.policies.goal_conditioned import GoalConditioned, HindsightConfig
from armillary.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class ModelConfig(HindsightConfig):
    """Sizes of the network: `channels` and `blocks` of the CNN's stages, and the `width` of the layers after it."""

    channels: tuple[int, ...] = (32, 64)
    blocks: int = 1
    width: int = 256

    def __post_init__(self):
        super().__post_init__()
        if min(self.blocks, self.width, *self.channels) < 1:
            raise ConfigError(
                f"model.channels, model.blocks and model.width must be >= 1, received {self.channels}, {self.blocks} and {self.width}"
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a run, besides the data itself."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PRESETS: Mapping[str, Config] = {"default": Config()}


def build(config: Config, shape: DataShape) -> "GoalCloning":
    """A policy with fresh weights for data of this shape."""
    return GoalCloning(config.model, shape)


class GoalCloning(GoalConditioned):
    """Behaviour cloning with goals in hindsight (arXiv:1906.05838, arXiv:1912.06088): a CNN of its own sees both pictures and
    their difference at once."""

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__(config, shape)
        self.encoder = Encoder(
            height=shape.height, width=shape.width, latent_size=config.width, channels=config.channels, blocks=config.blocks, num_pictures=3
        )
        layers = [nn.ReLU(), nn.Linear(config.width, config.width), nn.ReLU(), nn.Linear(config.width, config.chunk * self.head.size)]
        self.layers = nn.Sequential(*layers)

    def read_goal(self, goal: Float[Tensor, "n 3 h w"], rng: Generator) -> Float[Tensor, "n 3 h w"]:
        """The picture itself."""
        return goal

    def decide(self, observation: Float[Tensor, "n 3 h w"], goal: Float[Tensor, "n 3 h w"], rng: Generator) -> Float[Tensor, "n k"]:
        # What stands still cancels in the difference, so that it shows at once what is to move; 0.5 is the middle of a picture's range.
        difference = 0.5 + 0.5 * (goal - observation)
        return self.layers(self.encoder(torch.cat([observation, goal, difference], dim=1)))
