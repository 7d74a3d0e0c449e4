"""Violations of physics planted in bouncing balls, each beside the same scene as physics has it.

Two possible scenes, twins, differ in one ball alone: in the second it does not exist, or is somewhere else. Until that ball meets
another, all others do the same in both. A film cut from one twin to the other meanwhile shows a ball that vanishes, appears or
teleports, and every picture of the two cut films is one of the two possible ones: no picture and no set of pictures tells them apart,
only their order (as in the matched quadruples of IntPhys, arXiv:1803.07616). Balls that pass through one another have no such twin:
pictures in which balls overlap are never possible.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from armillary.core import ConfigError, Episode, Prompt, seeded, to_disk
from armillary.worlds.small.bouncing_balls import BallsState, BouncingBalls
from armillary.worlds.small.policies import Mixed
from armillary.worlds.small.record import CAMERA, FIRST_TASK_SEED, TASKS

KINDS = ("vanish", "teleport", "pass-through")
EQUAL_BALLS: Mapping[str, object] = {"radius_spread": 0.0}  # a ball may be put where another was
LEAST_JUMP_M = 0.2  # a ball's width
SAME_M_S = 1e-5  # two velocities that differ by less are one
DEEPEST = 0.5  # balls pass through one another when they come nearer than this share of the sum of their radii
MARGIN = 8  # frames before the earliest violation, and after the latest
AT_ONCE = 32  # episodes recorded side by side
CANDIDATES = 256  # scenes drawn at once; those in which nothing can be planted are left out
MOST_DRAWS = 100


@dataclass(frozen=True, kw_only=True)
class Films:
    """What was seen, and where every ball was (metres; NaN where a ball does not exist)."""

    frames: UInt8[np.ndarray, "b t h w c"]
    positions: Float[Tensor, "b t n 2"]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Row by row a possible film and the same with one violation: equal before frame `step`, which physics could not give.

    `actions[:, t]` leads from frame t to frame t + 1 in both; the last leads out of the film. Rows of one `scene` are cut from the same
    two twins.
    """

    kind: str
    possible: Films
    impossible: Films
    actions: Float[Tensor, "b t 2"]
    step: Int[Tensor, " b"]
    scene: Int[Tensor, " b"]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True)
class _Course:
    """What happens in a batch of scenes: their states by frame, and the actions between them."""

    world: BouncingBalls
    states: list[BallsState]
    actions: Float[Tensor, "b t 2"]

    @property
    def positions(self) -> Float[Tensor, "b t n 2"]:
        return torch.stack([state.position for state in self.states], dim=1)

    @property
    def velocities(self) -> Float[Tensor, "b t n 2"]:
        return torch.stack([state.velocity for state in self.states], dim=1)

    def film(self, rows: Int[Tensor, " k"], num_balls: int) -> Films:
        """What is seen of some scenes; of `num_balls`, those that do not exist are NaN."""
        frames = np.stack([to_disk(self.world.render(state.rows(rows))["rgb"]) for state in self.states], axis=1)
        positions = self.positions[rows]
        missing = positions.new_full((*positions.shape[:2], num_balls - positions.shape[2], 2), torch.nan)
        return Films(frames=frames, positions=torch.cat([positions, missing], dim=2))


def plant(
    kind: str,
    num_scenes: int,
    *,
    seed: int,
    num_steps: int = 24,
    size: int = 64,
    num_balls: int = 3,
    layout: Mapping[str, object] = EQUAL_BALLS,
) -> Planted:
    """`num_scenes` scenes in which one violation of a kind (KINDS) is planted, and the possible films matched to them.

    "vanish": the last ball vanishes from one frame to the next, or appears (two rows a scene). "teleport": a ball is at another place,
    at least LEAST_JUMP_M away, with the velocity that it had, and the other way round (two rows). "pass-through": two balls about to
    collide do not, then or later, and come nearer than DEEPEST of touching (one row). The first and last MARGIN frames hold none.
    ConfigError for a kind, a length or a number of balls that cannot be, and where no scene of the layout lets it be planted.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no violation {kind!r}; choose one of {', '.join(KINDS)}")
    if num_steps <= 2 * MARGIN:
        raise ConfigError(f"a film with a violation needs more than {2 * MARGIN} frames, received num_steps = {num_steps}")
    if num_balls < 2 or num_scenes < 1:
        raise ConfigError(f"needs at least 1 scene of 2 balls, received {num_scenes} of {num_balls}")
    make = {"vanish": _vanish, "teleport": _teleport, "pass-through": _pass_through}[kind]
    rng, parts, done = seeded(FIRST_TASK_SEED + seed), [], 0
    for _ in range(MOST_DRAWS):
        for part in make(_Draw(size, num_balls, num_steps, layout, rng), num_scenes - done):
            parts.append(replace(part, scene=part.scene + done))
            done = int(parts[-1].scene[-1]) + 1
        if done == num_scenes:
            return _join(parts)
    raise ConfigError(
        f"only {done} of {num_scenes} scenes hold a {kind} after {MOST_DRAWS * CANDIDATES} draws from the layout {dict(layout)}"
    )


def possible_episodes(
    num_episodes: int,
    *,
    seed: int,
    num_steps: int = 40,
    size: int = 64,
    num_balls: Sequence[int] = (2, 3),
    layout: Mapping[str, object] = EQUAL_BALLS,
) -> Iterator[Episode]:
    """Recordings to learn from, in which nothing impossible happens: of each number of balls in turn (one may come twice).

    Scenes are drawn as in `plant`, from other seeds. The exact state is left out: its size goes with the number of balls.
    """
    rng = seeded(seed)
    for first in range(0, num_episodes, AT_ONCE):
        count = min(AT_ONCE, num_episodes - first)
        draws = [_Draw(size, balls, num_steps, layout, rng, batch=-(-count // len(num_balls))) for balls in num_balls]
        courses = [draw.course(draw.world(), draw.start()) for draw in draws]
        films = [course.film(torch.arange(draws[0].batch), max(num_balls)) for course in courses]
        for index in range(count):
            turn, row = index % len(num_balls), index // len(num_balls)
            yield Episode(
                frames={CAMERA: films[turn].frames[row]},
                actions=courses[turn].actions[row].numpy(),
                seconds_per_step=courses[turn].world.spec.seconds_per_step,
                task=TASKS["bouncing-balls"],
                index=first + index,
            )


class _Draw:
    """A batch of scenes at random: where the balls start, and what is done to the first one."""

    def __init__(self, size: int, num_balls: int, num_steps: int, layout: Mapping[str, object], rng: Generator, batch: int = CANDIDATES):
        self.size, self.num_balls, self.layout, self.rng, self.batch = size, num_balls, dict(layout), rng, batch
        policy = Mixed(aims=())
        memory, done = policy.start(batch), []
        for _ in range(num_steps):
            action, memory = policy.act(torch.zeros(batch, 4), memory, rng)
            done.append(action)
        self.actions = torch.stack(done, dim=1)

    def world(self, **options) -> BouncingBalls:
        """The world of these scenes, or another one with `options`."""
        return BouncingBalls(**{"size": self.size, "num_balls": self.num_balls, **options})

    def start(self, more: int = 0) -> BallsState:
        """Where they start; with `more` balls, each in a cell of its own."""
        world = self.world(num_balls=self.num_balls + more)
        return world.start(Prompt(batch_size=self.batch, layout=self.layout), self.rng)

    def course(self, world: BouncingBalls, start: BallsState) -> _Course:
        """What happens then."""
        states = [start, *world.rollout(start, self.actions[:, :-1], self.rng)]
        return _Course(world=world, states=states, actions=self.actions)

    def choose(self, allowed: Bool[Tensor, "b t"]) -> Int[Tensor, " b"]:
        """One of the frames allowed of each scene, MARGIN from both ends; -1 where none is."""
        inner = torch.zeros_like(allowed)
        inner[:, MARGIN : allowed.shape[1] - MARGIN + 1] = True
        weight = torch.rand(allowed.shape, generator=self.rng) * (allowed & inner)
        return torch.where(weight.amax(dim=1) > 0, weight.argmax(dim=1), -1)


def _vanish(draw: _Draw, most: int) -> list[Planted]:
    """The twin lacks the last ball."""
    start, last = draw.start(), draw.num_balls - 1
    whole = draw.course(draw.world(), start)
    lacking = draw.course(draw.world(num_balls=last), _keep(start, list(range(last))))
    agree = _agree_before(whole.positions[:, :, :last], lacking.positions)
    return _cut("vanish", whole, lacking, draw.choose(agree), most)


def _teleport(draw: _Draw, most: int) -> list[Planted]:
    """In the twin a ball, any of them, started in another cell, with the same velocity."""
    spare, balls = draw.start(more=1), draw.num_balls
    every, moved = torch.arange(draw.batch), torch.randint(balls, (draw.batch,), generator=draw.rng)
    start = _keep(spare, list(range(balls)))
    elsewhere = start.position.clone()
    elsewhere[every, moved] = spare.position[:, balls]
    here, there = (draw.course(draw.world(), one) for one in (start, replace(start, position=elsewhere)))
    others = (torch.arange(balls) != moved[:, None])[:, None, :, None]
    agree = _agree_before(here.positions * others, there.positions * others)
    jump = (here.positions - there.positions)[every, :, moved].norm(dim=-1) >= LEAST_JUMP_M
    on = (here.velocities - there.velocities)[every, :, moved].abs().amax(dim=-1) < SAME_M_S
    before = torch.nn.functional.pad(jump & on, (1, -1))  # of the frame before
    return _cut("teleport", here, there, draw.choose(agree & before), most)


def _pass_through(draw: _Draw, most: int) -> list[Planted]:
    """The other film is that of a world in which two balls never collide; it differs from the frame on where they first would."""
    start, num_steps = draw.start(), draw.actions.shape[1]
    physics = draw.course(draw.world(), start)
    parts, taken = [], torch.zeros(draw.batch, dtype=torch.bool)
    for pair in combinations(range(draw.num_balls), 2):
        ghosts = draw.course(draw.world(without_contact=(pair,)), start)
        differ = (physics.positions != ghosts.positions).flatten(2).any(dim=-1)
        step = torch.where(differ.any(dim=1), differ.float().argmax(dim=1), 0)
        apart = (ghosts.positions[:, :, pair[0]] - ghosts.positions[:, :, pair[1]]).norm(dim=-1)
        reach = start.radius[:, pair[0]] + start.radius[:, pair[1]]
        fits = (apart.amin(dim=1) < DEEPEST * reach) & (step >= MARGIN) & (step <= num_steps - MARGIN) & ~taken
        taken |= fits
        rows = fits.nonzero()[: most - sum(map(len, parts)), 0]
        if not len(rows):
            continue
        films = {"possible": physics.film(rows, draw.num_balls), "impossible": ghosts.film(rows, draw.num_balls)}
        parts.append(Planted(kind="pass-through", **films, actions=draw.actions[rows], step=step[rows], scene=torch.arange(len(rows))))
    return parts


def _cut(kind: str, first: _Course, second: _Course, step: Int[Tensor, " b"], most: int) -> list[Planted]:
    """Both twins, and from frame `step` on the other one of each: two rows a scene; nothing where no scene has a step (-1)."""
    rows = (step >= 0).nonzero()[:most, 0]
    if not len(rows):
        return []
    balls = first.positions.shape[2]
    twins = [course.film(rows, balls) for course in (first, second)]
    step, actions = step[rows], first.actions[rows]
    early = torch.arange(actions.shape[1]) < step[:, None]

    def paired(join) -> Films:
        frames = [np.where(early.numpy()[:, :, None, None, None], *(film.frames for film in pair)) for pair in join]
        positions = [torch.where(early[:, :, None, None], *(film.positions for film in pair)) for pair in join]
        return Films(
            frames=np.stack(frames, axis=1).reshape(-1, *frames[0].shape[1:]), positions=torch.stack(positions, dim=1).flatten(0, 1)
        )

    a, b = twins
    found = Planted(
        kind=kind,
        possible=paired([(a, a), (b, b)]),
        impossible=paired([(a, b), (b, a)]),
        actions=actions.repeat_interleave(2, dim=0),
        step=step.repeat_interleave(2),
        scene=torch.arange(len(rows)).repeat_interleave(2),
    )
    return [found]


def _keep(state: BallsState, balls: list[int]) -> BallsState:
    """The same scene with some of its balls."""
    return replace(state, radius=state.radius[:, balls], position=state.position[:, balls], velocity=state.velocity[:, balls])


def _agree_before(first: Float[Tensor, "b t n 2"], second: Float[Tensor, "b t n 2"]) -> Bool[Tensor, "b t"]:
    """Whether two courses are exactly the same in all frames before each."""
    same = (first == second).flatten(2).all(dim=-1)
    return torch.nn.functional.pad(same.cummin(dim=1).values, (1, -1), value=True)


def _join(parts: Sequence[Planted]) -> Planted:
    """The rows of all parts."""

    def films(which: str) -> Films:
        found = [getattr(part, which) for part in parts]
        return Films(frames=np.concatenate([film.frames for film in found]), positions=torch.cat([film.positions for film in found]))

    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("actions", "step", "scene")}
    return Planted(kind=parts[0].kind, possible=films("possible"), impossible=films("impossible"), **columns)
