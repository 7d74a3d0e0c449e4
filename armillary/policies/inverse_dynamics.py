"""Inverse dynamics on frozen latents: which action leads from this embedding towards that one. The cheap rival of a planner."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import CheckpointError, ConfigError, Embeds, World, WorldError, seeded
from armillary.data.shape import DataConfig, DataShape
from armillary.planning.objectives import still_prompt
from armillary.policies.goal_conditioned import Chunk, GoalConditioned, HindsightConfig
from armillary.train.checkpoint import load_weights
from armillary.train.config import TrainConfig
from armillary.train.families import Families
from armillary.train.run import RunFolder
from armillary.worlds.catalog import FAMILIES

WORLDS = Families(FAMILIES)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(HindsightConfig):
    """Whose latents, and the sizes of the network on them: `layers` of `width`.

    `world` is the folder of a run whose world Embeds. `world_settings` is what that run's config.json says of the world: it is filled in
    when training begins, so that this run can be used without that folder.
    """

    world: str = ""
    world_settings: str = ""
    width: int = 512
    layers: int = 3

    def __post_init__(self):
        super().__post_init__()
        for name in ("width", "layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be >= 1, received {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a run, besides the data itself and the world's weights."""

    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelConfig = field(default_factory=ModelConfig)


PRESETS: Mapping[str, Config] = {"default": Config()}


def complete(config: Config) -> Config:
    """The settings with the world's. ConfigError where none is named, CheckpointError where it is no run of a world, or not whole."""
    model = config.model
    if model.world_settings:
        return config
    if not model.world:
        raise ConfigError("inverse-dynamics acts on the latents of a trained world; name its run: --model.world WORLD_RUN")
    run = RunFolder.open(model.world)
    recorded = run.config
    if recorded.get("family") not in FAMILIES:
        raise ConfigError(f"{model.world} is a run of {recorded.get('family')!r}; model.world takes one of {', '.join(FAMILIES)}")
    run.weights("best")
    settings = json.dumps({name: recorded[name] for name in ("family", "config", "shape")}, sort_keys=True)
    return replace(config, model=replace(model, world=str(Path(model.world).resolve()), world_settings=settings))


def build(config: Config, shape: DataShape) -> "InverseDynamicsPolicy":
    """A policy with fresh weights for data of this shape; the world's weights are read when training begins."""
    return InverseDynamicsPolicy(complete(config).model, shape)


class InverseDynamicsPolicy(GoalConditioned):
    """A multi-layer perceptron on [embedding of what is seen, of the goal, their difference], learned with goals in hindsight.

    The world is a frozen copy and lies among this policy's weights: the folder that it came from is read once, when training begins.
    Raises ConfigError for a world that does not embed pictures of the data's size.
    """

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__(config, shape)
        self.world = _build_world(config, shape)
        with torch.no_grad():
            size = self._embed(torch.zeros(1, 3, shape.height, shape.width), seeded(0)).shape[1]
        # Embeddings of neighbouring frames differ little: standardised, their difference counts as much as they do.
        layers: list[nn.Module] = [nn.BatchNorm1d(3 * size, affine=False)]
        for before in (3 * size, *[config.width] * (config.layers - 1)):
            layers += [nn.Linear(before, config.width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(config.width, config.chunk * self.head.size))
        # Kept with the weights: a run that goes on, or is used, must not need the world's folder.
        self.register_buffer("has_world", torch.tensor(False))

    def read_goal(self, goal: Float[Tensor, "n 3 h w"], rng: Generator) -> Float[Tensor, "n d"]:
        """Its embedding."""
        return self._embed(goal, rng)

    def decide(self, observation: Float[Tensor, "n 3 h w"], goal: Float[Tensor, "n d"], rng: Generator) -> Float[Tensor, "n k"]:
        here = self._embed(observation, rng)
        return self.layers(torch.cat([here, goal, goal - here], dim=1))

    def start(self, batch_size: int) -> Chunk:
        """Nothing seen, nothing told. Raises WorldError before the world's weights were read."""
        if not self.has_world:
            raise WorldError("this policy has not yet read the weights of its world; train it, or load a run")
        return super().start(batch_size)

    def begin_phase(self, name: str) -> None:
        """The layers learn, the world never. The first time, its weights are read. CheckpointError when its folder is gone."""
        if not self.has_world:
            load_weights(self.world, _open_world(self.config.world).weights("best"))
            self.has_world.fill_(True)
        self.requires_grad_(True)
        self.world.requires_grad_(False)

    def train(self, mode: bool = True) -> "InverseDynamicsPolicy":
        """The world stays in evaluation mode."""
        super().train(mode)
        self.world.eval()
        return self

    @torch.no_grad()
    def _embed(self, pictures: Float[Tensor, "n 3 h w"], rng: Generator) -> Float[Tensor, "n d"]:
        """What the world embeds each picture in, started from that picture alone."""
        return self.world.embed(self.world.start(still_prompt(self.world, pictures), rng)).float()


def _build_world(config: ModelConfig, shape: DataShape) -> nn.Module:
    world = WORLDS.build_recorded(json.loads(config.world_settings))
    if not (isinstance(world, World) and isinstance(world, Embeds) and "frames" in world.spec.prompt):
        raise ConfigError(
            f"{config.world} holds a {type(world).__name__}, which does not embed pictures; name the run of a world that does"
        )
    sees = world.spec.sees
    if sees is not None and tuple(sees) != (shape.height, shape.width):
        raise ConfigError(
            f"the world of {config.world} sees {sees[0]} x {sees[1]} pixels (height x width), the data is {shape.height} x {shape.width}; "
            f"set data.height {sees[0]} and data.width {sees[1]}"
        )
    return world.eval()


def _open_world(path: str) -> RunFolder:
    try:
        return RunFolder.open(path)
    except CheckpointError as error:
        raise CheckpointError(f"the world that this run begins with cannot be read: {error}; put it back, or train a new run") from error
