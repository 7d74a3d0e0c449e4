"""Recording one episode of a manifest: pictures, actions, state, and labels that are exactly true."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

from armillary.core import Episode, Prompt, seeded
from armillary.data.camera_motion import MOTION_NAMES, motions_along
from armillary.data.labels import IMAGES
from armillary.worlds.twin.labelling import as_columns, labels_of, npz
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.motion import smooth_actions
from armillary.worlds.twin.perform import perform, world_of
from armillary.worlds.twin.randomise import eyes
from armillary.worlds.twin.seen import Shot, flow, normals
from armillary.worlds.twin.tour import HEAD, plan_tour
from armillary.worlds.twin.world import TwinState, TwinWorld

IDLE = "nothing"  # the one action, always 0, of a scene without drives


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An episode, and its labels as the bytes of a .npz file (`labels_of` says what is in it)."""

    episode: Episode
    labels: bytes


def action_names(world: TwinWorld, policy: str = "random") -> tuple[str, ...]:
    """The columns of the recorded actions: the drives, or IDLE where there is none; of a tour, the camera's motions."""
    return MOTION_NAMES if policy == "tour" else world.drives or (IDLE,)


def state_names(world: TwinWorld, policy: str = "random") -> tuple[str, ...]:
    """The columns of the recorded state: every driven joint's position, then every one's speed; a tour has none."""
    if policy == "tour":
        return ()
    return tuple(f"{drive}.{what}" for what in ("position", "speed") for drive in world.drives)


@dataclass(frozen=True, kw_only=True)
class _Acted:
    """What was done in an episode, and what was seen meanwhile; `attempt` at its task counts from 0."""

    world: TwinWorld
    states: Sequence[TwinState]
    seen: dict[str, dict[str, np.ndarray]]
    actions: Float32[np.ndarray, "t a"]
    words: str
    rewards: Float32[np.ndarray, " t"] | None = None
    done: Bool[np.ndarray, " t"] | None = None
    attempt: int = 0


def record_episode(manifest: Manifest, index: int) -> Labelled:
    """Simulate and draw one episode. The same for the same manifest and index, wherever it runs.

    `actions[t]` is what was commanded after picture `t`; with latency the drives follow it some steps later, and ask for what they did
    at the start until then. The state is what the driven joints' sensors say; None where nothing is driven. Rewards are a task's progress.
    On a tour, `actions[t]` is how the camera truly moved from picture `t` to the next (`data/camera_motion.py`).
    """
    touring = manifest.policy == "tour"
    acted = _at_a_task(manifest, index) if manifest.task else (_on_tour if touring else _at_random)(manifest, index)
    world, streams = acted.world, manifest.streams(index)
    seeing = eyes(world.scene, manifest.randomise, world.size, streams.optics)
    state_rng, *noise_rngs = streams.sensors.spawn(1 + len(acted.seen))
    seen = {camera: seeing[camera].sees(acted.seen[camera], rng) for camera, rng in zip(acted.seen, noise_rngs, strict=True)}
    frames = {IMAGES + camera: pictures.pop("rgb") for camera, pictures in seen.items()}
    labels = labels_of(world, acted.states, seen, seeing, acted.attempt)
    idle = np.zeros((manifest.steps, 1), dtype=np.float32)
    driven = acted.actions if world.drives else idle
    episode = Episode(
        frames=frames,
        actions=motions_along(labels[f"{world.camera.name}.world_from_camera"]) if touring else driven,
        state=None if touring else _sensed(world, acted.states, manifest.randomise.state_noise, state_rng),
        rewards=acted.rewards,
        terminated=acted.done,
        seconds_per_step=manifest.seconds_per_step,
        task=acted.words,
        labels=as_columns(labels, seen) if manifest.label_columns else {},
        index=index,
    )
    return Labelled(episode=episode, labels=npz(labels))


def _at_random(manifest: Manifest, index: int) -> _Acted:
    """Random motion in a scene."""
    world = world_of(manifest, index)
    try:
        actions = smooth_actions(world, manifest.steps, manifest.reach, manifest.streams(index).actions)
        delay = min(manifest.delay(index), len(actions))
        told = np.concatenate([np.repeat(world.targets.numpy()[None], delay, axis=0), actions[: len(actions) - delay]])
        with ThreadPoolExecutor(max_workers=1) as ahead:
            states, seen = film(world, follow(world, told, ahead), manifest.cameras or (world.camera.name,), manifest.modalities)
    finally:
        world.close()
    return _Acted(world=world, states=states, seen=seen, actions=actions, words=f"Move at random in the scene {manifest.scene}.")


def _on_tour(manifest: Manifest, index: int) -> _Acted:
    """A camera goes through a scene in which nothing moves. What is done follows from where it was."""
    world = world_of(manifest, index)
    try:
        path = plan_tour(world.scene, manifest.steps, manifest.seconds_per_step, manifest.streams(index).actions)
        whole = world.start(Prompt(batch_size=len(path), layout={HEAD: path}), seeded(0))
        states = [whole.rows(slice(row, row + 1)) for row in range(len(path))]
        states, seen = film(world, states, manifest.cameras or (world.camera.name,), manifest.modalities)
    finally:
        world.close()
    nothing = np.empty((manifest.steps, 0), dtype=np.float32)
    return _Acted(world=world, states=states, seen=seen, actions=nothing, words=f"Look around in the scene {manifest.scene}.")


def _at_a_task(manifest: Manifest, index: int) -> _Acted:
    """A task, done or tried."""
    made = perform(manifest, index)
    world = made.world
    try:
        states, seen = film(world, made.states, manifest.cameras or (world.camera.name,), manifest.modalities)
    finally:
        world.close()
    return _Acted(
        world=world,
        states=states,
        seen=seen,
        actions=made.actions,
        words=world.task.words,
        rewards=made.rewards,
        done=made.done,
        attempt=made.attempt,
    )


def follow(world: TwinWorld, actions: Float32[np.ndarray, "t a"], ahead: Executor) -> Iterator[TwinState]:
    """The states before each action. While one is used, `ahead` simulates the next: MuJoCo lets other threads draw meanwhile."""
    rng = seeded(0)  # nothing in a twin is random once it is placed
    state = world.start(Prompt(batch_size=1), rng)
    for action in actions[:-1]:
        coming = ahead.submit(world.step, state, torch.from_numpy(action)[None], rng)
        yield state
        state = coming.result()
    yield state


def film(
    world: TwinWorld, states: Iterable[TwinState], cameras: Sequence[str], modalities: Sequence[str]
) -> tuple[list[TwinState], dict[str, dict[str, np.ndarray]]]:
    """The states, and the `pictures` of every one: `t h w ...` by camera and modality."""
    kept, moments = [], []
    for now, later in pairwise(chain(states, [None])):
        kept.append(now)
        moments.append(pictures(world, now, later, cameras, modalities))
    return kept, {camera: {name: np.stack([moment[camera].pop(name) for moment in moments]) for name in modalities} for camera in cameras}


def pictures(
    world: TwinWorld, state: TwinState, later: TwinState | None, cameras: Sequence[str], modalities: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """What every camera shows of one state, by camera and modality, as a dataset keeps it.

    rgb `h w 3` uint8; depth `h w` float32 (m); segmentation `h w` uint16 (ids); normals `h w 3` float32 (camera's frame); flow `h w 2`
    float32: how far what a pixel shows moves until `later` (pixels right and down), NaN where it gets behind the camera and, of the last
    state, everywhere.
    """
    found = {}
    for camera in cameras:
        shot = world.shoot(state, camera, rgb="rgb" in modalities, view=any(name != "rgb" for name in modalities))
        found[camera] = {name: _picture(world, shot, later, camera, name) for name in modalities}
    return found


def _picture(world: TwinWorld, shot: Shot, later: TwinState | None, camera: str, modality: str) -> np.ndarray:
    match modality:
        case "rgb":
            return shot.rgb
        case "depth":
            return shot.view.depth_m
        case "segmentation":
            return shot.view.bodies.astype(np.uint16)
        case "normals":
            return normals(shot.view)
        case "flow" if later is None:
            return np.full((*shot.view.depth_m.shape, 2), np.nan, dtype=np.float32)
        case "flow":
            return np.moveaxis(flow(shot.view, world.placement(later, camera)), 0, -1)
    raise AssertionError(f"{modality} is none of a dataset's modalities")


def _sensed(world: TwinWorld, states: Sequence[TwinState], deviation: float, rng: np.random.Generator) -> Float32[np.ndarray, "t s"] | None:
    if not world.drives:
        return None
    exact = _driven(world, torch.cat([state.physics for state in states]).numpy())
    return (exact + deviation * rng.standard_normal(exact.shape)).astype(np.float32)


def _driven(world: TwinWorld, physics: Float64[np.ndarray, "t p"]) -> Float64[np.ndarray, "t s"]:
    """Positions and speeds of the driven joints; time comes first in MuJoCo's state, then every position, then every speed."""
    model = world.compiled.model
    joints = [world.compiled.joints[drive] for drive in world.drives]
    return physics[:, 1 + np.concatenate([model.jnt_qposadr[joints], model.nq + model.jnt_dofadr[joints]])]
