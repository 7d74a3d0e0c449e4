"""Eight scenes in which physics alone decides what happens: those by which Cosmos (arXiv:2501.03575, sect. 5.3.2) judged its models."""

import math
from dataclasses import replace

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.objects.families import FAMILIES, names
from armillary.worlds.twin.objects.materials import Colour, bright, material, several, wooden
from armillary.worlds.twin.objects.parts import box, globe, one_body, rod, soft_box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import EARTH, Placed, Scene
from armillary.worlds.twin.scenes.machines import gyroscope_of, seesaw_of
from armillary.worlds.twin.scenes.stage import fixed, four_cameras, ground, lights, loose, welded, yawed

LIFT_M = 0.0001  # above what it stands on at the start: no thing begins inside another
ACROSS = (0.0, 1.0, 0.0)
UNSEEN_FALLING = ("fork", "lamp", "lidded_box", "ring", "screwdriver", "spoon", "tray")  # too thin, or too big, to follow by eye


def free_fall(rng: np.random.Generator) -> Scene:
    """Three to five objects fall from 0.5 to 1.1 m."""
    count = int(rng.integers(3, 6))
    chosen = rng.permutation([name for name in names("hand") if name not in UNSEEN_FALLING])[:count]
    things = []
    for number, family in enumerate(map(str, chosen)):
        x, y, height = (number - (count - 1) / 2) * 0.28, float(rng.uniform(-0.1, 0.1)), float(rng.uniform(0.5, 1.1))
        axis = tuple(float(part) for part in rng.normal(size=3))
        pose = Pose.about(axis, float(rng.uniform(0.0, 0.8)), (x, y, height))
        things.append(loose(family, FAMILIES[family].draw(rng), pose))
    return _scene("free_fall", tuple(things), at=(0.0, 0.0, 0.50), distance=2.1)


def tilted_plane(rng: np.random.Generator) -> Scene:
    """A block slides, a ball and a tin roll down a board of 26 to 34 degrees, on which wood slides from 22 degrees on."""
    angle = math.radians(float(rng.uniform(26.0, 34.0)))
    length, width, thick = 1.3, 0.8, 0.03
    turned = Pose.about(ACROSS, angle)  # +x is down
    middle = (0.0, 0.0, length / 2 * math.sin(angle) + thick)
    slope = Pose(middle, turned.turn)
    post = middle[2] + length * 0.4 * math.sin(angle) - thick * 1.2
    shapes = (
        *soft_box("board", (length, width, thick), middle, "wood", turned=turned, cut=0.004),
        box("trestle", (0.03, width * 0.9, post), (-length * 0.4 * math.cos(angle), 0, post / 2), "wood"),
    )
    plane = welded("tilted plane", shapes, (material("wood", "wood", wooden(rng)),), "tilted plane")
    first, second, third = several(rng, 3)
    movers = (block((0.09, 0.09, 0.07), first), _ball(0.045, second), _tin(0.04, 0.11, third))
    lanes = rng.permutation(3)
    things = []
    for name, mover, lane in zip(("block", "ball", "tin"), movers, lanes, strict=True):
        start = Pose((float(rng.uniform(-0.55, -0.40)), (float(lane) - 1.0) * 0.24, thick / 2 + LIFT_M))
        things.append(loose(name, mover, slope.then(start)))
    return _scene("tilted_plane", (fixed("plane", plane), *things), at=(0.1, 0.0, 0.26), distance=2.0)


def u_slope(rng: np.random.Generator) -> Scene:
    """A ball is let go high on one side of a half-pipe and rolls to and fro."""
    radius, width, thick, count = 0.55, 0.36, 0.03, 48
    lift = radius + thick + 0.06
    step = math.pi * 0.94 / count
    shapes = [box("foot", (0.5, width, 0.06 + thick), (0, 0, (0.06 + thick) / 2), "wood")]
    for k in range(count):
        angle = (k - (count - 1) / 2) * step  # 0 is the lowest point, towards +x positive
        at = ((radius + thick / 2) * math.sin(angle), 0.0, lift - (radius + thick / 2) * math.cos(angle))
        size = (2.0 * (radius + thick) * math.tan(step / 2) * 1.01, width, thick)
        shapes.append(box(f"plank {k}", size, at, "wood", turned=Pose.about(ACROSS, -angle)))
    pipe = welded("half-pipe", tuple(shapes), (material("wood", "wood", wooden(rng)),), "half-pipe")
    ball = float(rng.uniform(0.035, 0.055))
    angle = math.radians(float(rng.uniform(50.0, 75.0))) * float(rng.choice((-1.0, 1.0)))
    reach = radius - ball - LIFT_M
    start = Pose((reach * math.sin(angle), float(rng.uniform(-0.08, 0.08)), lift - reach * math.cos(angle) - ball))
    return _scene("u_slope", (fixed("slope", pipe), loose("ball", _ball(ball, bright(rng)), start)), at=(0.0, 0.0, 0.36), distance=1.9)


def stable_stack(rng: np.random.Generator) -> Scene:
    """Four to six blocks on one another, each a little smaller and well over the one below: they stay."""
    blocks, height, size = [], LIFT_M, 0.20
    for number, colour in enumerate(several(rng, int(rng.integers(4, 7)))):
        tall = float(rng.uniform(0.06, 0.10))
        x, y = (float(part) for part in rng.uniform(-0.03, 0.03, 2) * size)
        yaw = float(rng.uniform(-0.25, 0.25))
        blocks.append(loose(f"block {number}", block((size, size, tall), colour), yawed(x, y, height, yaw)))
        height, size = height + tall + LIFT_M, size * float(rng.uniform(0.86, 0.95))
    return _scene("stable_stack", tuple(blocks), at=(0.0, 0.0, 0.21), distance=1.2)


def unstable_stack(rng: np.random.Generator) -> Scene:
    """Five to seven equal blocks, each further out than the one below, until their common centre hangs over the edge: they fall."""
    count, size, tall = int(rng.integers(5, 8)), 0.16, float(rng.uniform(0.06, 0.08))
    # The k blocks above the first have their centre k + 1 halves of a step out, and it must be past half a block.
    step = size / count * float(rng.uniform(1.15, 1.4))
    way = float(rng.uniform(-0.6, 0.6)) + (0.0 if rng.random() < 0.5 else math.pi)
    blocks = [
        loose(
            f"block {k}",
            block((size, size, tall), colour),
            yawed((k - 1) * step * math.cos(way), (k - 1) * step * math.sin(way), LIFT_M + k * (tall + LIFT_M), way),
        )
        for k, colour in enumerate(several(rng, count))
    ]
    return _scene("unstable_stack", tuple(blocks), at=(0.0, 0.0, 0.20), distance=1.4)


def dominoes(rng: np.random.Generator) -> Scene:
    """A bent row of 12 to 18 dominoes, the first of which leans over already."""
    count, bend = int(rng.integers(12, 19)), float(rng.uniform(-0.09, 0.09))
    size, gap = (0.018, 0.06, 0.12), float(rng.uniform(0.055, 0.070))
    colours = several(rng, 2)
    heading = -bend * (count - 1) / 2
    places = np.zeros((count, 3))
    for k in range(1, count):
        places[k] = (*(places[k - 1, :2] + gap * np.array([math.cos(heading), math.sin(heading)])), heading + bend)
        heading += bend
    places[0, 2] = -bend * (count - 1) / 2
    places[:, :2] -= (places[:, :2].min(axis=0) + places[:, :2].max(axis=0)) / 2
    things = []
    for k, (x, y, yaw) in enumerate(places):
        pose = yawed(x, y, LIFT_M, yaw)
        if k == 0:  # leans by more than the angle at which its centre passes its edge
            lean = math.atan2(size[0], size[2]) + 0.06
            edge = Pose((size[0] / 2, 0.0, 0.0))
            pose = pose.then(edge).then(Pose.about(ACROSS, lean)).then(edge.inverse())
        things.append(loose(f"domino {k}", block(size, colours[k % 2]), pose))
    return _scene("dominoes", tuple(things), at=(0.0, 0.0, 0.03), distance=1.7)


def seesaw(rng: np.random.Generator) -> Scene:
    """A small block lies on the low end of a seesaw; a heavy ball falls on the high end."""
    half, height = float(rng.uniform(0.40, 0.50)), float(rng.uniform(0.12, 0.16))
    first, second, third = several(rng, 3)
    plank, tilt = seesaw_of(half, height, first, wooden(rng))
    side = float(rng.choice((-1.0, 1.0)))
    turn = Pose() if side > 0 else Pose.about((0.0, 0.0, 1.0), math.pi)
    board = turn.then(Pose((0.0, 0.0, height), Pose.about(ACROSS, -tilt).turn))  # its -x end is low
    light = board.then(Pose((-0.85 * half, 0.0, 0.012 + LIFT_M)))
    landing = board.apply(np.array([0.8 * half, 0.0, 0.0]))
    drop = float(rng.uniform(0.35, 0.60))
    heavy = Pose((float(landing[0]), float(landing[1]), float(landing[2]) + drop))
    things = (
        fixed("seesaw", plank, turn),
        loose("block", block((0.08, 0.08, 0.06), second, substance="rubber"), light),
        loose("ball", _ball(0.055, third, substance="stone"), heavy),
    )
    return _scene("seesaw", things, at=(0.0, 0.0, 0.30), distance=1.9)


def gyroscope(rng: np.random.Generator) -> Scene:
    """A wheel on one end of an arm, which is held by its other end alone and free to turn; the wheel spins, and so the arm goes round at
    the rate at which it neither drops nor nods."""
    asset = gyroscope_of(float(rng.uniform(0.055, 0.070)), float(rng.uniform(260.0, 340.0)), bright(rng))
    place = yawed(0.0, 0.0, 0.0, float(rng.uniform(-math.pi, math.pi)))
    spin = asset.joint("spin").drive.target
    thing = replace(fixed("gyroscope", asset, place), speeds=(("spin", spin), ("turn", precession(asset, spin))))
    scene = _scene("gyroscope", (thing,), at=(0.0, 0.0, 0.20), distance=0.8)
    return replace(scene, integrator="runge-kutta")  # the wheel turns 0.6 rad in a substep


def precession(asset: Asset, spin: float) -> float:
    """How fast (rad/s) a level gyroscope of `machines.gyroscope_of` goes round: the torque of its weight over its wheel's momentum."""
    masses = {name: mass_matrix(asset, asset.body(name)) for name in ("arm", "wheel")}
    levers = {name: asset.body(name).pose.position[0] + float(centre[0]) for name, (_, centre, _) in masses.items()}
    torque = -EARTH[2] * sum(mass * levers[name] for name, (mass, _, _) in masses.items())
    return torque / (float(masses["wheel"][2][0, 0]) * spin)


def block(size: tuple[float, float, float], colour: Colour, *, substance: str = "wood") -> Asset:
    """A block of full `size` (m)."""
    shapes = soft_box("block", size, (0, 0, size[2] / 2), "block", cut=min(size) * 0.06)
    return one_body("block", shapes, (material("block", substance, colour),))


def _ball(radius: float, colour: Colour, *, substance: str = "rubber") -> Asset:
    return one_body("ball", (globe("ball", radius, (0, 0, radius), "ball"),), (material("ball", substance, colour),))


def _tin(radius: float, length: float, colour: Colour) -> Asset:
    """A tin on its side, across x."""
    shapes = (
        rod("tin", radius, length, (0, 0, radius), "tin", along=ACROSS),
        box("stripe", (2 * radius * 0.98, length * 1.01, 0.012), (0, 0, radius), "stripe", role="visual"),
    )
    return one_body("tin", shapes, (material("tin", "liquid", colour), material("stripe", "paper", (0.95, 0.91, 0.82))))


def _scene(name: str, things: tuple[Placed, ...], *, at: tuple[float, float, float], distance: float) -> Scene:
    return Scene(name=name, things=(ground(), *things), cameras=four_cameras(at, distance), lights=lights(at, distance / 2))
