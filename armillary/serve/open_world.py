"""What a person names, as a playable world: the bundled one, a small world, a scene of a twin, or a run, here or on a hub."""

import difflib
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch

from armillary.core import ConfigError, Prompt, WorldError, events_of, seeded, to_model
from armillary.core.hub import HUB
from armillary.serve.backends import on_backend, refuse_backend
from armillary.serve.beside_truth import Learned, beside_truth, repeated, small_controls
from armillary.serve.bundled_world import BUNDLED, of_bundled
from armillary.serve.controls import controls_of
from armillary.serve.playable import Beginning, Place, Playable
from armillary.studies.beginnings import Moment, Recorded, draw_moment, load_beginnings, longer_than
from armillary.studies.recording import NO_GOAL
from armillary.studies.runs import LoadedRun, held_out, load_run
from armillary.worlds.catalog import SMALL, build_small
from armillary.worlds.small.exact import SmallWorld
from armillary.worlds.small.record import CAMERA, TASKS
from armillary.worlds.twin.scenes.catalogue import SCENES

DEFAULT = BUNDLED
PREFIX = "armillary-"  # of the robot's name in recordings of small worlds


def open_world(name: str, *, size: int = 0, seed: int = 0, data: str = "", backend: str = "eager") -> Playable:
    """The world of this name, or of the run in this folder or at hub:OWNER/NAME, ready to be played.

    `size` is a simulator's picture in pixels (0: its own), `data` where a run's recordings are now, if no longer where it learned from
    them; `backend` is what computes a learned world.
    ConfigError for a name that is unknown or a backend that cannot compute it, CheckpointError for a folder that is no whole run,
    WorldError for a world that cannot be played.
    """
    if name.startswith(HUB) or Path(name).is_dir():
        return of_run(load_run(name), data=data, backend=backend)
    if name == BUNDLED:
        return of_bundled(backend=backend)
    if name in SMALL or name in SCENES:
        refuse_backend(backend, name)
    if name in SMALL:
        return of_small(name, size or 128)
    if name in SCENES:
        return of_scene(name, size or 192, seed)
    known = (BUNDLED, *SMALL, *SCENES)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"{name!r} is neither a run's folder nor a world{hint} (worlds: {', '.join(known)})")


def of_small(name: str, size: int) -> Playable:
    """A small world: the simulator itself."""
    world = build_small(name, size=size)
    controls = small_controls(name, world)

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


def of_run(loaded: LoadedRun, *, data: str = "", backend: str = "eager") -> Playable:
    """A trained world. Where it learned from a small world, that simulator runs beside it under the same keys; else it begins from
    pictures of episodes that it never learned from, those of `data` or those that were published with it."""
    if not hasattr(loaded.world, "spec"):
        raise WorldError(f"{loaded.path} is a {loaded.family}, which is no world and cannot be played")
    recorded, draw = _beginnings(loaded, data)
    simulator = _simulator(recorded) if len(loaded.cameras) == 1 else None
    world = on_backend(loaded.world, backend, str(loaded.path))
    learned = Learned(name=loaded.path.name, world=world, stride=loaded.stride, camera=loaded.camera)
    return _from_recordings(learned, recorded, draw) if simulator is None else beside_truth(learned, *simulator)


def _beginnings(loaded: LoadedRun, data: str) -> tuple[Recorded, Callable[[int], Moment]]:
    """What is known of the recordings, and the moment that a seed draws of them."""
    published = None if data else load_beginnings(loaded.path)
    if published is not None:
        recorded, moments = published
        return recorded, lambda seed: moments[seed % len(moments)]
    path = Path(data or loaded.data_path)
    if not path.is_dir():
        raise ConfigError(f"the recordings of {loaded.path} are not at {path}; say where they are: --data PATH")
    source, context = held_out(loaded, path), loaded.world.spec.context_steps
    recorded = Recorded.of(source.source.dataset.info, loaded.camera)
    return recorded, lambda seed: draw_moment(
        longer_than(context, source.episodes, loaded.path.name), camera=loaded.camera, context=context, seed=seed
    )


def _simulator(recorded: Recorded) -> tuple[str, SmallWorld] | None:
    """The small world that made the recordings, if one did, drawing pictures of their size."""
    name = recorded.robot_type.removeprefix(PREFIX).removesuffix(NO_GOAL)
    if not recorded.robot_type.startswith(PREFIX) or name not in SMALL:
        return None
    options = {"show_goal": False} if recorded.robot_type.endswith(NO_GOAL) else {}
    return (name, build_small(name, size=recorded.height, **options)) if recorded.height == recorded.width else None


def _from_recordings(learned: Learned, recorded: Recorded, draw: Callable[[int], Moment]) -> Playable:
    world, stride = learned.world, learned.stride
    space = world.spec.action_space
    count = space.shape[0] // stride
    low, high = (bound.reshape(stride, count) for bound in (space.low, space.high))
    played = gymnasium.spaces.Box(low.max(axis=0), high.min(axis=0), dtype=np.float32)
    controls = controls_of(played, names=recorded.action_names, neutral=((played.low + played.high) / 2).tolist())

    def begin(seed: int) -> Beginning:
        """A moment of the recordings, drawn by the seed; its last action is held until a person does something.

        A world that reads text is told the recording's task; for one that hears of events nothing goes on.
        """
        moment = draw(seed)
        now = np.clip(moment.next_action.reshape(stride, count)[0], played.low, played.high)
        text = ["" if events_of(world) else moment.task]
        prompt = Prompt(frames=to_model(moment.frames)[None], actions=torch.from_numpy(moment.actions[None].copy()), text=text)
        return Beginning(place=Place(state=world.start(prompt, seeded(seed))), value=tuple(now.tolist()))

    return Playable(
        name=learned.name,
        world=world,
        controls=controls,
        begin=begin,
        act=lambda values: repeated(controls, values, stride),
        robot_type=f"dream-{recorded.robot_type}",
        task=draw(0).task,
        camera=learned.camera,
    )
