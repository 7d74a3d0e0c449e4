"""A scene: assets placed in a world with gravity, cameras and lights. Metres, z up."""

import math
from dataclasses import dataclass, replace

from armillary.core import ConfigError, DataError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.pose import Pose

EARTH = (0.0, 0.0, -9.81)  # m/s2
INTEGRATORS = ("implicit", "runge-kutta")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An asset in a scene, `pose` being world_from_asset. If it `moves`, a root body that no joint holds may fly freely; otherwise it is
    fixed to the world. In the scene its bodies are called `name/body`, and so are its joints. `speeds`: how fast hinges (rad/s) and
    slides (m/s) of the asset go at the start; the others rest."""

    name: str
    asset: Asset
    pose: Pose = Pose()
    moves: bool = False
    speeds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Camera:
    """`pose` is world_from_camera: it looks along its -z, y is up in the picture. With `on` (a body's name in the scene) the pose is
    body_from_camera and the camera rides along. `fov_y_deg`: the picture's height as an angle."""

    name: str
    pose: Pose
    fov_y_deg: float = 45.0
    on: str = ""

    @staticmethod
    def looking(name: str, *, at: tuple[float, float, float], eye: tuple[float, float, float], fov_y_deg: float = 45.0) -> "Camera":
        """A camera at `eye` that looks at a point, upright. DataError if it would look straight up or down, where upright means nothing."""
        back = tuple(a - b for a, b in zip(eye, at, strict=True))
        across = (-back[1], back[0], 0.0)
        if math.hypot(*across) < 1e-6 * max(math.hypot(*back), 1e-9):
            raise DataError(f"camera {name!r} at {eye} looks straight up or down at {at}: move it aside a little")
        azimuth = math.atan2(back[1], back[0]) + math.pi / 2
        polar = math.atan2(math.hypot(back[0], back[1]), back[2])
        turned = Pose.about((0.0, 0.0, 1.0), azimuth).then(Pose.about((1.0, 0.0, 0.0), polar))
        return Camera(name=name, pose=Pose(eye, turned.turn), fov_y_deg=fov_y_deg)


@dataclass(frozen=True, kw_only=True)
class Light:
    """A lamp at `position` that shines towards `direction`; `colour` is its red, green and blue strength. A sun (`directional`) is
    everywhere as bright, wherever its position is."""

    name: str
    position: tuple[float, float, float] = (0.0, 0.0, 3.0)
    direction: tuple[float, float, float] = (0.0, 0.0, -1.0)
    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)
    directional: bool = True
    shadows: bool = True


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that a simulator needs. `sky` is the colour behind everything; `ambient` light comes from everywhere.

    `integrator` is one of INTEGRATORS. "implicit" is stable with stiff drives and keeps restitution. "runge-kutta" costs three times as
    much and is for what spins fast: a gyroscope of 150 rad/s precesses within 1 % at 2 ms, which "implicit" tips over; bounces are not
    exact with it. Raises ConfigError for another one, DataError if two things, cameras or lights share a name.
    """

    name: str
    things: tuple[Placed, ...]
    cameras: tuple[Camera, ...] = ()
    lights: tuple[Light, ...] = (Light(name="sun", position=(1.0, -1.0, 4.0), direction=(-0.25, 0.25, -1.0)),)
    gravity: tuple[float, float, float] = EARTH
    sky: tuple[float, float, float] = (0.75, 0.83, 0.92)
    ambient: float = 0.35
    seconds_per_substep: float = 0.002
    integrator: str = "implicit"

    def __post_init__(self):
        if self.integrator not in INTEGRATORS:
            raise ConfigError(f"scene {self.name!r}: integrator must be one of {', '.join(INTEGRATORS)}, received {self.integrator!r}")
        for kind, named in (("thing", self.things), ("camera", self.cameras), ("light", self.lights)):
            names = [one.name for one in named]
            double = sorted({name for name in names if names.count(name) > 1 or not name})
            if double:
                raise DataError(f"scene {self.name!r}: every {kind} needs a name of its own; {double[0]!r} is not")

    def thing(self, name: str) -> Placed:
        """The thing of this name. DataError if there is none."""
        for one in self.things:
            if one.name == name:
                return one
        raise DataError(f"scene {self.name!r} has no thing {name!r}; it has {', '.join(one.name for one in self.things)}")

    def with_thing(self, thing: Placed) -> "Scene":
        """The scene with one thing more, or another one in place of the one of its name."""
        return replace(self, things=(*(one for one in self.things if one.name != thing.name), thing))
