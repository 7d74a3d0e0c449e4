"""Any World as a Gymnasium environment, one or many at once: an agent cannot tell a dream from a simulator."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Generator, Tensor

from armillary.core.errors import WorldError
from armillary.core.frames import to_disk
from armillary.core.planner import Objective
from armillary.core.state import State, concatenate
from armillary.core.world import Embeds, Prompt, Renders, Rewards, World, seeded

# A prompt whose rows are starting points to draw from, or a function from a batch size and a generator to a prompt.
PromptSource = Prompt | Callable[[int, Generator], Prompt]


class _Stage:
    """A world, where its episodes begin, and what of it an agent gets to see. Holds no position itself."""

    def __init__(self, world: World, prompt: PromptSource | None, objective: Objective | None):
        if not isinstance(world, Renders | Embeds):
            raise WorldError(f"{type(world).__name__} neither Renders nor Embeds, so there is nothing for an agent to observe")
        if prompt is None and world.spec.prompt:
            needs = ", ".join(world.spec.prompt)
            raise WorldError(f"{type(world).__name__} starts from {needs}: give prompt=, a Prompt or a function that draws one")
        self.world = world
        self.prompt = Prompt() if prompt is None else prompt
        self.objective = objective
        self.frames_per_second = max(1, round(1.0 / world.spec.seconds_per_step))

    def begin(self, count: int, layout: Mapping[str, object] | None, rng: Generator) -> State:
        """Fresh episodes; a Prompt's rows are drawn at random."""
        if isinstance(self.prompt, Prompt):
            rows = torch.randint(self.prompt.batch_size, (count,), generator=rng, device=rng.device)
            prompt = _prompt_rows(self.prompt, rows)
        else:
            prompt = self.prompt(count, rng)
            if prompt.batch_size != count:
                raise WorldError(f"the prompt function was asked for {count} starts and gave {prompt.batch_size}")
        if layout:
            prompt = replace(prompt, layout={**(prompt.layout or {}), **layout})
        with torch.no_grad():
            return self.world.start(prompt, rng)

    def step(self, state: State, actions: np.ndarray, rng: Generator) -> State:
        """One step by actions of the action space, batch first."""
        with torch.no_grad():
            return self.world.step(state, self._batch(actions, rng.device), rng)

    def _batch(self, actions: np.ndarray, device: torch.device) -> Tensor:
        discrete = isinstance(self.world.spec.action_space, gymnasium.spaces.Discrete)
        return torch.as_tensor(actions, dtype=torch.long if discrete else torch.float32, device=device)

    def observation(self, state: State) -> np.ndarray:
        """`b h w c` uint8 pictures, or `b d` vectors where there are none."""
        if isinstance(self.world, Renders):
            return self.pictures(state)
        with torch.no_grad():
            return self.world.embed(state).cpu().numpy().astype(self.world.spec.observation_space.dtype)

    def pictures(self, state: State) -> np.ndarray:
        """`b h w c` uint8."""
        with torch.no_grad():
            return to_disk(self.world.render(state)["rgb"])

    def outcome(self, state: State, actions: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
        """Rewards of the step by `actions` that led here, and whether each episode ended: where going on is thought less likely than not.

        The reward is the objective's cost, negative; without one the world's own, and 0 in a world that knows none.
        """
        reward, ended = np.zeros(state.batch_size), np.zeros(state.batch_size, dtype=np.bool_)
        with torch.no_grad():
            if isinstance(self.world, Rewards):
                own, going = self.world.reward(state)
                reward, ended = own.cpu().numpy().astype(np.float64), (going < 0.5).cpu().numpy()
            if self.objective is not None:
                cost = self.objective.cost(self.world, [state], self._batch(actions, device)[:, None])
                reward = -cost.cpu().numpy().astype(np.float64)
        return reward, ended


def _prompt_rows(prompt: Prompt, rows: Tensor) -> Prompt:
    """The chosen rows of a prompt; layout values that are one per row are chosen along."""

    def choose(value):
        if isinstance(value, Tensor) and value.ndim > 0 and len(value) == prompt.batch_size:
            return value[rows.to(value.device)]
        if isinstance(value, list | tuple) and len(value) == prompt.batch_size:
            return [value[i] for i in rows.tolist()]
        return value

    return replace(
        prompt,
        batch_size=len(rows),
        frames=choose(prompt.frames),
        actions=choose(prompt.actions),
        state=choose(prompt.state),
        text=choose(prompt.text),
        layout=None if prompt.layout is None else {key: choose(value) for key, value in prompt.layout.items()},
    )


class WorldEnv(gymnasium.Env):
    """One World as a `gymnasium.Env`.

    Truncates after `max_steps`. `prompt` holds the starting points, one drawn at each reset; a world that needs no prompt takes
    none. The reward of a step is minus its cost by `objective`; without one it is the world's own (`Rewards`), else 0. Only a world that
    Rewards ends episodes. `reset(options={"layout": {...}})` overrides the layout. Raises WorldError if the world shows nothing.
    """

    def __init__(
        self,
        world: World,
        *,
        max_steps: int | None = None,
        prompt: PromptSource | None = None,
        objective: Objective | None = None,
        render_mode: str | None = None,
    ):
        self._stage = _Stage(world, prompt, objective)
        modes = ["rgb_array"] if isinstance(world, Renders) else []
        if render_mode is not None and render_mode not in modes:
            raise WorldError(f"render_mode must be None or one of {modes}, received {render_mode!r}")
        self.metadata = {"render_modes": modes, "render_fps": self._stage.frames_per_second}
        self.world = world
        self.max_steps = max_steps
        self.render_mode = render_mode
        self.observation_space = world.spec.observation_space
        self.action_space = world.spec.action_space
        self._state: State | None = None
        self._rng: Generator | None = None
        self._elapsed = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """A new episode; the same seed gives the same episodes from here on."""
        super().reset(seed=seed)
        if seed is not None or self._rng is None:
            self._rng = seeded(int(self.np_random.integers(2**62)))
        self._state = self._stage.begin(1, (options or {}).get("layout"), self._rng)
        self._elapsed = 0
        return self._stage.observation(self._state)[0], {}

    def step(self, action) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One step of `world.spec.seconds_per_step` seconds."""
        if self._state is None or self._rng is None:
            raise ResetNeeded("call reset() before step()")
        self._state = self._stage.step(self._state, np.asarray(action)[None], self._rng)
        self._elapsed += 1
        reward, terminated = self._stage.outcome(self._state, np.asarray(action)[None], self._rng.device)
        truncated = self.max_steps is not None and self._elapsed >= self.max_steps
        return self._stage.observation(self._state)[0], float(reward[0]), bool(terminated[0]), truncated, {}

    def render(self) -> np.ndarray | None:
        """The picture of now, `h w 3` uint8, if `render_mode` is "rgb_array"."""
        if self.render_mode is None:
            return None
        if self._state is None:
            raise ResetNeeded("call reset() before render()")
        return self._stage.pictures(self._state)[0]


class WorldVectorEnv(gymnasium.vector.VectorEnv):
    """Many Worlds stepped as one batch, as a `gymnasium.vector.VectorEnv`.

    All rows draw from one generator, so `seed` is a single number. `metadata["autoreset_mode"]` says what follows an episode's
    end: NEXT_STEP (the next step resets and ignores its action), SAME_STEP (the last observation is in `info["final_obs"]`) or
    DISABLED (call `reset(options={"reset_mask": ...})`). Rewards are those of WorldEnv.
    """

    def __init__(
        self,
        world: World,
        num_envs: int,
        *,
        max_steps: int | None = None,
        prompt: PromptSource | None = None,
        objective: Objective | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ):
        if num_envs < 1:
            raise WorldError(f"num_envs must be at least 1, received {num_envs}")
        self._stage = _Stage(world, prompt, objective)
        self.world = world
        self.num_envs = num_envs
        self.max_steps = max_steps
        self.autoreset_mode = autoreset_mode
        self.render_mode = render_mode
        modes = ["rgb_array"] if isinstance(world, Renders) else []
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": modes, "render_fps": self._stage.frames_per_second}
        self.single_observation_space = world.spec.observation_space
        self.single_action_space = world.spec.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._state: State | None = None
        self._rng: Generator | None = None
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._ended = np.zeros(num_envs, dtype=np.bool_)
        self._layout: Mapping[str, object] | None = None

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """New episodes everywhere, or where `options["reset_mask"]` is true; `options["layout"]` holds for later autoresets too."""
        super().reset(seed=seed)
        options = options or {}
        if seed is not None or self._rng is None:
            self._rng = seeded(int(self.np_random.integers(2**62)))
        mask = options.get("reset_mask")
        if mask is not None:
            self._check_mask(mask)
        self._layout = options.get("layout", self._layout if mask is not None else None)
        self._restart(np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask)
        return self._stage.observation(self._state), {}

    def _check_mask(self, mask: object) -> None:
        right = isinstance(mask, np.ndarray) and mask.shape == (self.num_envs,) and mask.dtype == np.bool_ and bool(mask.any())
        if not right:
            raise WorldError(f"reset_mask must be an array of {self.num_envs} booleans with at least one true, received {mask!r}")
        if self._state is None:
            raise ResetNeeded("reset everything once before resetting some")

    def _restart(self, mask: np.ndarray) -> None:
        """Begin new episodes where `mask` is true; the other rows stay as they are."""
        fresh = self._stage.begin(int(mask.sum()), self._layout, self._rng)
        if self._state is None or mask.all():
            self._state = fresh
        else:
            source = np.arange(self.num_envs)
            source[mask] = self.num_envs + np.arange(mask.sum())
            self._state = concatenate([self._state, fresh]).rows(source.tolist())
        self._elapsed = np.where(mask, 0, self._elapsed)
        self._ended = self._ended & ~mask

    def step(self, actions) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One step of every world."""
        if self._state is None or self._rng is None:
            raise ResetNeeded("call reset() before step()")
        restarting = self._ended.copy()
        if restarting.any() and self.autoreset_mode == AutoresetMode.DISABLED:
            raise ResetNeeded(f"worlds {np.flatnonzero(restarting).tolist()} have ended: reset them with options={{'reset_mask': ...}}")
        self._state = self._stage.step(self._state, np.asarray(actions), self._rng)
        self._elapsed = self._elapsed + 1
        if restarting.any():
            self._restart(restarting)
        reward, terminated = self._stage.outcome(self._state, np.asarray(actions), self._rng.device)
        reward, terminated = np.where(restarting, 0.0, reward), terminated & ~restarting
        truncated = np.zeros(self.num_envs, dtype=np.bool_) if self.max_steps is None else self._elapsed >= self.max_steps
        ended = terminated | truncated
        observation, info = self._stage.observation(self._state), {}
        if ended.any() and self.autoreset_mode == AutoresetMode.SAME_STEP:
            info = self._final(observation, ended)
            self._restart(ended)
            observation = self._stage.observation(self._state)
        else:
            self._ended = ended
        return observation, reward, terminated, truncated, info

    def _final(self, observation: np.ndarray, ended: np.ndarray) -> dict:
        """What Gymnasium's vector environments say of episodes that end and begin in one step."""
        final = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(ended):
            final[row] = observation[row]
        return {"final_obs": final, "_final_obs": ended.copy(), "final_info": {}, "_final_info": ended.copy()}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The pictures of now, one `h w 3` uint8 per world, if `render_mode` is "rgb_array"."""
        if self.render_mode is None:
            return None
        if self._state is None:
            raise ResetNeeded("call reset() before render()")
        return tuple(self._stage.pictures(self._state))
