"""A run acts in a small world towards goal pictures, and is judged by what it brings about."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import ConfigError, DataError, Embeds, Policy, Renders, World, seeded, to_model
from armillary.core.settings import override, to_plain
from armillary.core.storage import write_json
from armillary.data.video import encode_video
from armillary.evaluate.closed_loop import (
    ClosedLoopProtocol,
    Subject,
    expert_subject,
    from_vector,
    random_subject,
    run_closed_loop,
)
from armillary.evaluate.closed_loop_film import make_film
from armillary.evaluate.closed_loop_result import ClosedLoopResult
from armillary.planning.catalog import build_planner, planner_config
from armillary.planning.config import SearchConfig
from armillary.planning.objectives import GoalImage, GoalPixels, NegativeReturn, embed_pictures
from armillary.policies.planner import PlannerPolicy, PlannerPolicyConfig
from armillary.studies.layout import build_env, read_layout, split_layout
from armillary.studies.recording import shows_goal
from armillary.studies.runs import LoadedRun, load_run
from armillary.worlds.small.goals import Tasks, kind_of

ANY_GOAL = "random"
GOAL_MARKS = ("auto", "yes", "no")
FILMED = 6
# Two seconds ahead, in actions that go together: what crosses a room does not turn at every step.
COLOURED, WHITE = {"horizon": 20}, {"horizon": 5, "block": 4}  # planners whose noise is white hold each action for four steps
SEARCH = {"samples": 200, "iterations": 3, "elites": 20, "initial_std": 0.8}  # of those that fit a distribution to elites
TRUE_DISCOUNT = 0.95


@dataclass(frozen=True, kw_only=True)
class GoalDistance:
    """The objective: see `planning.objectives.GoalEmbedding`."""

    distance: str = "l2"
    steps: str = "sum"


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """Everything that decides how a world is planned with."""

    planner: SearchConfig
    policy: PlannerPolicyConfig = field(default_factory=lambda: PlannerPolicyConfig(execute=2))
    objective: GoalDistance = field(default_factory=GoalDistance)


@dataclass(frozen=True, kw_only=True)
class PlanJob:
    """One closed-loop judgement of a run. `settings` are a person's words: `layout.*`, `planner.*`, `policy.*`, `objective.*`.

    `goal` is "random" (a goal of its own for each episode) or the path of a picture. `goal_mark`: whether the world draws its goal;
    "auto" as in the recordings that the run learned from.
    """

    run: Path | str
    env: str
    goal: str = ANY_GOAL
    planner: str = "icem"
    settings: Mapping[str, str] = field(default_factory=dict)
    protocol: ClosedLoopProtocol = field(default_factory=ClosedLoopProtocol)
    simulator: bool = True
    goal_mark: str = "auto"
    weights: str = "best"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A job, checked: nothing of it has been run."""

    job: PlanJob
    loaded: LoadedRun
    settings: PlanSettings
    layout: Mapping[str, object]
    tasks: Tasks
    goal_pictures: Float[Tensor, "b 3 h w"] | None
    subjects: Sequence[Subject]

    def to_json(self) -> dict:
        """What would be done, in plain values."""
        return {
            "run": str(self.loaded.path),
            "family": self.loaded.family,
            "env": self.job.env,
            "layout": dict(self.layout),
            "goal": self.job.goal,
            "goal_mark": self.tasks.world.show_goal,
            "episodes": len(self.tasks),
            "steps": self.job.protocol.max_steps or self.tasks.max_steps,
            "seed": self.job.protocol.seed,
            "planner": self.job.planner,
            "settings": to_plain(self.settings),
            "subjects": [subject.name for subject in self.subjects],
        }


def plan_settings(planner: str, words: Mapping[str, str]) -> PlanSettings:
    """A planner's settings for pictures of a small world, with a person's on top. ConfigError names what was not understood."""
    config = planner_config(planner)
    known = {f.name for f in fields(config)}
    wanted = (COLOURED if "noise_exponent" in known else WHITE) | (SEARCH if set(SEARCH) <= known else {})
    config = replace(config, **wanted)
    return override(PlanSettings(planner=config), words)


def prepare(job: PlanJob) -> Prepared:
    """Load and check everything. ConfigError for a run that cannot act in this world, before anything is planned."""
    layout_words, words = split_layout(job.settings)
    settings = plan_settings(job.planner, words)
    if job.goal_mark not in GOAL_MARKS:
        raise ConfigError(f"the goal mark must be one of {', '.join(GOAL_MARKS)}, received {job.goal_mark!r}")
    kind_of(build_env(job.env))
    loaded = load_run(job.run, job.weights)
    _need_abilities(loaded)
    known = shows_goal(loaded.data_path) if job.goal_mark == "auto" else job.goal_mark == "yes"
    env = build_env(job.env, size=_side(loaded), show_goal=known is not False)
    _need_same_actions(loaded, env, job.env)
    layout = read_layout(env, layout_words)
    picture = None if job.goal == ANY_GOAL else read_goal(job.goal, env.size)
    tasks = job.protocol.tasks(env, layout)
    return Prepared(
        job=job,
        loaded=loaded,
        settings=settings,
        layout=layout,
        tasks=tasks,
        goal_pictures=None if picture is None else picture.expand(len(tasks), -1, -1, -1),
        subjects=tuple(_subjects(job, loaded, settings, env)),
    )


def run_plan(
    prepared: Prepared, out: Path | str, *, replay: Sequence[str] = (), on_step: Callable[[str, int, int], None] | None = None
) -> ClosedLoopResult:
    """Run every subject; write `rows.json` (with every episode) and `episodes.mp4` into `out`."""
    closeness = None if prepared.goal_pictures is None else _closeness(prepared)
    result = run_closed_loop(
        prepared.tasks,
        prepared.subjects,
        prepared.job.protocol,
        goal_pictures=prepared.goal_pictures,
        closeness=closeness,
        film=min(FILMED, len(prepared.tasks)),
        on_step=on_step,
    )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    solved_at = {name: None if one.solved_at is None else one.solved_at.tolist() for name, one in result.outcomes.items()}
    about = prepared.to_json() | {"replay": " ".join(replay), "solved_at": solved_at, "rows": result.rows()}
    write_json(out / "rows.json", about)
    title = f"{prepared.loaded.family} in {prepared.job.env}"
    encode_video(out / "episodes.mp4", make_film(result, title), 1.0 / result.seconds_per_step)
    return result


def learned_subject(loaded: LoadedRun, planner: str, settings: PlanSettings, env: World) -> Subject:
    """The run: a policy acts as it is, a world is planned with."""

    def make(tasks: Tasks, goals: Float[Tensor, "b 3 h w"]) -> Policy:
        if isinstance(loaded.world, Policy):
            return loaded.world.with_goal(goals)
        world = within(loaded.world, env.spec.action_space)
        options = to_plain(settings.objective)
        objective = GoalImage(world, goals, seeded(0), **options) if isinstance(world, Embeds) else GoalPixels(world, goals, **options)
        return PlannerPolicy(world, build_planner(planner, settings.planner), objective, settings.policy)

    return Subject(loaded.family, make)


def simulator_subject(planner: str, settings: PlanSettings) -> Subject:
    """The same planner with the true world as its model and its reward, which knows the goal and the way: the ceiling."""

    def make(tasks: Tasks, goals: Float[Tensor, "b 3 h w"]) -> Policy:
        search, objective = build_planner(planner, settings.planner), NegativeReturn(TRUE_DISCOUNT)
        return PlannerPolicy(tasks.world, search, objective, settings.policy, state_of=lambda seen: from_vector(tasks.start, seen))

    return Subject("simulator", make, "state")


def within(world: nn.Module, space: gymnasium.spaces.Box) -> nn.Module:
    """The same world, of which only actions that the body can do are asked.

    A learned world's own bounds are five deviations of its data, which reach beyond what was ever done: a planner that looks there
    finds what the model makes up.
    """
    own = world.spec.action_space
    low, high = np.maximum(own.low, space.low), np.minimum(own.high, space.high)
    bounded = copy.copy(world)
    bounded.spec = replace(world.spec, action_space=gymnasium.spaces.Box(low, high, dtype=np.float32))
    return bounded


def read_goal(path: Path | str, side: int) -> Float[Tensor, "1 3 {side} {side}"]:
    """A picture as a goal. DataError unless it is an RGB picture of `side` x `side` pixels: it is never resized."""
    from PIL import Image, UnidentifiedImageError

    if not Path(path).is_file():
        raise ConfigError(f"--goal must be {ANY_GOAL!r} or the path of a picture; there is no file {path}")
    try:
        with Image.open(path) as image:
            if image.size != (side, side):
                width, height = image.size
                raise DataError(f"{path} is {height} x {width} pixels (height x width), the world sees {side} x {side}; resize the picture")
            if image.mode != "RGB":
                raise DataError(f"{path} holds {image.mode} pixels, the world sees 8-bit RGB; save it as RGB, without transparency")
            pixels = np.array(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); save it as PNG") from error
    return to_model(torch.from_numpy(pixels)[None])


def _need_abilities(loaded: LoadedRun) -> None:
    world, name = loaded.world, f"{loaded.path} ({loaded.family})"
    if isinstance(world, Policy):
        if not hasattr(world, "with_goal"):
            raise ConfigError(f"{name} is a policy that takes no goal; train goal-cloning or inverse-dynamics to go to goal pictures")
        return
    if not isinstance(world, World):
        raise ConfigError(f"{name} is an encoder without actions, so nothing can be planned with it; train jepa to plan")
    if not isinstance(world, Embeds | Renders):
        raise ConfigError(f"{name} neither embeds nor draws what it sees, so it cannot say how far a goal picture is; train jepa to plan")
    missing = sorted(set(world.spec.prompt) - {"frames", "actions"})
    if missing or "frames" not in world.spec.prompt:
        raise ConfigError(f"{name} starts from {', '.join(world.spec.prompt)}; planning here gives it one picture and nothing else")


def _side(loaded: LoadedRun) -> int:
    height, width = loaded.world.spec.sees or (64, 64)
    if height != width:
        raise ConfigError(f"{loaded.path} sees {height} x {width} pixels (height x width), the small worlds are square")
    return height


def _need_same_actions(loaded: LoadedRun, env: World, name: str) -> None:
    learned, true = loaded.world.spec, env.spec
    if tuple(learned.action_space.shape) != tuple(true.action_space.shape):
        raise ConfigError(
            f"{loaded.path} takes actions of shape {tuple(learned.action_space.shape)}, {name} of {tuple(true.action_space.shape)}; "
            "it was trained on another robot or with another --data.stride"
        )
    if not np.isclose(learned.seconds_per_step, true.seconds_per_step, rtol=0.02):
        raise ConfigError(
            f"{loaded.path} learned steps of {learned.seconds_per_step:.3f} s, {name} makes steps of {true.seconds_per_step:.3f} s"
        )


def _subjects(job: PlanJob, loaded: LoadedRun, settings: PlanSettings, env: World) -> list[Subject]:
    subjects = [learned_subject(loaded, job.planner, settings, env), random_subject()]
    if job.goal == ANY_GOAL:  # the true goal of a mere picture is not known
        subjects += [expert_subject(), *([simulator_subject(job.planner, settings)] if job.simulator else [])]
    return subjects


def _closeness(prepared: Prepared) -> Callable[[Tensor, Tensor], Tensor]:
    """How far pictures are from the goal: in the run's own latents; without such, in mean absolute pixel difference."""
    world = prepared.loaded.world
    if not isinstance(world, Embeds):
        return lambda pictures, goals: (pictures - goals).abs().mean(dim=(1, 2, 3))
    target = GoalImage(world, prepared.goal_pictures, seeded(0), **to_plain(prepared.settings.objective))
    return lambda pictures, goals: target.distances(embed_pictures(world, pictures, seeded(0)))
