"""Recording one episode of a manifest: pictures, actions, state, and labels that are exactly true."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8

from armillary.core import Episode, Prompt, seeded, to_disk
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.randomise import noisy, randomise
from armillary.worlds.twin.world import TwinState, TwinWorld

CAMERA = "observation.images."  # before each camera's name
KNOT_S = 0.6  # how often smooth motion chooses where to go next
IDLE = "nothing"  # the one action, always 0, of a scene without drives


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An episode, and its labels as the bytes of a .npz file (`label_file` says what is in it)."""

    episode: Episode
    labels: bytes


def world_of(manifest: Manifest, episode: int) -> TwinWorld:
    """The randomised world of an episode. ConfigError if the scene lacks a camera or cannot be stepped so."""
    cameras = manifest.cameras
    return TwinWorld(
        randomise(manifest.layout(episode), manifest.randomise, manifest.streams(episode).scene),
        size=(manifest.size, manifest.size),
        seconds_per_step=manifest.seconds_per_step,
        camera=cameras[0] if cameras else "",
        quality=manifest.quality,
        modalities=manifest.modalities,
    )


def action_names(world: TwinWorld) -> tuple[str, ...]:
    """The columns of the recorded actions: the drives, or IDLE where there is none."""
    return world.drives or (IDLE,)


def state_names(world: TwinWorld) -> tuple[str, ...]:
    """The columns of the recorded state: every driven joint's position, then every one's speed."""
    return tuple(f"{drive}.{what}" for what in ("position", "speed") for drive in world.drives)


def record_episode(manifest: Manifest, index: int) -> Labelled:
    """Simulate and draw one episode. The same for the same manifest and index, wherever it runs.

    `actions[t]` is what was commanded after picture `t`; with latency the drives follow it some steps later, and ask for what they did
    at the start until then. The state is what the driven joints' sensors say; None where nothing is driven.
    """
    world, streams = world_of(manifest, index), manifest.streams(index)
    try:
        actions = smooth_actions(world, manifest.steps, manifest.reach, streams.actions)
        states = _follow(world, _late(actions, world, manifest.randomise.latency_s, streams.actions))
        cameras = manifest.cameras or (world.camera.name,)
        seen = {camera: _look(world, states, camera, manifest.modalities) for camera in cameras}
    finally:
        world.close()
    noise = manifest.randomise.image_noise
    frames = {
        CAMERA + camera: np.stack([noisy(picture, noise, streams.sensors) for picture in pictures.pop("rgb")])
        for camera, pictures in seen.items()
    }
    episode = Episode(
        frames=frames,
        actions=actions if world.drives else np.zeros((manifest.steps, 1), dtype=np.float32),
        state=_sensed(world, states, manifest.randomise.state_noise, streams.sensors),
        seconds_per_step=manifest.seconds_per_step,
        task=f"Move at random in the scene {manifest.scene}.",
        index=index,
    )
    return Labelled(episode=episode, labels=label_file(world, states, seen))


def smooth_actions(world: TwinWorld, steps: int, reach: float, rng: np.random.Generator) -> Float32[np.ndarray, "t a"]:
    """Motion between random places around the drives' targets, which it begins at; at most `reach` of half a drive's range away.

    A drive without bounds is taken to range from 1 below to 1 above its target.
    """
    space, targets = world.spec.action_space, world.targets.double().numpy()
    low = np.where(np.isfinite(space.low), space.low, targets - 1.0)
    high = np.where(np.isfinite(space.high), space.high, targets + 1.0)
    when = np.arange(steps) * world.spec.seconds_per_step / KNOT_S
    before, share = np.floor(when).astype(int), when - np.floor(when)
    knots = targets + reach * (high - low) / 2.0 * rng.uniform(-1.0, 1.0, (int(before[-1]) + 2, len(targets)))
    knots[0] = targets
    eased = (share * share * (3.0 - 2.0 * share))[:, None]
    wanted = (1.0 - eased) * knots[before] + eased * knots[before + 1]
    return wanted.clip(low, high).astype(np.float32)


def label_file(world: TwinWorld, states: list[TwinState], seen: dict[str, dict[str, np.ndarray]]) -> bytes:
    """The labels of an episode as a compressed .npz, the same bytes for the same labels.

    `thing`, `body`, `kind` (text, n): what each id is, 0 being nothing; `world_from_body` t n 4 4 float64, by id. For every camera
    `NAME.world_from_camera` t 4 4 float64 (it looks along its -z, y up), `NAME.fov_y_deg`, and as asked for: `NAME.depth` t h w float32
    (m along the camera's axis, 0: nothing), `NAME.segmentation` t h w uint16 (ids), `NAME.normals` t h w 3 float32 (camera's frame).
    """
    columns = {what: np.array([getattr(label, what) for label in world.labels]) for what in ("thing", "body", "kind")}
    world_from_body = np.stack([world.poses(state)[0].numpy() for state in states])
    columns["world_from_body"] = world_from_body
    cameras = {camera.name: camera for camera in world.scene.cameras}
    for name, pictures in seen.items():
        camera = cameras[name]
        rides_on = world.compiled.bodies[camera.on] if camera.on else 0
        columns[f"{name}.world_from_camera"] = world_from_body[:, rides_on] @ camera.pose.matrix()
        columns[f"{name}.fov_y_deg"] = np.array(camera.fov_y_deg)
        columns |= {f"{name}.{modality}": value for modality, value in pictures.items()}
    written = io.BytesIO()
    np.savez_compressed(written, **columns)
    return written.getvalue()


def _late(actions: Float32[np.ndarray, "t a"], world: TwinWorld, latency_s: float, rng: np.random.Generator) -> Float32[np.ndarray, "t a"]:
    """What the drives are told when: the actions, later by a latency drawn for the episode, in whole steps."""
    most = int(latency_s / world.spec.seconds_per_step + 1e-9)
    steps = min(int(rng.integers(most + 1)), len(actions))
    return np.concatenate([np.repeat(world.targets.numpy()[None], steps, axis=0), actions[: len(actions) - steps]])


def _follow(world: TwinWorld, actions: Float32[np.ndarray, "t a"]) -> list[TwinState]:
    """The states before each action."""
    rng = seeded(0)  # nothing in a twin is random once it is placed
    states = [world.start(Prompt(batch_size=1), rng)]
    for action in actions[:-1]:
        states.append(world.step(states[-1], torch.from_numpy(action)[None], rng))
    return states


def _look(world: TwinWorld, states: list[TwinState], camera: str, modalities: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What one camera sees, by modality: rgb `t h w 3` uint8, and the labels' layout and types for the others."""
    looks = [world.look(state, camera, modalities) for state in states]
    found: dict[str, np.ndarray] = {"rgb": _rgb([look["rgb"] for look in looks])}
    if "depth" in modalities:
        found["depth"] = torch.cat([look["depth"][:, 0] for look in looks]).numpy()
    if "segmentation" in modalities:
        found["segmentation"] = torch.cat([look["segmentation"][:, 0] for look in looks]).numpy().astype(np.uint16)
    if "normals" in modalities:
        found["normals"] = torch.cat([look["normals"] for look in looks]).movedim(1, -1).numpy()
    return found


def _rgb(pictures: list[torch.Tensor]) -> UInt8[np.ndarray, "t h w 3"]:
    return np.concatenate([to_disk(picture) for picture in pictures])


def _sensed(world: TwinWorld, states: list[TwinState], deviation: float, rng: np.random.Generator) -> Float32[np.ndarray, "t s"] | None:
    if not world.drives:
        return None
    exact = _driven(world, torch.cat([state.physics for state in states]).numpy())
    return (exact + deviation * rng.standard_normal(exact.shape)).astype(np.float32)


def _driven(world: TwinWorld, physics: Float64[np.ndarray, "t p"]) -> Float64[np.ndarray, "t s"]:
    """Positions and speeds of the driven joints; time comes first in MuJoCo's state, then every position, then every speed."""
    model = world.compiled.model
    joints = [world.compiled.joints[drive] for drive in world.drives]
    return physics[:, 1 + np.concatenate([model.jnt_qposadr[joints], model.nq + model.jnt_dofadr[joints]])]
