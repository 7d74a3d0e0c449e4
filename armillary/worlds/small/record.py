"""Recording a small world: data for a first run with no data at hand.

The demo's world is `pusher`: everything that moves is moved by the actions, in two ways that a model must tell apart
(the disc at once, the block only through contact), the moving parts are large (10 and 15 of 64 pixels), and nothing is chaotic.
In `two-rooms` little moves, `bouncing-balls` is chaotic, and the `platformer` scrolls, which is harder than a first demo should be.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import gymnasium
import numpy as np
import torch

from armillary.core import Action, ConfigError, Episode, Policy, Prompt, Rewards, State, events_of, seeded, to_disk
from armillary.worlds.catalog import build_small
from armillary.worlds.small.policies import Mixed, Sticky, Uniform, go_to_place, push_to_goal, push_to_place, through_door

DEMO_WORLD = "pusher"
CAMERA = "observation.images.view"
EPISODES_AT_ONCE = 32
TASKS: dict[str, str] = {
    "two-rooms": "Go through the door to the goal.",
    "pusher": "Push the block onto the goal.",
    "bouncing-balls": "Keep the first ball moving.",
    "platformer": "Collect coins and reach the flag.",
}
QUIET_STEPS, EVENT_STEPS = (8, 20), (10, 24)  # how long nothing goes on, and an event; at least, and less than
WITH_GOAL = ("two-rooms", "pusher")  # worlds that draw a goal, and can leave it out
FIRST_TASK_SEED = 10**9  # recordings are drawn from the seeds below, tasks to be judged on (goals.task_seed) from those above
_MIXED: dict[str, Callable[[], Policy]] = {
    "two-rooms": lambda: Mixed(aims=(go_to_place, through_door, through_door)),
    "pusher": lambda: Mixed(aims=(go_to_place, push_to_place, push_to_place, push_to_goal)),
    "bouncing-balls": lambda: Mixed(aims=()),
    "platformer": lambda: Sticky(weights=(0.05, 0.1, 0.3, 0.05, 0.1, 0.4)),
}


def record_episodes(name: str = DEMO_WORLD, **options) -> list[Episode]:
    """The episodes of `stream_episodes`, whose options these are, all at once."""
    return list(stream_episodes(name, **options))


def stream_episodes(
    name: str = DEMO_WORLD,
    *,
    num_episodes: int = 60,
    num_steps: int = 80,
    seed: int = 0,
    size: int = 64,
    theme: str = "",
    policy: str | Policy = "mixed",
    layout: Mapping[str, object] | None = None,
    show_goal: bool = True,
    options: Mapping[str, object] | None = None,
    events: Sequence[str] = (),
    watch: Callable[[State, Action], None] | None = None,
) -> Iterator[Episode]:
    """Episodes of `num_steps` frames of a small world, all different, the same for the same seed.

    `theme` is a theme's name, "random" (one per episode) or "" for the world's own. `policy` is "mixed" (scripted and random
    motion in turn), "uniform" (a fresh random action each step) or one to follow. `layout` fixes or randomises factors; numbers
    are one for all episodes or one for each of EPISODES_AT_ONCE. `show_goal` False leaves the goal out of the pictures; the same
    things happen. `options` are more of the world's constructor. Of `events`, texts that the world knows, one begins now and then and
    lasts a while; they are the frames' captions, and the episode has no other task. Recording goes on past the end of a task:
    `terminated[t]` says that the task ended by action `t`. `state` is the exact state, as the world embeds it. ConfigError, at once,
    for what cannot be recorded. `watch` is called with the worlds' states before each step, EPISODES_AT_ONCE together, and the actions.
    """
    if not show_goal and name in TASKS and name not in WITH_GOAL:
        raise ConfigError(f"{name} draws no goal that could be left out; worlds that do: {', '.join(WITH_GOAL)}")
    world = build_small(name, size=size, **({} if show_goal else {"show_goal": False}), **(options or {}))
    if not isinstance(policy, Policy) and policy not in ("mixed", "uniform"):
        raise ConfigError(f"policy must be 'mixed', 'uniform' or a Policy, received {policy!r}")
    if num_episodes < 1 or num_steps < 2:
        raise ConfigError(f"needs at least 1 episode of 2 steps, received {num_episodes} of {num_steps}")
    if not 0 <= seed < FIRST_TASK_SEED:
        raise ConfigError(f"a recording's seed must lie in 0 ... {FIRST_TASK_SEED - 1} (tasks are drawn from those above), received {seed}")
    if not set(events) <= set(known := events_of(world)):
        raise ConfigError(f"{name} does not know all of the events {', '.join(events)}; it knows {', '.join(known) or 'none'}")
    if not isinstance(policy, Policy):
        policy = _MIXED[name]() if policy == "mixed" else Uniform(world.spec.action_space)
    layout = dict(layout or {}) | ({"theme": theme} if theme else {})
    batches = [min(EPISODES_AT_ONCE, num_episodes - done) for done in range(0, num_episodes, EPISODES_AT_ONCE)]
    prompts = [Prompt(batch_size=batch, layout=layout) for batch in batches]
    return _stream(world, policy, prompts, num_steps, TASKS[name], tuple(events), seeded(seed), watch)


def _stream(
    world,
    actor: Policy,
    prompts: list[Prompt],
    num_steps: int,
    task: str,
    events: tuple[str, ...],
    rng: torch.Generator,
    watch: Callable[[State, Action], None] | None,
) -> Iterator[Episode]:
    index = 0
    for prompt in prompts:
        scripts = [script_events(events, num_steps, rng) for _ in range(prompt.batch_size)] if events else None
        columns = _record(world, actor, prompt, num_steps, rng, scripts, watch)
        for row in range(prompt.batch_size):
            captions = scripts[row] if scripts else None
            yield _episode({key: value[row] for key, value in columns.items()}, world, task, index, captions)
            index += 1


def script_events(events: Sequence[str], num_steps: int, rng: torch.Generator) -> tuple[str, ...]:
    """The caption of every frame: nothing for QUIET_STEPS, one of `events` for EVENT_STEPS (both drawn between two ends), and so on."""
    captions: list[str] = []
    while len(captions) < num_steps:
        quiet, length = (int(torch.randint(*ends, (1,), generator=rng)) for ends in (QUIET_STEPS, EVENT_STEPS))
        captions += [""] * quiet + [events[int(torch.randint(len(events), (1,), generator=rng))]] * length
    return tuple(captions[:num_steps])


@torch.no_grad()
def _record(
    world,
    actor: Policy,
    prompt: Prompt,
    num_steps: int,
    rng: torch.Generator,
    scripts: Sequence[tuple[str, ...]] | None,
    watch: Callable[[State, Action], None] | None,
) -> dict[str, np.ndarray]:
    """Columns `b t ...` of what was seen, done and earned. A caption that changes in a frame is told to the world a step before."""
    state, memory = world.start(prompt, rng), actor.start(prompt.batch_size)
    found: dict[str, list[np.ndarray]] = {key: [] for key in ("frames", "state", "actions", "rewards", "terminated")}
    for step in range(num_steps):
        if scripts and step + 1 < num_steps:
            state = world.prompt(state, [script[step + 1] for script in scripts])
        position = world.embed(state)
        action, memory = actor.act(position, memory, rng)
        if watch:
            watch(state, action)
        found["frames"].append(to_disk(world.render(state)["rgb"]))
        found["state"].append(position.numpy())
        found["actions"].append(_as_columns(action, world.spec.action_space))
        state = world.step(state, action, rng)
        if isinstance(world, Rewards):
            reward, going = world.reward(state)
            found["rewards"].append(reward.numpy())
            found["terminated"].append((going < 0.5).numpy())
    return {key: np.stack(values, axis=1) for key, values in found.items() if values}


def _as_columns(action: torch.Tensor, space: gymnasium.Space) -> np.ndarray:
    """Float32 columns `b a`: a Discrete action becomes one-hot, which is what a model of actions wants."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.eye(int(space.n), dtype=np.float32)[action.numpy()]
    return action.numpy().astype(np.float32)


def _episode(columns: dict[str, np.ndarray], world, task: str, index: int, captions: tuple[str, ...] | None) -> Episode:
    columns = {key: np.ascontiguousarray(value) for key, value in columns.items()}
    digest = hashlib.sha256()
    for key, value in columns.items():
        digest.update(f"{key} {value.dtype} {value.shape};".encode())
        digest.update(value.tobytes())
    digest.update(repr(captions).encode() if captions else b"")
    frames = columns.pop("frames")
    return Episode(
        frames={CAMERA: frames},
        seconds_per_step=world.spec.seconds_per_step,
        task="" if captions else task,
        captions=captions,
        index=index,
        content_hash=digest.hexdigest(),
        **columns,
    )
