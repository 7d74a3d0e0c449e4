"""What a person names, as a playable world: a small world, a scene of a twin, or a run with the simulator that it learned from."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import gymnasium
import numpy as np
import torch

from armillary.core import ConfigError, Episode, Prompt, WorldError, seeded, to_disk, to_model
from armillary.data.resize import area_resize
from armillary.data.schema import DatasetInfo
from armillary.serve.controls import Choice, Controls, Value, controls_of
from armillary.serve.playable import Beginning, Place, Playable, Truth
from armillary.studies.recording import NO_GOAL
from armillary.studies.runs import LoadedRun, held_out, load_run
from armillary.worlds.catalog import SMALL, build_small
from armillary.worlds.small.exact import SmallWorld
from armillary.worlds.small.record import CAMERA, TASKS
from armillary.worlds.twin.scenes.catalogue import SCENES

DEFAULT = "platformer"
PREFIX = "armillary-"  # of the robot's name in recordings of small worlds
CHOICES = {
    "platformer": (
        Choice(name="stand"),
        Choice(name="left", held=("left",)),
        Choice(name="right", held=("right",)),
        Choice(name="jump", held=("up",)),
        Choice(name="left and jump", held=("left", "up")),
        Choice(name="right and jump", held=("right", "up")),
    )
}
NAMES = ("right", "up")  # the axes of the small worlds that have two


def open_world(name: str, *, size: int = 0, seed: int = 0, data: str = "") -> Playable:
    """The world of this name, or of the run in this folder, ready to be played. `size` is a simulator's picture in pixels (0: its own).

    `data` is where a run's recordings are now, if no longer where it learned from them. ConfigError for a name that is unknown,
    CheckpointError for a folder that is no whole run, WorldError for a world that cannot be played.
    """
    if Path(name).is_dir():
        return of_run(load_run(name), data=data)
    if name in SMALL:
        return of_small(name, size or 128)
    if name in SCENES:
        return of_scene(name, size or 192, seed)
    known = (*SMALL, *SCENES)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"{name!r} is neither a run's folder nor a world{hint} (worlds: {', '.join(known)})")


def of_small(name: str, size: int) -> Playable:
    """A small world: the simulator itself."""
    world = build_small(name, size=size)
    controls = _small_controls(name, world)

    def begin(seed: int) -> Beginning:
        return Beginning(place=Place(state=world.start(Prompt(), seeded(seed))), value=controls.neutral)

    return Playable(
        name=name,
        world=world,
        controls=controls,
        begin=begin,
        act=controls.tensor,
        robot_type=PREFIX + name,
        task=TASKS[name],
        camera=CAMERA,
        exact=True,
    )


def of_scene(name: str, size: int, seed: int) -> Playable:
    """A scene of a digital twin, laid out by the seed; it begins the same each time."""
    from armillary.worlds.twin.scenes.catalogue import build
    from armillary.worlds.twin.world import TwinWorld

    world = TwinWorld(build(name, seed), size=(size, size), seconds_per_step=0.1)
    controls = controls_of(world.spec.action_space, names=world.drives, neutral=world.targets.tolist())

    def begin(seed: int) -> Beginning:
        return Beginning(place=Place(state=world.start(Prompt(), seeded(seed))), value=controls.neutral)

    return Playable(
        name=name,
        world=world,
        controls=controls,
        begin=begin,
        act=controls.tensor,
        robot_type=f"twin-{name}",
        task=f"Play in the scene {name}.",
        camera=f"observation.images.{world.camera.name}",
        exact=True,
    )


def of_run(loaded: LoadedRun, *, data: str = "") -> Playable:
    """A trained world. Where it learned from a small world, that simulator runs beside it under the same keys; else it begins from
    pictures of episodes that it never learned from."""
    if not hasattr(loaded.world, "spec"):
        raise WorldError(f"{loaded.path} is a {loaded.family}, which is no world and cannot be played")
    path = Path(data or loaded.data_path)
    if not path.is_dir():
        raise ConfigError(f"the recordings of {loaded.path} are not at {path}; say where they are: --data PATH")
    source = held_out(loaded, path)
    info = source.source.dataset.info
    simulator = _simulator(info, loaded.camera)
    if simulator is not None:
        name, world = simulator
        return _beside_truth(loaded, name, world)
    return _from_recordings(loaded, info, source.episodes)


def _small_controls(name: str, world: SmallWorld) -> Controls:
    return controls_of(world.spec.action_space, choices=CHOICES.get(name, ()), names=NAMES, hold=True)


def _simulator(info: DatasetInfo, camera: str) -> tuple[str, SmallWorld] | None:
    """The small world that made the recordings, if one did, drawing pictures of their size."""
    name = info.robot_type.removeprefix(PREFIX).removesuffix(NO_GOAL)
    if not info.robot_type.startswith(PREFIX) or name not in SMALL:
        return None
    height, width = info.features[camera].shape[:2]
    options = {"show_goal": False} if info.robot_type.endswith(NO_GOAL) else {}
    return (name, build_small(name, size=height, **options)) if height == width else None


def _beside_truth(loaded: LoadedRun, name: str, simulator: SmallWorld) -> Playable:
    world, stride = loaded.world, loaded.stride
    height, width = world.spec.sees
    controls = _small_controls(name, simulator)

    def begin(seed: int) -> Beginning:
        """The simulator's own start, watched for as many pictures as the world wants to see, while nothing is done."""
        rng, frames = seeded(seed), []
        state = simulator.start(Prompt(), rng)
        still = controls.tensor([controls.neutral])
        for last in reversed(range(world.spec.context_steps)):
            frames.append(area_resize(to_disk(simulator.render(state)["rgb"]), (height, width))[0])
            for _ in range(stride if last else 0):
                state = simulator.step(state, still, rng)
        actions = _repeated(controls, [controls.neutral], stride)[:, None].expand(-1, len(frames) - 1, -1)
        prompt = Prompt(frames=to_model(np.stack(frames))[None], actions=actions)
        return Beginning(place=Place(state=world.start(prompt, rng), truth=state), value=controls.neutral)

    return Playable(
        name=loaded.path.name,
        world=world,
        controls=controls,
        begin=begin,
        act=lambda values: _repeated(controls, values, stride),
        truth=Truth(world=simulator, stride=stride, resize=lambda frames: area_resize(frames, (height, width))),
        robot_type=f"dream-{name}",
        task=TASKS[name],
        camera=loaded.camera,
    )


def _from_recordings(loaded: LoadedRun, info: DatasetInfo, episodes: Sequence[Episode]) -> Playable:
    world, stride, context = loaded.world, loaded.stride, loaded.world.spec.context_steps
    usable = [episode for episode in episodes if len(episode) > context]
    if not usable:
        raise WorldError(f"no episode that {loaded.path} never learned from is longer than its context of {context} steps")
    space = world.spec.action_space
    count = space.shape[0] // stride
    low, high = (bound.reshape(stride, count) for bound in (space.low, space.high))
    played = gymnasium.spaces.Box(low.max(axis=0), high.min(axis=0), dtype=np.float32)
    controls = controls_of(played, names=info.action_names, neutral=((played.low + played.high) / 2).tolist())

    def begin(seed: int) -> Beginning:
        """A moment of an episode, drawn by the seed; its last action is held until a person does something.

        A world that reads text is told the recording's task.
        """
        rng = np.random.default_rng(seed)
        episode = usable[int(rng.integers(len(usable)))]
        first = int(rng.integers(len(episode) - context))
        frames = to_model(episode.frames[loaded.camera][first : first + context])[None]
        actions = torch.from_numpy(episode.actions[None, first : first + context - 1].copy())
        now = np.clip(episode.actions[first + context - 1].reshape(stride, count)[0], played.low, played.high)
        state = world.start(Prompt(frames=frames, actions=actions, text=[episode.task]), seeded(seed))
        return Beginning(place=Place(state=state), value=tuple(now.tolist()))

    return Playable(
        name=loaded.path.name,
        world=world,
        controls=controls,
        begin=begin,
        act=lambda values: _repeated(controls, values, stride),
        robot_type=f"dream-{info.robot_type}",
        task=usable[0].task,
        camera=loaded.camera,
    )


def _repeated(controls: Controls, values: Sequence[Value], stride: int) -> torch.Tensor:
    """What is held, for each of the recorded steps that make one of the world's."""
    return controls.columns(values).repeat(1, stride)
