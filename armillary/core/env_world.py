"""EnvWorld: any Gymnasium environment as a World.

The state is the seed and every action since, so it can be saved, branched and repeated for any environment that is a function
of these. Live environments are kept only to save time: a state whose environment is gone is reached again by replaying, and an
environment that does not repeat itself is then found out.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core.errors import WorldError
from armillary.core.frames import to_model
from armillary.core.state import State
from armillary.core.world import Action, Embeds, Prompt, Renders, Rewards, World, WorldSpec


@dataclass(frozen=True)
class EnvState(State):
    """How each environment came to be where it is, and what it last said."""

    seed: Int[Tensor, " b"]
    actions: Tensor  # b max_steps, or b max_steps a; only the first `count` are real
    count: Int[Tensor, " b"]
    observation: Tensor  # b h w c uint8, or b d float
    last_reward: Float[Tensor, " b"]
    going: Float[Tensor, " b"]


@dataclass
class _Live:
    """An environment and what its last step said."""

    env: gymnasium.Env
    observation: np.ndarray
    reward: float
    terminated: bool


class EnvWorld(World[EnvState], Rewards):
    """A Gymnasium environment as a World: `EnvWorld(lambda: gymnasium.make("CartPole-v1"))`.

    Gives a world that Renders where observations are `h w 3` uint8 pictures, and one that Embeds where they are vectors; for
    anything else wrap the environment first (FlattenObservation, AddRenderObservation). Branching copies environments where
    `copy.deepcopy` keeps them true (`branching == "copy"`), else it replays (`"replay"`): costly after many steps. An episode
    that ended stays where it ended. Raises WorldError for an environment that does not repeat itself.
    """

    def __new__(cls, env_factory: Callable[[], gymnasium.Env], **options):
        if cls is not EnvWorld:
            return super().__new__(cls)
        env = env_factory()
        space = env.observation_space
        env.close()
        if isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[-1] == 3:
            return super().__new__(PictureEnvWorld)
        if isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
            return super().__new__(VectorEnvWorld)
        raise WorldError(f"observations must be (h, w, 3) uint8 pictures or vectors, found {space}; wrap it (FlattenObservation ...)")

    def __init__(
        self,
        env_factory: Callable[[], gymnasium.Env],
        *,
        max_steps: int = 1000,
        max_live: int = 64,
        seconds_per_step: float | None = None,
    ):
        self._factory = env_factory
        self._live: OrderedDict[tuple[int, bytes], _Live] = OrderedDict()
        self._max_steps, self._max_live = max_steps, max_live
        env = env_factory()
        fps = env.metadata.get("render_fps")
        self.spec = WorldSpec(
            observation_space=env.observation_space,
            action_space=env.action_space,
            seconds_per_step=seconds_per_step or (1.0 / fps if fps else 1.0),
        )
        self.branching = "copy" if _copies_truly(env) else "replay"
        env.close()

    def start(self, prompt: Prompt, rng: Generator) -> EnvState:
        """Fresh environments, each reset with a seed of its own drawn from `rng`."""
        batch = prompt.batch_size
        seeds = torch.randint(2**31 - 1, (batch,), generator=rng, device=rng.device).cpu()
        discrete = isinstance(self.spec.action_space, gymnasium.spaces.Discrete)
        shape = (batch, self._max_steps, *self.spec.action_space.shape)
        lives = [self._fresh(int(seed)) for seed in seeds]
        for seed, live in zip(seeds.tolist(), lives, strict=True):
            self._keep((seed, b""), live)
        return EnvState(
            seed=seeds,
            actions=torch.zeros(shape, dtype=torch.long if discrete else torch.float32),
            count=torch.zeros(batch, dtype=torch.long),
            observation=_observations(lives),
            last_reward=torch.zeros(batch),
            going=torch.ones(batch),
        )

    def step(self, state: EnvState, action: Action, rng: Generator) -> EnvState:
        """One step of every environment that has not ended; chance is the environments' own, from their seeds."""
        if int(state.count.max()) >= self._max_steps:
            raise WorldError(f"an episode is longer than max_steps={self._max_steps}; give EnvWorld a larger one")
        going = state.going > 0.5
        rows = torch.arange(state.batch_size)
        actions = state.actions.clone()
        actions[rows[going], state.count[going]] = action.detach().cpu().to(actions.dtype)[going]
        count = state.count + going.long()
        observation, reward, goes_on = state.observation.clone(), torch.zeros_like(state.last_reward), state.going.clone()
        for row in rows[going].tolist():
            live = self._advance(state, row, actions[row])
            observation[row] = torch.as_tensor(live.observation)
            reward[row] = live.reward
            goes_on[row] = float(not live.terminated)
        return EnvState(seed=state.seed, actions=actions, count=count, observation=observation, last_reward=reward, going=goes_on)

    def observe(self, state: EnvState, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> EnvState:
        """The state after `action`: an environment cannot be moved to what a picture shows."""
        return self.step(state, action, rng)

    def reward(self, state: EnvState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """The environment's own reward; 0 as continuation once it terminated."""
        return state.last_reward, state.going

    def _fresh(self, seed: int) -> _Live:
        env = self._factory()
        observation, _ = env.reset(seed=seed)
        return _Live(env, np.asarray(observation), 0.0, False)

    def _keep(self, key: tuple[int, bytes], live: _Live) -> None:
        self._live[key] = live
        self._live.move_to_end(key)
        while len(self._live) > self._max_live:
            _, oldest = self._live.popitem(last=False)
            if self.branching == "replay":  # copies may share a window or a font, which close() would take from all of them
                oldest.env.close()

    def _advance(self, state: EnvState, row: int, actions: Tensor) -> _Live:
        """The environment of one row, one step further."""
        seed, count = int(state.seed[row]), int(state.count[row])
        before = (seed, actions[:count].numpy().tobytes())
        live = self._live.get(before)
        if live is None:
            live = self._replay(seed, actions[:count], state.observation[row])
            if self.branching == "copy":
                self._keep(before, live)
        if self.branching == "copy":
            live = copy.deepcopy(live)
        else:
            self._live.pop(before, None)
        live = self._apply(live, actions[count])
        self._keep((seed, actions[: count + 1].numpy().tobytes()), live)
        return live

    def _apply(self, live: _Live, action: Tensor) -> _Live:
        space = self.spec.action_space
        given = int(action) if isinstance(space, gymnasium.spaces.Discrete) else action.numpy().astype(space.dtype)
        observation, reward, terminated, _, _ = live.env.step(given)
        return _Live(live.env, np.asarray(observation), float(reward), bool(terminated))

    def _replay(self, seed: int, actions: Tensor, expected: Tensor) -> _Live:
        live = self._fresh(seed)
        for action in actions:
            live = self._apply(live, action)
        if not np.array_equal(live.observation, expected.numpy(), equal_nan=True):
            live.env.close()
            raise WorldError(
                f"{type(live.env.unwrapped).__name__} cannot branch: the seed {seed} and the same {len(actions)} actions led to another "
                "observation. Use it as a plain environment, or make reset(seed=...) decide everything in it"
            )
        return live


class PictureEnvWorld(EnvWorld, Renders):
    """An environment whose observations are pictures."""

    def render(self, state: EnvState) -> dict[str, Tensor]:
        """`rgb`, the last observation."""
        return {"rgb": to_model(state.observation)}


class VectorEnvWorld(EnvWorld, Embeds):
    """An environment whose observations are vectors."""

    def embed(self, state: EnvState) -> Float[Tensor, "b d"]:
        """The last observation."""
        return state.observation.to(torch.float32)


def _observations(lives: list[_Live]) -> Tensor:
    return torch.stack([torch.as_tensor(live.observation) for live in lives])


def _copies_truly(env: gymnasium.Env) -> bool:
    """Whether a deep copy of the environment goes on exactly like the environment itself, and apart from it."""
    env.reset(seed=0)
    space = copy.deepcopy(env.action_space)
    space.seed(0)
    try:
        twin = copy.deepcopy(env)
        for _ in range(3):
            action = space.sample()
            ours, theirs = env.step(action), twin.step(action)
            if not np.array_equal(ours[0], theirs[0], equal_nan=True) or ours[1:3] != theirs[1:3]:
                return False
    except (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError, gymnasium.error.Error):
        return False
    return True
