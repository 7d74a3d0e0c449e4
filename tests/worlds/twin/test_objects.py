"""Object families and robots: valid as assets, the same for the same seed, at rest where they are put, and working joints."""

import math

import numpy as np
import pytest

from armillary.core import ConfigError
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.geometry import Mesh
from armillary.worlds.twin.mass import mass_kg, mass_matrix
from armillary.worlds.twin.objects import meshes
from armillary.worlds.twin.objects.families import FAMILIES, make, names
from armillary.worlds.twin.objects.furniture import table_of
from armillary.worlds.twin.objects.materials import LOOKS, material
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.readiness import check_asset
from armillary.worlds.twin.robots.arm import LINKS, OPENING_M, TIP, arm
from armillary.worlds.twin.robots.car import WHEEL_RADIUS_M, WHEELBASE_M, car
from armillary.worlds.twin.robots.wheeled import TRACK_M, wheeled_robot
from armillary.worlds.twin.robots.wheeled import WHEEL_RADIUS_M as ROBOT_WHEEL_M
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.scenes.stage import fixed, ground, loose, yawed

mujoco = pytest.importorskip("mujoco")
from armillary.worlds.twin.mujoco_compile import Compiled  # noqa: E402
from tests.worlds.twin.simulation import run, start  # noqa: E402

SEEDS = (0, 1, 2)
ROBOTS = {"arm": arm(), "wheeled_robot": wheeled_robot(), "car": car((0.8, 0.2, 0.2))}
# kg, the least and the most that such a thing weighs
WEIGHS = {
    "apple": (0.08, 0.25), "ball": (0.05, 0.4), "banana": (0.09, 0.3), "book": (0.2, 1.0), "bottle": (0.3, 0.9), "bowl": (0.15, 0.7),
    "box": (0.03, 0.6), "brick": (0.2, 0.7), "cabinet": (15, 60), "can": (0.25, 0.55), "chair": (3, 12), "cup": (0.03, 0.2),
    "die": (0.02, 0.2), "door": (30, 110), "fork": (0.03, 0.12), "hammer": (0.2, 1.0), "jar": (0.2, 0.8), "lamp": (1.0, 4.5),
    "lidded_box": (0.3, 1.8), "mug": (0.15, 0.5), "plate": (0.15, 0.7), "ring": (0.015, 0.12), "screwdriver": (0.04, 0.2),
    "shelf": (10, 60), "sofa": (20, 90), "spoon": (0.02, 0.1), "stand": (0.05, 0.8), "table": (12, 50), "tray": (0.1, 0.8),
}  # fmt: skip

# kg and g m2 (about x and z, at the centre of mass) of seed 3, as they were when the walls of vessels reached the ground
VESSELS = {
    "bowl": (0.31607, 0.44758, 0.72381), "cup": (0.08198, 0.13142, 0.07069), "mug": (0.25832, 0.30922, 0.32112),
    "plate": (0.24437, 0.47029, 0.92400),
}  # fmt: skip


def joint_value(compiled: Compiled, data, name: str) -> float:
    return float(data.qpos[compiled.model.jnt_qposadr[compiled.joints[name]]])


def push(compiled: Compiled, data, name: str, force: float) -> None:
    data.qfrc_applied[:] = 0.0
    data.qfrc_applied[compiled.model.jnt_dofadr[compiled.joints[name]]] = force


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_valid_and_depends_on_its_seed_alone(family):
    assert make(family, 5) == make(family, 5)
    assert make(family, 5) != make(family, 6)
    assert check_asset(make(family, 0)) == ()
    for seed in SEEDS:
        asset = make(family, seed)
        assert asset_bounds(asset)[0, 2] == pytest.approx(0.0, abs=1e-3), "its origin is its foot"
        total = 0.0
        for body in asset.bodies:
            mass, _, inertia = mass_matrix(asset, body)
            moments = np.linalg.eigvalsh(inertia)
            assert mass > 0 and moments[0] > 0 and moments[0] + moments[1] >= moments[2]
            assert body.label
            total += mass
        low, high = WEIGHS[family]
        assert low <= total <= high


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_touches_with_primitives_and_says_where_its_numbers_are_from(family):
    asset = make(family, 3)
    for body in asset.bodies:
        assert any(shape.role != "visual" for shape in body.shapes)
        for shape in body.shapes:
            if isinstance(shape.geometry, Mesh):
                assert shape.role == "visual" and shape.geometry.solid() is not None, shape.name
    for one in asset.materials:
        for quantity in (one.density, one.friction, one.restitution):
            assert quantity.source == "estimated" and quantity.low < quantity.value < quantity.high
    for joint in asset.joints:
        assert joint.kind == "fixed" or joint.limits[1].value > joint.limits[0].value


@pytest.mark.parametrize("seed", (0, 1))
def test_what_is_dropped_on_a_table_comes_to_rest_there(seed):
    families, top = names("hand"), 0.7
    places = {family: (0.4 * (k % 5) - 0.8, 0.4 * (k // 5) - 0.8) for k, family in enumerate(families)}
    desk = fixed("table", table_of((2.4, 2.4, top), (0.8, 0.6, 0.4)))
    things = tuple(loose(family, make(family, seed), Pose((*places[family], top + 0.01))) for family in families)
    compiled, data = start(Scene(name="drop", things=(desk, *things)))
    run(compiled, data, 2.0)
    assert np.abs(data.qvel).max() < 0.02
    assert min(contact.dist for contact in data.contact) > -0.002
    for family in families:
        body = make(family, seed).roots()[0].name
        x, y, z = data.xpos[compiled.bodies[f"{family}/{body}"]]
        assert math.dist((x, y), places[family]) < 0.01, family
        assert z == pytest.approx(top, abs=0.004), family


@pytest.mark.parametrize("family", names("room"))
def test_what_stands_on_the_floor_keeps_standing(family):
    asset = make(family, 1)
    compiled, data = start(Scene(name="stand", things=(ground(), loose(family, asset, Pose((0.0, 0.0, 0.001))))))
    run(compiled, data, 1.0)
    upright = data.xmat[compiled.bodies[f"{family}/{asset.roots()[0].name}"]].reshape(3, 3)[2, 2]
    assert upright > 0.9999 and np.abs(data.qvel).max() < 0.02


@pytest.mark.parametrize(
    "family, joint, force, far",
    [("cabinet", "slide 0", 20.0, None), ("lidded_box", "hinge", 0.6, 1.9), ("door", "hinge", 8.0, 1.9), ("door", "latch", 2.0, 0.8)],
)
def test_moving_parts_open_to_their_limit_stay_and_shut_again(family, joint, force, far):
    asset = make(family, 2)
    far = asset.joint(joint).limits[1].value if far is None else far
    shut = asset.joint(joint).limits[0].value
    compiled, data = start(Scene(name="open", things=(ground(), fixed("it", asset))))
    name = f"it/{joint}"
    push(compiled, data, name, force)
    run(compiled, data, 3.0)
    assert joint_value(compiled, data, name) == pytest.approx(far, rel=0.03)
    push(compiled, data, name, 0.0)
    run(compiled, data, 1.0)
    if joint != "hinge" or family == "door":
        assert joint_value(compiled, data, name) == pytest.approx(far, rel=0.05), "dry friction holds it"
    push(compiled, data, name, -force)
    run(compiled, data, 5.0)
    assert joint_value(compiled, data, name) == pytest.approx(shut, abs=0.03)


def test_a_mug_is_hollow_and_its_handle_is_a_loop():
    mug = make("mug", 0)
    radius = max(shape.geometry.bounds()[1, 0] for shape in mug.bodies[0].shapes if shape.name == "mug look")
    marble = make("ball", 0).bodies[0].shapes[0].geometry.radius
    inside = np.array([0.0, 0.0, 0.05])
    handle = np.array([radius + 0.012, 0.0, 0.045])
    for point in (inside, handle):
        for shape in mug.bodies[0].shapes:
            if shape.role != "visual":
                low, high = shape.geometry.bounds()
                local = shape.pose.inverse().apply(point)
                assert not ((local > low - 0.006) & (local < high + 0.006)).all(), shape.name
    assert marble < radius


@pytest.mark.parametrize("family", VESSELS)
def test_a_vessel_weighs_the_same_and_stands_on_few_points(family):
    asset = make(family, 3)
    mass, _, inertia = mass_matrix(asset, asset.bodies[0])
    assert (mass, inertia[0, 0] * 1e3, inertia[2, 2] * 1e3) == pytest.approx(VESSELS[family], rel=0.01)
    desk = fixed("table", table_of((1.0, 1.0, 0.7), (0.8, 0.6, 0.4)))
    compiled, data = start(Scene(name="stand", things=(desk, loose(family, asset, Pose((0.0, 0.0, 0.702))))))
    most = max(run(compiled, data, 1.0, read=lambda: data.ncon)[50:])
    assert 3 <= most <= 8, "more than its floor touches the table, which takes most of a simulation's time"


@pytest.mark.parametrize("way_deg", [0.0, 15.0, 45.0])
@pytest.mark.parametrize("share", [0.8, 1.2])
def test_a_tilted_cup_falls_over_once_its_centre_of_mass_is_past_its_foot(way_deg, share):
    cup = make("cup", 3)
    (foot,) = [shape.geometry.radius for shape in cup.bodies[0].shapes if shape.name == "floor"]
    _, centre, _ = mass_matrix(cup, cup.bodies[0])
    tilt, way = share * math.atan2(foot, centre[2]), math.radians(way_deg)
    out = np.array([math.cos(way), math.sin(way), 0.0])
    tilted = Pose.about((-out[1], out[0], 0.0), tilt)
    lowest = float(tilted.apply(foot * out)[2])
    compiled, data = start(Scene(name="tip", things=(ground(), loose("cup", cup, Pose((0.0, 0.0, -lowest), tilted.turn)))))
    upright = run(compiled, data, 0.1, read=lambda: data.xmat[compiled.bodies["cup/cup"]][8])[-1]
    assert (upright > math.cos(tilt)) == (share < 1.0)


@pytest.mark.parametrize("robot", ROBOTS)
def test_robots_are_valid(robot):
    asset = ROBOTS[robot]
    assert check_asset(asset) == ()
    for body in asset.bodies:
        mass, _, inertia = mass_matrix(asset, body)
        assert mass > 0 and np.linalg.eigvalsh(inertia)[0] > 0


def test_the_arm_holds_itself_and_its_hand_points_down():
    compiled, data = start(Scene(name="arm", things=(ground(), fixed("arm", arm()))))
    hand = compiled.bodies["arm/hand"]
    at_start = data.xpos[hand].copy()
    assert data.xmat[hand].reshape(3, 3)[:, 2] == pytest.approx([0, 0, -1], abs=1e-9)
    run(compiled, data, 1.0)
    assert np.abs(data.xpos[hand] - at_start).max() < 0.015 and np.abs(data.qvel).max() < 1e-3 and data.ncon == 0
    tip = data.xpos[hand] + data.xmat[hand].reshape(3, 3) @ np.array(TIP)
    assert 0.3 < tip[0] < 0.7 and abs(tip[1]) < 1e-3 and 0.1 < tip[2] < 0.5
    assert joint_value(compiled, data, "arm/left finger") == pytest.approx(OPENING_M, abs=1e-3)
    assert sum(mass_kg(arm(), body) for body in arm().bodies[1:]) == pytest.approx(16.0, abs=1.0)


@pytest.mark.parametrize("number", range(len(LINKS)))
def test_each_joint_of_the_arm_follows_its_drive(number):
    compiled, data = start(Scene(name="arm", things=(fixed("arm", arm()),)))
    data.ctrl[number] = 0.3
    run(compiled, data, 1.5)
    assert joint_value(compiled, data, f"arm/joint {number + 1}") == pytest.approx(0.3, abs=0.02)


def test_the_gripper_holds_a_block_against_gravity():
    brick = make("die", 1)
    edge = asset_bounds(brick)[1, 2]
    compiled, data = start(Scene(name="arm", things=(fixed("arm", arm()), Placed(name="die", asset=brick, moves=True))))
    run(compiled, data, 0.3)
    hand = compiled.bodies["arm/hand"]
    tip = data.xpos[hand] + data.xmat[hand].reshape(3, 3) @ np.array(TIP)
    address = compiled.model.jnt_qposadr[compiled.free["die/die"]]
    data.qpos[address : address + 7] = (*(tip - np.array([0.0, 0.0, edge / 2])), 1.0, 0.0, 0.0, 0.0)
    data.qvel[:] = 0.0
    data.ctrl[-2:] = 0.0
    compiled.model.opt.gravity[2] = 0.0
    run(compiled, data, 0.3)
    compiled.model.opt.gravity[2] = -9.81
    before = data.xpos[compiled.bodies["die/die"]][2]
    run(compiled, data, 1.0)
    assert data.xpos[compiled.bodies["die/die"]][2] == pytest.approx(before, abs=0.006)
    assert joint_value(compiled, data, "arm/left finger") == pytest.approx(edge / 2, abs=0.004)


def test_the_wheeled_robot_drives_straight_and_turns_by_its_wheels():
    compiled, data = start(Scene(name="drive", things=(ground(), loose("robot", wheeled_robot()))))
    data.ctrl[:] = 5.0, 5.0
    run(compiled, data, 1.0)
    speed = data.qvel[0]
    wheel = data.qvel[compiled.model.jnt_dofadr[compiled.joints["robot/left wheel"]]]
    assert speed == pytest.approx(wheel * ROBOT_WHEEL_M, rel=0.02) and wheel == pytest.approx(5.0, rel=0.06)
    assert abs(data.qpos[1]) < 0.01
    data.ctrl[:] = 2.0, 6.0
    run(compiled, data, 1.0)
    left, right = (data.qvel[compiled.model.jnt_dofadr[compiled.joints[f"robot/{side} wheel"]]] for side in ("left", "right"))
    assert data.qvel[5] == pytest.approx((right - left) * ROBOT_WHEEL_M / TRACK_M, rel=0.05) and data.qvel[5] > 0.5
    data.ctrl[:] = -3.0, 3.0
    run(compiled, data, 0.6)
    assert math.hypot(*data.qvel[:2]) < 0.02 and data.qvel[5] > 0.8, "it turns on the spot"
    assert data.xmat[compiled.bodies["robot/chassis"]].reshape(3, 3)[2, 2] > 0.999


def test_the_car_drives_round_the_circle_that_its_steering_says():
    compiled, data = start(Scene(name="drive", things=(ground(substance="asphalt"), loose("car", ROBOTS["car"]))))
    angle = 0.2
    data.ctrl[:] = [angle if "steering" in name else 8.0 for name, _ in compiled.drives]
    run(compiled, data, 3.0)
    speed = math.hypot(*data.qvel[:2])
    rear = [data.qvel[compiled.model.jnt_dofadr[compiled.joints[f"car/{side} rear wheel"]]] for side in ("left", "right")]
    assert speed == pytest.approx(sum(rear) / 2 * WHEEL_RADIUS_M, rel=0.05) and speed > 1.5
    assert data.qvel[5] == pytest.approx(speed * math.tan(angle) / WHEELBASE_M, rel=0.05)
    assert data.xmat[compiled.bodies["car/chassis"]].reshape(3, 3)[2, 2] > 0.999


def test_meshes_have_the_volumes_of_closed_forms():
    segments, radius = 40, 0.05
    share = segments / (2 * math.pi) * math.sin(2 * math.pi / segments)  # of a polygon in its circle
    tube = meshes.lathe(np.array([[0, 0], [radius, 0], [radius, 0.2], [0, 0.2]], dtype=float), segments=segments)
    assert tube.solid().volume == pytest.approx(math.pi * radius**2 * 0.2 * share)
    rod = meshes.sweep(np.array([[0, 0, 0], [0.1, 0, 0], [0.3, 0, 0]], dtype=float), np.full(3, radius), segments=segments)
    assert rod.solid().volume == pytest.approx(math.pi * radius**2 * 0.3 * share)
    assert meshes.torus(0.2, radius, segments=200, sides=200).solid().volume == pytest.approx(2 * math.pi**2 * 0.2 * radius**2, rel=1e-3)
    a, b, c, cut = 0.1, 0.2, 0.3, 0.02
    edges = 4 * (2 * a + 2 * b + 2 * c) * cut**2 / 2
    corners = 8 * (cut**3 * (-3 / 2 + 5 / 6))  # three prisms overlap in each corner; 5/6 of its cube is gone
    assert meshes.chamfered((a, b, c), cut).solid().volume == pytest.approx(8 * a * b * c - edges - corners)
    assert meshes.extruded(np.array([[0, 0], [1, 0], [0, 1]], dtype=float), 2.0).solid().volume == pytest.approx(1.0)
    angle = np.linspace(0, math.pi / 2, 400)
    arc = 10.0 * np.stack([np.sin(angle), 1 - np.cos(angle)], axis=1)
    strip = meshes.band(arc, -1.0, 3.0, 0.0, 0.5).solid().volume
    assert strip == pytest.approx(math.pi / 4 * (11.0**2 - 7.0**2) * 0.5, rel=1e-3)
    assert meshes.turned_loop(np.array([[1, 0], [2, 0], [2, 1], [1, 1]], dtype=float), segments=segments).solid().volume == pytest.approx(
        3 * math.pi * share
    )


@pytest.mark.parametrize("seed", range(8))
def test_softening_keeps_the_ends_and_stays_inside_the_corners(seed):
    line = np.random.default_rng(seed).normal(size=(6, 2))
    soft = meshes.soften(line)
    assert np.array_equal(soft[[0, -1]], line[[0, -1]])
    assert (soft.min(axis=0) >= line.min(axis=0)).all() and (soft.max(axis=0) <= line.max(axis=0)).all() and len(soft) > len(line)


def test_faults_are_named():
    with pytest.raises(ConfigError, match="there is no object family 'teapot'; families: apple, ball"):
        make("teapot", 0)
    with pytest.raises(ConfigError, match="size must be one of hand, room, received 'huge'"):
        names("huge")
    with pytest.raises(ConfigError, match=r"substance must be one of aluminium, .*, received 'cheese'"):
        material("x", "cheese", (1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match="must touch the axis at both ends"):
        meshes.lathe(np.array([[0.1, 0.0], [0.2, 0.0], [0.0, 1.0]]))
    with pytest.raises(ConfigError, match=r"less than 0\.1, received 0\.2"):
        meshes.chamfered((0.1, 0.2, 0.3), 0.2)
    assert set(WEIGHS) == set(FAMILIES) and all(material("x", of, (0.5, 0.5, 0.5)).density.value > 0 for of in LOOKS)


def test_yawed_turns_about_the_upright():
    assert yawed(1.0, 2.0, 3.0, math.pi / 2).apply(np.array([1.0, 0.0, 0.0])) == pytest.approx([1.0, 3.0, 3.0])
