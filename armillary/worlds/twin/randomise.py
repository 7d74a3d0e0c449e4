"""What differs between the episodes of one scene: light, colours, cameras, and physical numbers as far as they are unknown."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import UInt8

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Asset, Body, Drive, Joint, Material
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Light, Placed, Scene

SHARES = ("light", "colour", "image_noise", "mass", "friction", "drives")  # settings that lie between 0 and 1
NARROWEST_DEG, WIDEST_DEG = 5.0, 150.0  # what a camera's field of view is kept between


@dataclass(frozen=True, kw_only=True)
class Randomiser:
    """How far each thing is varied, uniformly to both sides where nothing else is said; 0 leaves it as it is.

    `light`: share by which lamps, sky and ambient light get stronger or weaker; `light_deg`: how far lamps tilt. `colour`: how far red,
    green and blue (0 to 1) of every material move. `camera_m`, `camera_deg`, `fov_deg`: a camera's place along each axis, its turn about
    a random axis, its field of view. `mass`, `friction`, `drives`: the share of their own ranges (`Quantity`) that masses and densities,
    friction and restitution, and the gains, damping and armature of joints are drawn from. `image_noise` (share of full brightness) and
    `state_noise` (in the state's units) are standard deviations, `latency_s` is the longest time until an action takes effect; these three
    are applied while recording.
    """

    light: float = 0.25
    light_deg: float = 15.0
    colour: float = 0.08
    camera_m: float = 0.01
    camera_deg: float = 1.5
    fov_deg: float = 1.5
    image_noise: float = 0.01
    state_noise: float = 0.0
    latency_s: float = 0.0
    mass: float = 1.0
    friction: float = 1.0
    drives: float = 1.0

    def __post_init__(self):
        for one in fields(self):
            value, most = getattr(self, one.name), 1.0 if one.name in SHARES else math.inf
            if not (math.isfinite(value) and 0.0 <= value <= most):
                upper = " and <= 1" if one.name in SHARES else ""
                raise ConfigError(f"randomise.{one.name} must be finite, >= 0{upper}, received {value}")


NOTHING = Randomiser(**{one.name: 0.0 for one in fields(Randomiser)})


def randomise(scene: Scene, settings: Randomiser, rng: np.random.Generator) -> Scene:
    """The scene with its light, colours, cameras and physical numbers drawn anew.

    Things keep their names, places and shapes, and physical numbers stay in their own ranges. As many numbers are drawn whatever the
    settings, so that one of them changes nothing but its own part.
    """
    light_rng, camera_rng, thing_rng = rng.spawn(3)
    ambient, *sky = (1.0 + settings.light * light_rng.uniform(-1.0, 1.0, 4)).tolist()
    return replace(
        scene,
        ambient=min(scene.ambient * ambient, 1.0),
        sky=tuple(min(part * factor, 1.0) for part, factor in zip(scene.sky, sky, strict=True)),
        lights=tuple(_light(light, settings, light_rng) for light in scene.lights),
        cameras=tuple(_camera(camera, settings, camera_rng) for camera in scene.cameras),
        things=tuple(_thing(thing, settings, thing_rng) for thing in scene.things),
    )


def noisy(picture: UInt8[np.ndarray, "h w 3"], deviation: float, rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with normal noise of a standard `deviation`, a share of full brightness."""
    if not deviation:
        return picture
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(255.0 * deviation)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _light(light: Light, settings: Randomiser, rng: np.random.Generator) -> Light:
    strength, tilt = 1.0 + settings.light * rng.uniform(-1.0, 1.0), _tilt(settings.light_deg, rng)
    direction = tilt.apply(np.array(light.direction, dtype=np.float64))
    return replace(light, direction=tuple(direction.tolist()), colour=tuple(part * strength for part in light.colour))


def _camera(camera: Camera, settings: Randomiser, rng: np.random.Generator) -> Camera:
    moved = replace(_tilt(settings.camera_deg, rng), position=tuple((settings.camera_m * rng.uniform(-1.0, 1.0, 3)).tolist()))
    wider = settings.fov_deg * rng.uniform(-1.0, 1.0)
    fov_y_deg = min(max(camera.fov_y_deg + wider, NARROWEST_DEG), WIDEST_DEG) if wider else camera.fov_y_deg
    return replace(camera, pose=camera.pose.then(moved), fov_y_deg=fov_y_deg)


def _tilt(most_deg: float, rng: np.random.Generator) -> Pose:
    axis, angle = rng.standard_normal(3), math.radians(most_deg) * rng.uniform(-1.0, 1.0)
    return Pose.about(tuple(axis.tolist()), angle)


def _thing(thing: Placed, settings: Randomiser, rng: np.random.Generator) -> Placed:
    asset: Asset = thing.asset
    asset = replace(
        asset,
        materials=tuple(_material(material, settings, rng) for material in asset.materials),
        bodies=tuple(_body(body, settings, rng) for body in asset.bodies),
        joints=tuple(_joint(joint, settings, rng) for joint in asset.joints),
    )
    return replace(thing, asset=asset)


def _material(material: Material, settings: Randomiser, rng: np.random.Generator) -> Material:
    shift = settings.colour * rng.uniform(-1.0, 1.0, 3)
    colour = np.clip(np.array(material.colour[:3]) + shift, 0.0, 1.0).tolist()
    return replace(
        material,
        colour=(*colour, material.colour[3]),
        density=_drawn(material.density, settings.mass, rng),
        friction=_drawn(material.friction, settings.friction, rng),
        restitution=_drawn(material.restitution, settings.friction, rng),
    )


def _body(body: Body, settings: Randomiser, rng: np.random.Generator) -> Body:
    """Its inertia follows its mass: moments drawn one by one could belong to no body at all."""
    mass, inertia = _drawn(body.mass, settings.mass, rng), body.inertia
    if inertia is not None and mass is not None and body.mass.value > 0:
        heavier = mass.value / body.mass.value
        inertia = replace(inertia, moments=tuple(moment.times(heavier) for moment in inertia.moments))
    return replace(body, mass=mass, inertia=inertia)


def _joint(joint: Joint, settings: Randomiser, rng: np.random.Generator) -> Joint:
    share, drive = settings.drives, joint.drive
    if drive is not None:
        stiffness, damping = (_drawn(quantity, share, rng) for quantity in (drive.stiffness, drive.damping))
        drive = Drive(stiffness=stiffness, damping=damping, target=drive.target, max_force=_drawn(drive.max_force, share, rng))
    damping, friction, armature = (_drawn(quantity, share, rng) for quantity in (joint.damping, joint.friction, joint.armature))
    return replace(joint, damping=damping, friction=friction, armature=armature, drive=drive)


def _drawn(quantity: Quantity | None, share: float, rng: np.random.Generator) -> Quantity | None:
    """A draw from this share of the quantity's range, around its value."""
    if quantity is None:
        return None
    value = quantity.value + share * (quantity.draw(rng).value - quantity.value)
    return replace(quantity, value=min(max(value, quantity.low), quantity.high))
