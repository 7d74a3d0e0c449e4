"""What differs between the episodes of one scene: light, looks, cameras, distractors, and physical numbers as far as they are unknown."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Asset, Body, Drive, Joint, Material
from armillary.worlds.twin.distractors import MOST, with_distractors
from armillary.worlds.twin.extent import around, shape_bounds
from armillary.worlds.twin.eye import Eye
from armillary.worlds.twin.geometry import Plane
from armillary.worlds.twin.lens import Lens, Optics
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Light, Placed, Scene
from armillary.worlds.twin.sensor import Sensor
from armillary.worlds.twin.texture import KINDS, Texture

# settings that lie between 0 and 1
SHARES = ("light", "colour", "texture", "lens", "white_balance", "image_noise", "shot_noise", "mass", "friction", "drives")
# What a lens is drawn from where the setting is 1: by how much the picture's corners move (share of the way from its middle) by k1 and by
# k2, how much darker they are, and its blur, a share of the picture's height.
LENS = {"k1": 0.12, "k2": 0.04, "vignetting": 0.4, "blur": 0.004}
NARROWEST_DEG, WIDEST_DEG = 5.0, 150.0  # what a camera's field of view is kept between


@dataclass(frozen=True, kw_only=True)
class Randomiser:
    """How far each thing is varied, uniformly to both sides where nothing else is said; 0 leaves it as it is.

    `light`: share by which lamps, sky and ambient light get stronger or weaker; `light_deg`: how far lamps tilt. `colour`: how far red,
    green and blue (0 to 1) of every material move; `texture`: the share of materials that get a pattern. `distractors`: the fewest and
    the most things more (`distractors.py`); one number is both. `camera_m`, `camera_deg`, `fov_deg`: a camera's place along each axis,
    its turn about a random axis, its field of view. `mass`, `friction`, `drives`: the share of their own ranges (`Quantity`) that masses
    and densities, friction and restitution, and the gains, damping and armature of joints are drawn from.

    What follows is applied while recording. `lens`: how strongly a camera's lens bends, darkens and blurs, 1 being what LENS says;
    `exposure` (in stops, each twice the light) and `white_balance` (share by which red and blue get stronger or weaker) are another for
    every camera. `image_noise`, `shot_noise` (shares of full brightness; the second grows with the root of the brightness) and
    `state_noise` (in the state's units) are standard deviations; `latency_s` is the longest time until an action takes effect.
    """

    light: float = 0.25
    light_deg: float = 15.0
    colour: float = 0.08
    texture: float = 0.0
    distractors: tuple[int, ...] = (0, 0)
    camera_m: float = 0.01
    camera_deg: float = 1.5
    fov_deg: float = 1.5
    lens: float = 0.0
    exposure: float = 0.1
    white_balance: float = 0.03
    image_noise: float = 0.01
    shot_noise: float = 0.01
    state_noise: float = 0.0
    latency_s: float = 0.0
    mass: float = 1.0
    friction: float = 1.0
    drives: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "distractors", _fewest_and_most(self.distractors))
        for one in fields(self):
            if one.name == "distractors":
                continue
            value, most = getattr(self, one.name), 1.0 if one.name in SHARES else math.inf
            if not (math.isfinite(value) and 0.0 <= value <= most):
                upper = " and <= 1" if one.name in SHARES else ""
                raise ConfigError(f"randomise.{one.name} must be finite, >= 0{upper}, received {value}")


def _fewest_and_most(given: tuple[int, ...]) -> tuple[int, int]:
    """How many distractors: one number is both."""
    if len(given) not in (1, 2) or not 0 <= given[0] <= given[-1] <= MOST:
        raise ConfigError(f"randomise.distractors must be one or two whole numbers, fewest first, of 0 to {MOST}, received {given}")
    return given[0], given[-1]


NOTHING = Randomiser(**{one.name: 0.0 for one in fields(Randomiser) if one.name != "distractors"})


def randomise(scene: Scene, settings: Randomiser, rng: np.random.Generator) -> Scene:
    """The scene with its light, looks, cameras and physical numbers drawn anew, and with distractors.

    Its things keep their names, places and shapes, and physical numbers stay in their own ranges. As many numbers are drawn whatever the
    settings, so that one of them changes nothing but its own part. ConfigError for distractors where nothing could hold them.
    """
    light_rng, camera_rng, thing_rng, texture_rng, distractor_rng = rng.spawn(5)
    scene = with_distractors(scene, *settings.distractors, distractor_rng)
    ambient, *sky = (1.0 + settings.light * light_rng.uniform(-1.0, 1.0, 4)).tolist()
    return replace(
        scene,
        ambient=min(scene.ambient * ambient, 1.0),
        sky=tuple(min(part * factor, 1.0) for part, factor in zip(scene.sky, sky, strict=True)),
        lights=tuple(_light(light, settings, light_rng) for light in scene.lights),
        cameras=tuple(_camera(camera, settings, camera_rng) for camera in scene.cameras),
        things=tuple(_patterned(_thing(thing, settings, thing_rng), settings.texture, texture_rng) for thing in scene.things),
    )


def eyes(scene: Scene, settings: Randomiser, size: tuple[int, int], rng: np.random.Generator) -> dict[str, Eye]:
    """A lens and a sensor for every camera of the scene, by its name, at a picture's size (height, width); with NOTHING they do nothing."""
    found = {}
    for camera in scene.cameras:
        lens, sensor = _lens(camera, settings.lens, size, rng), _sensor(settings, rng)
        found[camera.name] = Eye(optics=Optics(lens, fov_y_deg=camera.fov_y_deg, height=size[0], width=size[1]), sensor=sensor)
    return found


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


def _lens(camera: Camera, strength: float, size: tuple[int, int], rng: np.random.Generator) -> Lens:
    """Drawn from this share of LENS."""
    height, width = size
    corner = math.hypot(height, width) / height * math.tan(math.radians(camera.fov_y_deg) / 2.0)
    k1, k2, vignetting, blur = (strength * rng.uniform((-1.0, -1.0, 0.0, 0.0), 1.0) * list(LENS.values())).tolist()
    return Lens(k1=k1 / corner**2, k2=k2 / corner**4, vignetting=vignetting, blur=blur)


def _sensor(settings: Randomiser, rng: np.random.Generator) -> Sensor:
    stops, red, blue = rng.uniform(-1.0, 1.0, 3).tolist()
    gain = 2.0 ** (settings.exposure * stops)
    gains = (gain * (1.0 + settings.white_balance * red), gain, gain * (1.0 + settings.white_balance * blue))
    return Sensor(gains=gains, read_noise=settings.image_noise, shot_noise=settings.shot_noise)


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


def _patterned(thing: Placed, share: float, rng: np.random.Generator) -> Placed:
    """With a pattern on this share of its materials, of a size that suits what they are on."""
    sizes_m = _sizes_m(thing) if share else {}
    materials = tuple(_pattern(material, sizes_m.get(material.name, 1.0), share, rng) for material in thing.asset.materials)
    return replace(thing, asset=replace(thing.asset, materials=materials))


def _sizes_m(thing: Placed) -> dict[str, float]:
    """The longest edge of the largest shape that each material is on."""
    sizes_m: dict[str, float] = {}
    for body in thing.asset.bodies:
        for shape in body.shapes:
            edges = shape.geometry.bounds() if isinstance(shape.geometry, Plane) else around([shape_bounds(shape)])
            sizes_m[shape.material] = max(sizes_m.get(shape.material, 0.0), float(np.diff(edges, axis=0).max()))
    return sizes_m


def _pattern(material: Material, size_m: float, share: float, rng: np.random.Generator) -> Material:
    """Lighter or darker than the material, with a little of another hue."""
    chance, kind, scale, depth, *hue = rng.random(7).tolist()
    seed = int(rng.integers(2**31))
    if chance >= share:
        return material
    lightness = sum(material.colour[:3]) / 3.0
    shift = (0.2 + 0.25 * depth) * (-1.0 if lightness > 0.5 else 1.0)
    colour = (min(max(part + shift + 0.2 * (one - 0.5), 0.0), 1.0) for part, one in zip(material.colour[:3], hue, strict=True))
    repeat_m = min(max(size_m * 0.12 * 5.0**scale, 0.01), 1.0)
    return replace(material, texture=Texture(kind=KINDS[int(kind * len(KINDS))], colour=tuple(colour), size_m=repeat_m, seed=seed))


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
