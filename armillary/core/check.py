"""check_world: the World contract as a test that anyone can run on a world of their own."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NoReturn

import gymnasium
import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from armillary.core.errors import WorldError
from armillary.core.state import State, concatenate
from armillary.core.world import Embeds, Prompt, Promptable, Renders, Rewards, World, WorldSpec, seeded

NUM_WORLDS = 3
NUM_STEPS = 3


def check_world(world: World, prompt: Prompt | None = None, *, seed: int = 0) -> None:
    """Raise WorldError naming the first rule that `world` breaks; return nothing if it keeps them all.

    Without a prompt, one of random pictures and actions is made, which is enough for a world that starts from `frames` and
    `actions`. Checked: the spec, shapes, ranges, that the seed alone decides, that worlds of a batch ignore one another, that
    states are never written to and any of them can be stepped again, that rows, repeats and joins of states step alike, that a
    state survives a safetensors file, that a rollout is its steps, and every ability.
    """
    _check_spec(world)
    module = world if isinstance(world, torch.nn.Module) else torch.nn.Module()
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    prompt = prompt or _make_prompt(world, seed, device)
    copies = math.ceil(NUM_WORLDS / prompt.batch_size)
    actions = _sample_actions(world, prompt.batch_size * copies, seed, device)
    trial = _Trial(world=world, prompt=prompt, seed=seed, device=device, copies=copies, actions=actions)
    weights = _copies(module.state_dict())
    chance = _global_chance()
    with torch.no_grad():
        for check_rule in _RULES:
            check_rule(trial)
    if chance != _global_chance():
        _fail(world, "randomness is passed in", "a global generator (torch's or numpy's) was used; draw from `rng` only")
    for name, before in weights.items():
        if not torch.equal(before, module.state_dict()[name]):
            _fail(world, "a world holds no hidden position", f"the weight or buffer {name!r} changed while the world was used")


@dataclass(frozen=True)
class _Trial:
    """A world under test, and a way to make the same calls again. What it returns is not yet known to be a State."""

    world: World
    prompt: Prompt
    seed: int
    device: torch.device
    copies: int  # how many times a start is repeated to make at least NUM_WORLDS
    actions: Tensor  # b t ...

    def start(self, seed_offset: int = 0) -> Any:
        return self.world.start(self.prompt, seeded(self.seed + seed_offset, self.device))

    def states(self) -> tuple[State, Tensor]:
        """A state of at least NUM_WORLDS worlds, and actions for it."""
        return self.start().repeat(self.copies), self.actions

    def step(self, state: State, action: Tensor, seed_offset: int = 0) -> Any:
        return self.world.step(state, action, seeded(self.seed + 100 + seed_offset, self.device))

    def shown(self, state: State) -> dict[str, Tensor]:
        """Everything that the world says about a state, its own tensors included."""
        found = {f"state.{name}": tensor for name, tensor in state.tensors().items()}
        if isinstance(self.world, Renders):
            found |= {f"render[{name!r}]": picture for name, picture in self.world.render(state).items()}
        if isinstance(self.world, Embeds):
            found["embed"] = self.world.embed(state)
        if isinstance(self.world, Rewards):
            found["reward"], found["continue"] = self.world.reward(state)
        return found


def _fail(world: World, rule: str, detail: str) -> NoReturn:
    raise WorldError(f"{type(world).__name__} breaks the rule {rule!r}: {detail}")


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _global_chance() -> tuple:
    numpy_state = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), numpy_state[1].tobytes(), numpy_state[2]


def _difference(first: dict[str, Tensor], second: dict[str, Tensor], *, exact: bool = True) -> str:
    """Where two answers differ, or the empty string."""
    if first.keys() != second.keys():
        return f"{sorted(first)} became {sorted(second)}"
    for name, left in first.items():
        right = second[name]
        if left.shape != right.shape or left.dtype != right.dtype:
            return f"{name} was {tuple(left.shape)} {left.dtype} and became {tuple(right.shape)} {right.dtype}"
        close = torch.equal(left, right) if exact or not left.is_floating_point() else torch.allclose(left, right, rtol=1e-3, atol=1e-4)
        if not close:
            return f"{name} differs by up to {(left.double() - right.double()).abs().max():.3g}"
    return ""


def _check_spec(world: World) -> None:
    rule = "the spec says what goes in and what comes out"
    spec = getattr(world, "spec", None)
    if not isinstance(spec, WorldSpec):
        _fail(world, rule, f"world.spec must be a WorldSpec, found {type(spec).__name__}")
    if not (math.isfinite(spec.seconds_per_step) and spec.seconds_per_step > 0):
        _fail(world, rule, f"seconds_per_step must be a positive number, found {spec.seconds_per_step}")
    unknown = set(spec.prompt) - {f.name for f in fields(Prompt)}
    if unknown:
        _fail(world, rule, f"spec.prompt names {sorted(unknown)}, which Prompt does not have")
    if spec.context_steps < 1:
        _fail(world, rule, f"context_steps must be at least 1, found {spec.context_steps}")
    action = spec.action_space
    one_axis = isinstance(action, gymnasium.spaces.Box) and len(action.shape) == 1 and np.issubdtype(action.dtype, np.floating)
    if not (one_axis or isinstance(action, gymnasium.spaces.Discrete)):
        _fail(world, rule, f"action_space must be a float Box of one axis or a Discrete, found {action}")
    seen = spec.observation_space
    if isinstance(world, Renders):
        if not (isinstance(seen, gymnasium.spaces.Box) and seen.dtype == np.uint8 and len(seen.shape) == 3 and seen.shape[-1] == 3):
            _fail(world, rule, f"a world that Renders has the observation_space Box (h, w, 3) uint8, found {seen}")
    elif isinstance(world, Embeds) and not (isinstance(seen, gymnasium.spaces.Box) and len(seen.shape) == 1):
        _fail(world, rule, f"a world that only Embeds has the observation_space Box (d,), found {seen}")


def _sample_actions(world: World, batch_size: int, seed: int, device: torch.device) -> Tensor:
    space = copy.deepcopy(world.spec.action_space)
    space.seed(seed)
    drawn = np.stack([[space.sample() for _ in range(NUM_STEPS)] for _ in range(batch_size)])
    return torch.as_tensor(drawn, dtype=torch.long if isinstance(space, gymnasium.spaces.Discrete) else torch.float32, device=device)


def _make_prompt(world: World, seed: int, device: torch.device) -> Prompt:
    spec = world.spec
    cannot = set(spec.prompt) - {"frames", "actions", "batch_size", "layout"}
    if cannot:
        raise WorldError(f"{type(world).__name__} starts from {sorted(cannot)}, which check_world cannot make up: give it a prompt")
    given = {}
    if "frames" in spec.prompt:
        if spec.sees is None:
            _fail(world, "a world that starts from frames says their size", "its spec has no frame_size, and it shows no pictures")
        height, width = spec.sees
        given["frames"] = torch.rand(NUM_WORLDS, spec.context_steps, 3, height, width, generator=seeded(seed)).to(device)
    if "actions" in spec.prompt or "frames" in spec.prompt:
        drawn = [_sample_actions(world, NUM_WORLDS, seed + t, device)[:, 0] for t in range(1, spec.context_steps)]
        empty = _sample_actions(world, NUM_WORLDS, seed, device)[:, :0]
        given["actions"] = torch.stack(drawn, dim=1) if drawn else empty
    return Prompt(batch_size=NUM_WORLDS, **given)


def _check_state(trial: _Trial, state: object, batch_size: int, source: str) -> None:
    rule = "a state is a frozen dataclass of tensors, batch first"
    if not isinstance(state, State) or not is_dataclass(state):
        _fail(trial.world, rule, f"{source} gave {type(state).__name__}, not a State")
    if not type(state).__dataclass_params__.frozen:
        _fail(trial.world, rule, f"{type(state).__name__} is not frozen; declare it with @dataclass(frozen=True)")
    for name, tensor in state.tensors().items():
        if tensor.ndim == 0 or len(tensor) != batch_size:
            _fail(trial.world, rule, f"{source}: {name} has shape {tuple(tensor.shape)}, expected {batch_size} rows")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            _fail(trial.world, rule, f"{source}: {name} is not finite")
    if not state.tensors():
        _fail(trial.world, rule, f"{source} gave a state that holds no tensor")


def _check_start(trial: _Trial) -> None:
    world = trial.world
    state = trial.start()
    _check_state(trial, state, trial.prompt.batch_size, "start")
    if difference := _difference(state.tensors(), trial.start().tensors()):
        _fail(world, "the same seed gives the same answer", f"start, called twice: {difference}")
    if world.spec.prompt:
        try:
            world.start(Prompt(batch_size=trial.prompt.batch_size), seeded(trial.seed, trial.device))
        except WorldError:
            return
        rule = "start refuses a prompt that lacks what the spec names"
        _fail(world, rule, f"it started without {', '.join(world.spec.prompt)}; call core.require first")


def _check_step(trial: _Trial) -> None:
    state, actions = trial.states()
    after = trial.step(state, actions[:, 0])
    _check_state(trial, after, state.batch_size, "step")
    before, now = ({n: (t.shape, t.dtype) for n, t in s.tensors().items()} for s in (state, after))
    if before != now:
        changed = [n for n in before.keys() | now.keys() if before.get(n) != now.get(n)]
        _fail(trial.world, "a state keeps its shapes, so that fresh and old rows can be joined", f"a step changed {changed}")
    if difference := _difference(after.tensors(), trial.step(state, actions[:, 0]).tensors()):
        _fail(trial.world, "the same seed gives the same answer", f"step, called twice: {difference}")


def _check_branching(trial: _Trial) -> None:
    """Whatever is done meanwhile, a kept state stays as it was and leads where it led."""
    state, actions = trial.states()
    kept = _copies(state.tensors())
    first = trial.step(state, actions[:, 0])
    kept_first, shown_first = _copies(first.tensors()), _copies(trial.shown(first))
    elsewhere = trial.step(trial.step(first, actions[:, 1]), actions[:, 2])
    trial.shown(elsewhere)
    trial.start(seed_offset=1)
    for name, is_now, was in (("the starting state", state.tensors(), kept), ("a state after a step", first.tensors(), kept_first)):
        if difference := _difference(was, is_now):
            _fail(trial.world, "states are never written to", f"{name}: {difference}")
    if difference := _difference(shown_first, trial.shown(first)):
        _fail(trial.world, "a world holds no hidden position", f"what it says of a kept state changed: {difference}")
    if difference := _difference(kept_first, trial.step(state, actions[:, 0]).tensors()):
        _fail(trial.world, "a world holds no hidden position", f"a kept state, stepped again later, led elsewhere: {difference}")


def _check_rows(trial: _Trial) -> None:
    rule = "rows, repeats and joins of states step like the states themselves"
    state, actions = trial.states()
    count = state.batch_size
    after = trial.step(state, actions[:, 0])
    joined = concatenate([state.rows([i]) for i in range(count)])
    if difference := _difference(state.tensors(), joined.tensors()):
        _fail(trial.world, rule, f"rows joined again: {difference}")
    if difference := _difference(after.tensors(), trial.step(joined, actions[:, 0]).tensors()):
        _fail(trial.world, rule, f"a step from joined rows: {difference}")
    _check_state(trial, trial.step(state.repeat(2), actions[:, 0].repeat_interleave(2, dim=0)), 2 * count, "step of repeated rows")
    one = trial.step(state.rows([1]), actions[[1], 0])
    _check_state(trial, one, 1, "step of one row")
    draws_noise = _difference(after.tensors(), trial.step(state, actions[:, 0], seed_offset=1).tensors())
    if not draws_noise and (difference := _difference(trial.shown(after.rows([1])), trial.shown(one), exact=False)):
        _fail(trial.world, rule, f"a world stepped alone and in a batch: {difference}")
    mixed = concatenate([state.rows([0]), after.rows([1])])
    _check_state(trial, trial.step(mixed, actions[:2, 1]), 2, "step of a fresh and an old row")


def _check_independence(trial: _Trial) -> None:
    """Change the first world and its action: the others must not notice."""
    rule = "worlds of a batch never influence one another"
    state, actions = trial.states()
    others = list(range(1, state.batch_size))
    state = trial.step(state, actions[:, 0])
    moved = trial.step(state, actions[:, 1])
    shown = trial.shown(moved)
    changed_state = trial.step(state.rows([1, *others]), actions[[1, *others], 1])
    changed_action = trial.step(state, torch.cat([actions[:1, 2], actions[1:, 1]]))
    for what, changed in (("state", changed_state), ("action", changed_action)):
        left = {name: tensor[1:] for name, tensor in shown.items()}
        right = {name: tensor[1:] for name, tensor in trial.shown(changed).items()}
        if difference := _difference(left, right, exact=False):
            _fail(trial.world, rule, f"another {what} of the first world changed the rest: {difference}")
    frames = trial.prompt.frames
    if frames is not None and len(frames) > 1:
        other = replace(trial.prompt, frames=torch.cat([1.0 - frames[:1], frames[1:]]))
        there = trial.world.start(other, seeded(trial.seed, trial.device)).rows(slice(1, None)).tensors()
        if difference := _difference(trial.start().rows(slice(1, None)).tensors(), there, exact=False):
            _fail(trial.world, rule, f"another picture in the first prompt changed the rest: {difference}")


def _check_saving(trial: _Trial) -> None:
    state, actions = trial.states()
    contiguous = {name: tensor.contiguous().clone() for name, tensor in state.tensors().items()}
    read = safetensors.torch.load(safetensors.torch.save(contiguous))
    loaded = state.with_tensors({name: tensor.to(trial.device) for name, tensor in read.items()})
    if difference := _difference(trial.step(state, actions[:, 0]).tensors(), trial.step(loaded, actions[:, 0]).tensors()):
        _fail(trial.world, "a state survives being saved", f"a step from the loaded state: {difference}; keep everything in tensors")


def _check_rollout(trial: _Trial) -> None:
    state, actions = trial.states()
    together = trial.world.rollout(state, actions, seeded(trial.seed, trial.device))
    rng, one_by_one = seeded(trial.seed, trial.device), []
    for t in range(NUM_STEPS):
        one_by_one.append(trial.world.step(one_by_one[-1] if one_by_one else state, actions[:, t], rng))
    if len(together) != NUM_STEPS:
        _fail(trial.world, "a rollout is its steps", f"{NUM_STEPS} actions gave {len(together)} states")
    for t, (left, right) in enumerate(zip(together, one_by_one, strict=True)):
        if difference := _difference(left.tensors(), right.tensors(), exact=False):
            _fail(trial.world, "a rollout is its steps", f"step {t}: {difference}")


def _check_abilities(trial: _Trial) -> None:
    state, actions = trial.states()
    for where, place in (("at the start", state), ("after a step", trial.step(state, actions[:, 0]))):
        for ability, check in _ABILITIES:
            if isinstance(trial.world, ability) and (problem := check(trial.world, place)):
                _fail(trial.world, f"{ability.__name__} keeps its promise", f"{where}: {problem}")


def _picture_problem(world: Renders, state: State) -> str:
    pictures = world.render(state)
    if "rgb" not in pictures:
        return f"render must give 'rgb', found {sorted(pictures)}"
    for name, picture in pictures.items():
        if picture.ndim != 4 or len(picture) != state.batch_size:
            return f"{name} must be `b c h w`, found {tuple(picture.shape)}"
    rgb, (height, width, channels) = pictures["rgb"], world.spec.observation_space.shape
    if tuple(rgb.shape[1:]) != (channels, height, width) or not rgb.is_floating_point():
        return f"rgb must be float {(channels, height, width)} as the spec says, found {rgb.dtype} {tuple(rgb.shape[1:])}"
    if not bool(((rgb >= -1e-4) & (rgb <= 1.0 + 1e-4)).all()):
        return f"rgb must lie in [0, 1], found {rgb.min():.3g} to {rgb.max():.3g}"
    return ""


def _vector_problem(world: Embeds, state: State) -> str:
    vector = world.embed(state)
    if vector.ndim != 2 or len(vector) != state.batch_size or not vector.is_floating_point():
        return f"embed must give float `b d`, found {vector.dtype} {tuple(vector.shape)}"
    return "" if bool(torch.isfinite(vector).all()) else "embed must be finite"


def _reward_problem(world: Rewards, state: State) -> str:
    reward, going = world.reward(state)
    for name, value in (("reward", reward), ("continue", going)):
        if tuple(value.shape) != (state.batch_size,) or not value.is_floating_point() or not bool(torch.isfinite(value).all()):
            return f"{name} must be one finite float per world, found {value.dtype} {tuple(value.shape)}"
    return "" if bool(((going >= 0) & (going <= 1)).all()) else f"continue must lie in [0, 1], found {going.min():.3g} to {going.max():.3g}"


def _prompt_problem(world: Promptable, state: State) -> str:
    if not world.events:
        return ""
    before, texts = _copies(state.tensors()), [world.events[0], *[""] * (state.batch_size - 1)]
    told = world.prompt(state, texts)
    if any(not torch.equal(tensor, before[name]) for name, tensor in state.tensors().items()):
        return "prompt wrote to the state that it was given"
    if isinstance(world, Renders) and not torch.equal(world.render(told)["rgb"], world.render(state)["rgb"]):
        return "prompt must leave what is seen now; an event begins with the next step"
    try:
        world.prompt(state, [*texts, ""])
    except WorldError:
        return ""
    return "prompt must refuse texts that are not as many as worlds, with a WorldError"


_ABILITIES: tuple[tuple[type, Callable], ...] = (
    (Renders, _picture_problem),
    (Embeds, _vector_problem),
    (Rewards, _reward_problem),
    (Promptable, _prompt_problem),
)


def _check_observe(trial: _Trial) -> None:
    world = trial.world
    starts_again = type(world).observe is World.observe
    if not isinstance(world, Renders) or (starts_again and (set(world.spec.prompt) != {"frames"} or world.spec.context_steps > 1)):
        return
    state, actions = trial.states()
    kept, seen = _copies(state.tensors()), world.render(state)["rgb"]
    after = world.observe(state, actions[:, 0], seen, seeded(trial.seed, trial.device))
    _check_state(trial, after, state.batch_size, "observe")
    if difference := _difference(kept, state.tensors()):
        _fail(world, "states are never written to", f"observe: {difference}")


_RULES: tuple[Callable[[_Trial], None], ...] = (
    _check_start,
    _check_step,
    _check_abilities,
    _check_branching,
    _check_rows,
    _check_independence,
    _check_saving,
    _check_rollout,
    _check_observe,
)
