"""The twin's physics scenes as clips that a judge can read: what moves wears a colour of its own, and where it is is known exactly.

Colours and shadows are the only things that differ from the scenes of the catalogue: they fall, slide and tip the same. What stays
where it is becomes grey, shadows are left out, so that a pixel's colour says what it shows. Pictures are drawn four times finer and
averaged, as a camera does; a mask is where an object covers at least half a pixel.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

from armillary.core import ConfigError, Prompt, seeded
from armillary.worlds.twin.asset import Asset, Body
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.scenes.catalogue import PHYSICS, build
from armillary.worlds.twin.world import TwinWorld

MARKS = (
    (0.90, 0.10, 0.10),
    (0.10, 0.25, 0.95),
    (0.05, 0.65, 0.10),
    (0.95, 0.85, 0.05),
    (0.75, 0.05, 0.80),
    (0.00, 0.75, 0.80),
    (0.05, 0.05, 0.05),
    (1.00, 0.50, 0.00),
)
STILL = (0.5, 0.5, 0.5)
CROWD = 4  # dominoes are a pixel wide in small pictures: alone they could not be followed
FINER = 4  # picture rows and columns drawn for each one kept
SECONDS_PER_STEP = 0.03
NUM_FRAMES = 33
SHADES = 16  # at most so many colours of an object are kept
RAREST_SHADE = 0.01  # of an object's area
GRAVITY_M_S2 = 9.81

Group = tuple[str, ...]  # the things that count as one object
Bodies = tuple[tuple[str, str], ...]  # (thing, body)


@dataclass(frozen=True, kw_only=True)
class PhysicsClip:
    """One simulated clip with its truth. `masks` are exact, of `o` objects; `shades` are the colours that each shows, unmixed.

    `plate` is the scene without what moves.
    """

    scene: str
    seed: int
    seconds_per_step: float
    frames: Float32[np.ndarray, "t 3 h w"]
    masks: Bool[np.ndarray, "t o h w"]
    plate: Float32[np.ndarray, "3 h w"]
    shades: tuple[Float32[np.ndarray, "_ 3"], ...]
    groups: tuple[Group, ...]
    masses_kg: Float64[np.ndarray, " o"]
    metres_per_pixel: float


def record_clip(
    name: str, seed: int, *, size: int = 64, num_frames: int = NUM_FRAMES, seconds_per_step: float = SECONDS_PER_STEP, camera: str = "front"
) -> PhysicsClip:
    """The scene `name` of the eight that `seed` (>= 0) gives, simulated from its start. ConfigError for another name or too few frames."""
    if name not in PHYSICS:
        raise ConfigError(f"there is no physics scene {name!r}; choose one of {', '.join(PHYSICS)}")
    if num_frames < 2:
        raise ConfigError(f"a physics clip needs at least 2 frames, received {num_frames}")
    scene = build(name, seed)
    moving = _moving(scene)
    groups = grouped(tuple(dict.fromkeys(thing for thing, _ in moving)))
    options = {"size": (FINER * size, FINER * size), "seconds_per_step": seconds_per_step, "camera": camera, "quality": "draft"}
    bare, world = TwinWorld(unmoved(scene, moving), **options), TwinWorld(marked(scene, moving, groups), **options)
    try:
        plate = bare.render(bare.start(Prompt(), seeded(0)))["rgb"]
        return _recorded(name, seed, world, groups, plate, num_frames)
    finally:
        bare.close()
        world.close()


def grouped(things: Group) -> tuple[Group, ...]:
    """Each thing an object of its own; where there are more things than marks, neighbours in their order form CROWD objects.

    >>> grouped(("a", "b"))
    (('a',), ('b',))
    """
    parts = np.array_split(np.arange(len(things)), len(things) if len(things) <= len(MARKS) else CROWD)
    return tuple(tuple(things[index] for index in part) for part in parts)


def marked(scene: Scene, moving: Bodies, groups: tuple[Group, ...]) -> Scene:
    """The scene with every moving body in the mark of its group, and all but the ground grey where they stay."""
    mark_of = {thing: mark for group, mark in zip(groups, MARKS, strict=False) for thing in group}

    def repaint(thing: Placed) -> Placed:
        colours = {body.name: mark_of[thing.name] if (thing.name, body.name) in moving else STILL for body in thing.asset.bodies}
        return replace(thing, asset=_painted(thing.asset, colours))

    return replace(scene, things=tuple(thing if thing.name == "ground" else repaint(thing) for thing in scene.things))


def unmoved(scene: Scene, moving: Bodies) -> Scene:
    """The scene, marked, with nothing drawn of what moves."""

    def strip(thing: Placed) -> Placed:
        bodies = tuple(_undrawn(body) if (thing.name, body.name) in moving else body for body in thing.asset.bodies)
        return replace(thing, asset=replace(thing.asset, bodies=bodies))

    grey = marked(scene, (), ())
    return replace(grey, things=tuple(strip(thing) for thing in grey.things))


def _undrawn(body: Body) -> Body:
    return replace(body, shapes=tuple(replace(shape, role="collider") for shape in body.shapes if shape.role != "visual"))


def _painted(asset: Asset, colours: dict[str, tuple[float, float, float]]) -> Asset:
    """The asset with plain colours by body; what its materials weigh and how they rub stays."""
    materials = {}
    bodies = []
    for body in asset.bodies:
        shapes = []
        for shape in body.shapes:
            name = f"{shape.material} of {body.name}"
            plain = {"name": name, "colour": (*colours[body.name], 1.0), "texture": None, "metallic": 0.0}
            materials[name] = replace(asset.material(shape.material), **plain)
            shapes.append(replace(shape, material=name))
        bodies.append(replace(body, shapes=tuple(shapes)))
    return replace(asset, bodies=tuple(bodies), materials=tuple(materials.values()))


def _moving(scene: Scene) -> Bodies:
    """The bodies that something can move: those that MuJoCo does not weld to the world. In the scene's order."""
    world = TwinWorld(scene, seconds_per_step=scene.seconds_per_substep)
    welded = world.compiled.model.body_weldid
    return tuple((label.thing, label.body) for number, label in enumerate(world.labels) if welded[number] != 0)


def _recorded(name: str, seed: int, world: TwinWorld, groups: tuple[Group, ...], plate: torch.Tensor, num_frames: int) -> PhysicsClip:
    group_of = {thing: number for number, group in enumerate(groups) for thing in group}
    welded = world.compiled.model.body_weldid
    owner = np.array([group_of[label.thing] if welded[i] != 0 else -1 for i, label in enumerate(world.labels)])
    state, action = world.start(Prompt(), seeded(0)), world.targets[None]
    frames, coverage, fine = [], [], []
    for step in range(num_frames):
        seen = world.look(state, world.camera.name, ("rgb", "segmentation", "depth"))
        owners = owner[seen["segmentation"][0, 0].numpy()]
        if step == 0:
            depth_m = float(seen["depth"][0, 0].numpy()[owners >= 0].mean())
        fine.append((seen["rgb"][0].numpy(), owners))
        frames.append(_coarser(seen["rgb"][0].numpy()))
        coverage.append(_coarser(np.stack([owners == number for number in range(len(groups))]).astype(np.float32)))
        state = world.step(state, action, seeded(0))
    share = np.stack(coverage)
    first_best = np.arange(len(groups))[None, :, None, None] == share.argmax(axis=1)[:, None]
    focal_px = plate.shape[-2] / FINER / 2 / np.tan(np.radians(world.camera.fov_y_deg) / 2)
    masses = world.compiled.model.body_mass
    return PhysicsClip(
        scene=name,
        seed=seed,
        seconds_per_step=world.spec.seconds_per_step,
        frames=np.stack(frames),
        masks=(share >= 0.5) & first_best,
        plate=_coarser(plate[0].numpy()),
        shades=tuple(_shades(fine, number) for number in range(len(groups))),
        groups=groups,
        masses_kg=np.array([masses[owner == number].sum() for number in range(len(groups))]),
        metres_per_pixel=depth_m / focal_px,
    )


def _coarser(pictures: Float32[np.ndarray, "c y x"]) -> Float32[np.ndarray, "c h w"]:
    channels, height, width = pictures.shape
    return pictures.reshape(channels, height // FINER, FINER, width // FINER, FINER).mean(axis=(2, 4), dtype=np.float32)


def _shades(fine: list[tuple[np.ndarray, np.ndarray]], number: int) -> Float32[np.ndarray, "s 3"]:
    """The commonest colours that an object shows over the clip, from pixels that nothing else has a part in."""
    pixels = np.concatenate([picture[:, owners == number].T for picture, owners in fine])
    bins = np.round(pixels * 12).astype(np.int64) @ (400, 20, 1)
    _, which, counts = np.unique(bins, return_inverse=True, return_counts=True)
    common = [one for one in np.argsort(-counts, kind="stable")[:SHADES] if counts[one] >= RAREST_SHADE * len(pixels)]
    return np.stack([pixels[which == one].mean(axis=0, dtype=np.float32) for one in common])
