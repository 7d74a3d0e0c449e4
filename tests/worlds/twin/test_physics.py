"""What a compiled scene does, against closed forms: within 1 % unless a bound is stated."""

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from armillary.core import DataError
from armillary.worlds.twin.asset import Asset, Body, Drive, Inertia, Joint, Material, Shape
from armillary.worlds.twin.chain import chained
from armillary.worlds.twin.contact import contact
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.mujoco_compile import compile_scene
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.starting import starting_speeds
from tests.worlds.twin.small_twins import arm, ground, known, thing

G = 9.81
TETRAHEDRON = Mesh(np.array([[0.0, 0, 0], [0.2, 0, 0], [0, 0.3, 0], [0, 0, 0.1]]), np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))


def scene_of(*things: Placed, **options) -> Scene:
    return Scene(name="test", things=things, **options)


def simulate(scene: Scene, seconds: float, read, prepare=lambda data: None) -> np.ndarray:
    """What `read(data)` gives at the start and after each substep."""
    compiled = compile_scene(scene)
    data = mujoco.MjData(compiled.model)
    prepare(data)
    mujoco.mj_forward(compiled.model, data)
    found = [read(data)]
    for _ in range(round(seconds / scene.seconds_per_substep)):
        mujoco.mj_step(compiled.model, data)
        found.append(read(data))
    return np.array(found)


def swinging(*, kind: str = "hinge", weightless: bool = False, **joint) -> Scene:
    """A bar of 2 kg, from the pivot at 1 m height down to 0.6 m below it, on a joint about y."""
    shape = Shape(name="bar", geometry=Box((0.01, 0.01, 0.3)), pose=Pose((0.0, 0.0, -0.3)))
    body = Body(name="bar", mass=known(2.0), shapes=(shape,), pose=Pose((0.0, 0.0, 1.0)))
    frame = Pose((0.0, 0.0, 1.0), Pose.about((1.0, 0.0, 0.0), -math.pi / 2).turn)
    asset = Asset(name="bar", bodies=(body,), joints=(Joint(name="pivot", kind=kind, child="bar", frame=frame, **joint),))
    return scene_of(Placed(name="bar", asset=asset), gravity=(0.0, 0.0, 0.0) if weightless else (0.0, 0.0, -G))


BAR_INERTIA = 2.0 * ((0.02**2 + 0.6**2) / 12.0 + 0.3**2)  # about the pivot


def pendulum_period(amplitude: float) -> float:
    """2 pi sqrt(I / (m g l)) / agm(1, cos(amplitude / 2)): Gauss's form of the elliptic integral."""
    a, b = 1.0, math.cos(amplitude / 2.0)
    for _ in range(20):
        a, b = (a + b) / 2.0, math.sqrt(a * b)
    return 2.0 * math.pi * math.sqrt(BAR_INERTIA / (2.0 * G * 0.3)) / a


def crossings(values: np.ndarray) -> np.ndarray:
    """When the values rise through 0, in substeps."""
    before = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    return before + values[before] / (values[before] - values[before + 1])


def test_free_fall():
    heights = simulate(scene_of(thing("ball", Sphere(0.1), pose=Pose((0.0, 0.0, 10.0)))), 1.0, lambda data: data.qpos[2])
    assert 10.0 - heights[-1] == pytest.approx(G / 2.0, rel=0.01)


@pytest.mark.parametrize(("friction", "degrees"), [(0.2, 25.0), (0.3, 30.0), (0.6, 40.0)])
@pytest.mark.parametrize("restitution", [None, 0.3, 0.5, 0.8])
def test_a_slide_down_a_slope(friction, degrees, restitution):
    tilt = Pose.about((0.0, 1.0, 0.0), math.radians(degrees))
    block = thing("block", Box((0.1, 0.1, 0.02)), pose=tilt.then(Pose((0.0, 0.0, 0.02))), friction=friction, restitution=restitution)
    along = tilt.rotation()[:, 0]
    speed = simulate(scene_of(ground(tilt), block), 1.0, lambda data: along @ data.qvel[:3])
    expected = G * (math.sin(math.radians(degrees)) - friction * math.cos(math.radians(degrees)))
    assert (speed[500] - speed[100]) / 0.8 == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("degrees", [10.0, 20.0, 25.0])
@pytest.mark.parametrize(("restitution", "creep_m"), [(None, 0.00005), (0.5, 0.0006)])
def test_what_is_below_the_friction_angle_sticks(degrees, restitution, creep_m):
    """It may creep a little in a second, most what bounces; the friction angle is 26.6 degrees."""
    tilt = Pose.about((0.0, 1.0, 0.0), math.radians(degrees))
    block = thing("block", Box((0.05, 0.05, 0.05)), pose=tilt.then(Pose((0.0, 0.0, 0.05))), friction=0.5, restitution=restitution)
    along = tilt.rotation()[:, 0]
    place = simulate(scene_of(ground(tilt), block), 2.0, lambda data: along @ data.qpos[:3])
    assert place[-1] - place[1000] < creep_m and place[-1] < 0.005


@pytest.mark.parametrize(("restitution", "friction"), [(None, 0.4), (0.3, 0.4), (0.5, 0.6), (0.8, 0.2), (0.8, 0.6), (0.9, 0.4)])
@pytest.mark.parametrize("half", [(0.1, 0.1, 0.02), (0.05, 0.05, 0.05)])
@pytest.mark.parametrize("substep", [0.001, 0.002, 0.004])
def test_a_shove_ends_where_friction_has_eaten_it(restitution, friction, half, substep):
    """However bouncy, and whether or not it tips a little: a cube's corners are loaded most unevenly."""
    block = thing("block", Box(half), pose=Pose((0.0, 0.0, half[2])), friction=friction, restitution=restitution)

    def shove(data):
        data.qvel[0] = 2.0

    place = simulate(scene_of(ground(), block, seconds_per_substep=substep), 1.5, lambda data: data.qpos[0], shove)
    assert place[-1] == pytest.approx(2.0**2 / (2.0 * friction * G), rel=0.01)


@pytest.mark.parametrize("amplitude", [0.1, 1.0, 2.5])
def test_the_period_of_a_pendulum(amplitude):
    def lift(data):
        data.qpos[0] = amplitude

    angle = simulate(swinging(), 8.0, lambda data: data.qpos[0], lift)
    assert np.diff(crossings(angle)).mean() * 0.002 == pytest.approx(pendulum_period(amplitude), rel=0.01)


def test_the_energy_of_a_pendulum_drifts_by_less_than_a_percent_in_ten_seconds():
    """Of the energy of its swing, 1 rad, between the first second's mean and the last one's."""

    def lift(data):
        data.qpos[0] = 1.0

    swing = simulate(swinging(), 10.0, lambda data: (data.qpos[0], data.qvel[0]), lift)
    energy = 0.5 * BAR_INERTIA * swing[:, 1] ** 2 + 2.0 * G * 0.3 * (1.0 - np.cos(swing[:, 0]))
    assert abs(energy[-500:].mean() - energy[:500].mean()) < 0.01 * energy[0]


def test_a_driven_hinge_answers_like_a_second_order_system():
    stiffness, damping, target = 20.0, 1.2, 0.5
    drive = Drive(stiffness=known(stiffness), damping=known(damping))

    def ask(data):
        data.ctrl[0] = target

    angle = simulate(swinging(weightless=True, drive=drive), 2.0, lambda data: data.qpos[0], ask)
    rate = math.sqrt(stiffness / BAR_INERTIA)
    ratio = damping / (2.0 * math.sqrt(stiffness * BAR_INERTIA))
    assert 0.1 < ratio < 0.9
    ringing = rate * math.sqrt(1.0 - ratio**2)
    times = 0.002 * np.arange(len(angle))
    decay = np.exp(-ratio * rate * times)
    expected = target * (1.0 - decay * (np.cos(ringing * times) + ratio * rate / ringing * np.sin(ringing * times)))
    assert np.abs(angle - expected).max() < 0.01 * target


def test_a_drive_gives_at_most_its_force():
    drive = Drive(stiffness=known(1000.0), damping=known(0.0), max_force=known(0.3))

    def ask(data):
        data.ctrl[0] = 3.0

    speed = simulate(swinging(weightless=True, drive=drive), 0.5, lambda data: data.qvel[0], ask)
    assert speed[-1] == pytest.approx(0.3 * 0.5 / BAR_INERTIA, rel=0.01)


def test_a_drive_without_stiffness_seeks_a_speed():
    drive = Drive(stiffness=known(0.0), damping=known(0.5))

    def ask(data):
        data.ctrl[0] = 2.0

    speed = simulate(swinging(weightless=True, drive=drive), 1.0, lambda data: data.qvel[0], ask)
    times = 0.002 * np.arange(len(speed))
    assert np.abs(speed - 2.0 * (1.0 - np.exp(-0.5 * times / BAR_INERTIA))).max() < 0.02


def test_a_drive_without_stiffness_and_damping_is_a_force():
    drive = Drive(stiffness=known(0.0), damping=known(0.0))

    def ask(data):
        data.ctrl[0] = 0.7

    speed = simulate(swinging(weightless=True, drive=drive), 0.5, lambda data: data.qvel[0], ask)
    assert speed[-1] == pytest.approx(0.35 / BAR_INERTIA, rel=0.01)


def test_damping_dry_friction_and_armature_of_a_joint():
    def spin(data):
        data.qvel[0] = 2.0

    damped = simulate(swinging(weightless=True, damping=known(0.3), armature=known(0.1)), 1.0, lambda data: data.qvel[0], spin)
    assert damped[-1] == pytest.approx(2.0 * math.exp(-0.3 / (BAR_INERTIA + 0.1)), rel=0.01)
    dry = simulate(swinging(weightless=True, friction=known(0.2)), 1.0, lambda data: data.qvel[0], spin)
    assert dry[-1] == pytest.approx(2.0 - 0.2 / BAR_INERTIA, rel=0.01)


def test_a_joint_stops_at_its_limits():
    limits = (known(-0.3), known(0.4))

    def lean(data):
        data.qpos[0] = 0.1

    upside_down = simulate(swinging(limits=limits), 3.0, lambda data: data.qpos[0], lean)
    assert np.abs(upside_down).max() < 0.11  # hangs: its limits are not reached
    drive = Drive(stiffness=known(0.0), damping=known(0.0))

    def push(data):
        data.ctrl[0] = 1.0

    pushed = simulate(swinging(weightless=True, limits=limits, drive=drive, damping=known(0.5)), 4.0, lambda data: data.qpos[0], push)
    assert pushed[-1] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("restitution", [0.0, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("substep", [0.001, 0.002])
def test_a_bounce_keeps_its_share_of_speed(restitution, substep):
    """Wherever within a substep the ball meets the ground: the share of the speed of impact, within 0.01."""
    for drop in (0.5, 0.507, 0.515):
        ball = thing("ball", Sphere(0.05), pose=Pose((0.0, 0.0, drop + 0.05)), restitution=restitution)
        fall = math.sqrt(2.0 * drop / G)
        scene = scene_of(ground(), ball, seconds_per_substep=substep)
        height = simulate(scene, fall + 0.32, lambda data: data.qpos[2])[round(fall / substep) + 2 :] - 0.05
        assert math.sqrt(max(height.max(), 0.0) / drop) == pytest.approx(restitution, abs=0.01)


def test_two_equal_balls_share_what_a_collision_leaves():
    """Newton: of speed v, (1 - e) / 2 stays and (1 + e) / 2 is handed over; the surfaces' restitutions 0.4 and 0.8 mean 0.6."""
    balls = [thing(name, Sphere(0.1), pose=Pose((x, 0.0, 0.0)), restitution=e) for name, x, e in (("a", 0.0, 0.4), ("b", 0.5, 0.8))]

    def throw(data):
        data.qvel[0] = 3.0

    speeds = simulate(scene_of(*balls, gravity=(0.0, 0.0, 0.0)), 0.3, lambda data: data.qvel[[0, 6]], throw)[-1]
    np.testing.assert_allclose(speeds, [3.0 * 0.2, 3.0 * 0.8], atol=0.03)


def test_most_boxes_bounce_as_balls_do_from_half_a_metre_a_second_on():
    """Of 40 moments within a substep at which a box may land flat, those that lose much of the bounce are few; slow ones settle."""
    box = thing("box", Box((0.05, 0.05, 0.05)), pose=Pose((0.0, 0.0, 0.05)), restitution=0.5)
    compiled, lost = compile_scene(scene_of(ground(), box)), {}
    for speed in (0.05, 0.5, 1.0, 3.0):
        kept = []
        for share in (np.arange(40) + 0.5) / 40:
            data = mujoco.MjData(compiled.model)
            data.qpos[2], data.qvel[2] = 0.05 + share * 0.002 * speed, -speed
            kept.append(max(step_up(compiled.model, data) for _ in range(40)) / speed)
        lost[speed] = float(np.mean(np.array(kept) < 0.45))
    assert lost[0.05] == 1.0 and lost[0.5] <= 0.25 and lost[1.0] <= 0.125 and lost[3.0] <= 0.05


def step_up(model, data) -> float:
    """The upward speed after another substep."""
    mujoco.mj_step(model, data)
    return float(data.qvel[2])


@pytest.mark.parametrize(("restitution", "sunk_m"), [(None, 0.0003), (0.5, 0.0016)])
def test_a_stack_stays(restitution, sunk_m):
    """Five boxes: what bounces lies 0.3 mm inside what it lies on."""
    boxes = [
        thing(f"box-{i}", Box((0.05, 0.05, 0.05)), pose=Pose((0.0, 0.0, 0.05 + 0.1 * i)), friction=0.5, restitution=restitution)
        for i in range(5)
    ]
    places = simulate(scene_of(ground(), *boxes), 5.0, lambda data: data.qpos.reshape(-1, 7)[:, :3].copy())
    expected = np.array([[0.0, 0.0, 0.05 + 0.1 * i] for i in range(5)])
    assert np.abs(places - expected).max() < sunk_m


def test_a_stack_that_overhangs_falls():
    boxes = [thing(f"box-{i}", Box((0.05, 0.05, 0.05)), pose=Pose((0.06 * i, 0.0, 0.05 + 0.1 * i)), friction=0.5) for i in range(3)]
    places = simulate(scene_of(ground(), *boxes), 2.0, lambda data: data.qpos.reshape(-1, 7)[:, 2].copy())
    assert places[-1, 2] < 0.1


def test_a_gyroscope_precesses():
    """An axle lying flat, held at one end: it turns about the vertical at m g l / (I spin)."""
    arm_m, spin = 0.2, 150.0
    wheel = Shape(name="wheel", geometry=Cylinder(0.1, 0.01), pose=Pose((arm_m, 0.0, 0.0), Pose.about((0.0, 1.0, 0.0), math.pi / 2).turn))
    asset = Asset(
        name="top", bodies=(Body(name="wheel", mass=known(0.5), shapes=(wheel,)),), joints=(Joint(name="tip", kind="ball", child="wheel"),)
    )
    precession = G * arm_m / (0.5 * 0.1**2 * spin)  # the mass falls out

    def spin_up(data):
        data.qvel[:3] = spin, 0.0, precession

    axles = simulate(
        replace(scene_of(Placed(name="top", asset=asset)), integrator="runge-kutta"),
        1.0,
        lambda data: data.xmat[1].reshape(3, 3)[:, 0].copy(),
        spin_up,
    )
    turned = np.unwrap(np.arctan2(axles[:, 1], axles[:, 0]))
    assert turned[-1] == pytest.approx(precession, rel=0.01)
    assert np.abs(axles[:, 2]).max() < 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gyroscope_of_the_catalogue_starts_to_precess_at_once_and_level(seed):
    """By the mean rate of each half second; before its first turn is over it would have dropped without its spin."""
    scene = build("gyroscope", seed)
    compiled = compile_scene(scene)
    address = {name: compiled.model.jnt_qposadr[compiled.joints[f"gyroscope/{name}"]] for name in ("turn", "nod")}
    wheel, arm_, spin = compiled.bodies["gyroscope/wheel"], compiled.bodies["gyroscope/arm"], scene.thing("gyroscope").speeds[0][1]

    def set_going(data):
        data.qvel[:], data.ctrl[0] = starting_speeds(compiled), spin

    found = simulate(scene, 3.0, lambda data: (data.qpos[address["turn"]], data.qpos[address["nod"]]), set_going)
    data = mujoco.MjData(compiled.model)
    mujoco.mj_kinematics(compiled.model, data)
    torque = G * sum(compiled.model.body_mass[one] * math.hypot(*data.xipos[one][:2]) for one in (wheel, arm_))
    expected = torque / (compiled.model.body_inertia[wheel].max() * spin)
    assert expected > 1.0, "a turn in a few seconds: everyone sees it"
    rates = np.diff(found[::250, 0]) / 0.5
    np.testing.assert_allclose(rates, expected, rtol=0.01)
    assert np.abs(found[:, 1]).max() < 0.01


@pytest.mark.parametrize(
    ("speeds", "words"),
    [
        ((("elbow", math.nan),), "finite speed, received nan for the hinge 'elbow'"),
        ((("weld", 1.0),), "received 1.0 for the fixed 'weld'"),
        ((("knee", 1.0),), "has no joint 'knee'; it has 'shoulder', 'elbow'"),
        ((("elbow", 1.0), ("elbow", 2.0)), "'elbow' is said twice"),
    ],
)
def test_speeds_at_the_start_that_cannot_be_are_named(speeds, words):
    placed = arm()
    weld = Joint(name="weld", kind="fixed", child="base")
    asset = replace(placed.asset, joints=(*placed.asset.joints, weld))
    with pytest.raises(DataError, match=words):
        starting_speeds(compile_scene(scene_of(replace(placed, asset=asset, speeds=speeds))))


def test_speeds_at_the_start_reach_their_joints():
    compiled = compile_scene(scene_of(thing("ball", Sphere(0.1)), replace(arm(), speeds=(("elbow", -2.0),))))
    expected = np.zeros(8)  # six of the ball, then shoulder and elbow
    expected[7] = -2.0
    np.testing.assert_array_equal(starting_speeds(compiled), expected)


def odd_asset() -> Asset:
    """Every way to have a mass, in turned frames, joined in a tree."""
    stuff = Material(name="stuff", density=known(700.0))
    tilted = Pose.about((1.0, 2.0, -0.5), 0.8, (0.1, -0.2, 0.3))
    shapes = (
        Shape(name="box", geometry=Box((0.1, 0.05, 0.2)), pose=tilted, material="stuff"),
        Shape(name="rod", geometry=Capsule(0.03, 0.1), pose=Pose((0.2, 0.0, 0.0)), material="stuff", role="collider"),
        Shape(name="shine", geometry=Sphere(0.5), material="stuff", role="visual"),
    )
    given = Inertia(tuple(known(moment) for moment in (0.02, 0.03, 0.04)), Pose.about((0.3, -1.0, 0.2), 1.1, (0.01, 0.02, -0.03)))
    bodies = (
        Body(name="root", shapes=shapes, pose=Pose.about((0.0, 1.0, 1.0), 0.4, (0.0, 0.0, 1.0))),
        Body(name="given", mass=known(1.7), inertia=given, pose=Pose.about((1.0, 0.0, 0.0), -0.7, (0.5, 0.0, 1.0))),
        Body(name="hull", mass=known(0.4), shapes=(Shape(name="mesh", geometry=TETRAHEDRON, pose=tilted),), pose=Pose((0.5, 0.4, 1.0))),
        Body(name="held", mass=known(0.2), shapes=(Shape(name="ball", geometry=Sphere(0.04)),), pose=Pose((0.5, 0.4, 1.5))),
    )
    joints = (
        Joint(name="turn", kind="hinge", parent="root", child="given", frame=Pose.about((1.0, 1.0, 0.0), 0.5, (0.3, 0.0, 1.0))),
        Joint(name="push", kind="slide", parent="given", child="hull", frame=Pose.about((0.0, 1.0, 0.3), 1.5, (0.5, 0.2, 1.0))),
        Joint(name="weld", kind="fixed", parent="hull", child="held"),
    )
    return Asset(name="odd", bodies=bodies, joints=joints, materials=(stuff,))


def test_masses_and_inertias_are_the_schema_s():
    asset = odd_asset()
    compiled = compile_scene(scene_of(Placed(name="odd", asset=asset, moves=True)))
    for body in asset.bodies:
        mass, centre, inertia = mass_matrix(asset, body)
        number = compiled.bodies[f"odd/{body.name}"]
        turning = np.zeros(9)
        mujoco.mju_quat2Mat(turning, compiled.model.body_iquat[number])
        turning = turning.reshape(3, 3)
        assert compiled.model.body_mass[number] == mass
        np.testing.assert_allclose(compiled.model.body_ipos[number], centre, atol=1e-12)
        np.testing.assert_allclose(turning @ np.diag(compiled.model.body_inertia[number]) @ turning.T, inertia, atol=1e-10)


def test_bodies_and_joints_are_where_the_schema_says():
    asset, pose = odd_asset(), Pose.about((0.2, 0.3, 1.0), 2.0, (3.0, -1.0, 0.5))
    compiled = compile_scene(scene_of(Placed(name="odd", asset=asset, pose=pose)))
    data = mujoco.MjData(compiled.model)
    mujoco.mj_forward(compiled.model, data)
    for body in asset.bodies:
        number, expected = compiled.bodies[f"odd/{body.name}"], pose.then(body.pose)
        np.testing.assert_allclose(data.xpos[number], expected.position, atol=1e-9)
        np.testing.assert_allclose(data.xmat[number].reshape(3, 3), expected.rotation(), atol=1e-9)
    for name in ("turn", "push"):
        number, expected = compiled.joints[f"odd/{name}"], pose.then(asset.joint(name).frame)
        np.testing.assert_allclose(data.xanchor[number], expected.position, atol=1e-9)
        np.testing.assert_allclose(data.xaxis[number], expected.rotation()[:, 2], atol=1e-9)


@pytest.mark.parametrize("kind", ["fixed", "hinge"])
def test_a_point_mass_may_be_held_rigidly_but_not_turned(kind):
    bodies = (
        Body(name="root", mass=known(1.0), shapes=(Shape(name="s", geometry=Sphere(0.1)),)),
        Body(name="point", mass=known(0.5), pose=Pose((1.0, 0.0, 0.0))),
    )
    asset = Asset(name="a", bodies=bodies, joints=(Joint(name="j", kind=kind, parent="root", child="point"),))
    scene = scene_of(Placed(name="a", asset=asset, moves=True))
    if kind == "fixed":
        np.testing.assert_array_equal(compile_scene(scene).model.body_mass, [0.0, 1.0, 0.5])
        return
    with pytest.raises(DataError, match=r"mass and inertia of moving bodies .* 'a/point'"):
        compile_scene(scene)


def test_open_meshes_collide_and_flat_ones_are_only_seen():
    corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-0.1, 0.0)])
    tray = Mesh(corners, np.array([[0, 2, 6], [0, 6, 4], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]]))  # no top, two walls missing
    ball = thing("ball", Sphere(0.1), pose=Pose((0.1, 0.2, 0.15)))
    assert not tray.closed()
    assert simulate(scene_of(thing("tray", tray, moves=False), ball), 1.0, lambda data: data.qpos[2])[-1] == pytest.approx(0.1, abs=0.002)
    quad = Mesh(corners[::2], np.array([[0, 1, 3], [0, 3, 2]]))
    assert compile_scene(scene_of(thing("sheet", quad, moves=False, role="visual"))).model.ngeom == 1
    for flat, words in ((quad, "coplanar vertices"), (Mesh(corners[:3], np.array([[0, 1, 2]])), "at least 4 vertices")):
        with pytest.raises(DataError, match=rf"(?s){words}.*sheet/body/0|sheet/body/0.*{words}"):
            compile_scene(scene_of(thing("sheet", flat, moves=False), ball))


def test_only_colliders_collide():
    for role, rests in (("both", True), ("collider", True), ("visual", False)):
        ball = thing("ball", Sphere(0.1), pose=Pose((0.0, 0.0, 0.1)), role=role)
        height = simulate(scene_of(ground(), ball), 1.0, lambda data: data.qpos[2])[-1]
        assert (height > 0.09) == rests


def test_a_mesh_collides_as_its_hull():
    dent = Mesh(
        np.array([[-0.1, -0.1, 0.0], [0.1, -0.1, 0.0], [0.1, 0.1, 0.0], [-0.1, 0.1, 0.0], [0.0, 0.0, 0.1]]) * [1, 1, -1] + [0, 0, 0.1],
        np.array([[0, 1, 2], [0, 2, 3], [1, 0, 4], [2, 1, 4], [3, 2, 4], [0, 3, 4]]),
    )  # a pyramid on its tip; a plate lies on its flat top
    things = ground(), thing("pyramid", dent, moves=False), thing("plate", Box((0.05, 0.05, 0.01)), pose=Pose((0.0, 0.0, 0.12)))
    assert simulate(scene_of(*things), 1.0, lambda data: data.qpos[2])[-1] == pytest.approx(0.11, abs=0.001)


def test_joined_bodies_never_touch_and_others_do():
    compiled = compile_scene(scene_of(ground(), arm(), thing("ball", Sphere(0.05), pose=Pose((1.0, 0.0, 1.0)))))
    model = compiled.model
    bodies = {number: name for name, number in compiled.bodies.items()}
    pairs = {frozenset(bodies[model.geom_bodyid[geom]] for geom in pair) for pair in zip(model.pair_geom1, model.pair_geom2, strict=True)}
    assert frozenset(("arm/base", "arm/upper")) not in pairs and frozenset(("arm/upper", "arm/lower")) not in pairs
    assert frozenset(("arm/base", "ground/body")) not in pairs  # neither moves
    assert {frozenset(("arm/base", "arm/lower")), frozenset(("ball/body", "arm/base")), frozenset(("ground/body", "arm/lower"))} <= pairs


def test_a_free_joint_lets_a_body_fly_from_where_it_hangs():
    bodies = (
        Body(name="root"),
        Body(name="loose", mass=known(1.0), shapes=(Shape(name="s", geometry=Sphere(0.1)),), pose=Pose((0.0, 0.0, 2.0))),
    )
    asset = Asset(name="a", bodies=bodies, joints=(Joint(name="fly", kind="free", parent="root", child="loose"),))
    heights = simulate(scene_of(Placed(name="a", asset=asset)), 0.5, lambda data: data.qpos[2])
    assert heights[0] == 2.0 and 2.0 - heights[-1] == pytest.approx(G * 0.125, rel=0.01)


def test_friction_and_restitution_of_two_surfaces():
    def surface(friction, restitution):
        return Material(
            name="m",
            friction=None if friction is None else Quantity(friction),
            restitution=None if restitution is None else Quantity(restitution),
        )

    for first, second, friction, kept in (
        ((0.2, 0.6), (0.6, 0.2), 0.4, 0.4),
        ((0.2, None), (None, 0.3), 0.2, 0.3),
        ((None, None), (None, None), 0.5, 0.0),
        ((0.9, 1.0), (None, None), 0.9, 0.98),
    ):
        found = contact(surface(*first), surface(*second), 0.002)
        assert found.friction[0] == pytest.approx(friction) and -found.solref[1] * 0.002 - 1.0 == pytest.approx(kept)
        assert (found.solimp[0] < 0.1) == (kept > 0), "only what bounces begins softly"
        assert contact(surface(*first), surface(*second), 0.002, ball=True).solimp[0] == found.solimp[1]


def test_a_ball_makes_a_contact_hard_whichever_side_it_is_on():
    things = [thing("box", Box((0.1, 0.1, 0.1)), restitution=0.5), thing("ball", Sphere(0.1), restitution=0.5)]
    for order in (things, things[::-1]):
        model = compile_scene(scene_of(ground(), *order)).model
        hard = {
            frozenset(model.geom(geom).name.partition("/")[0] for geom in (model.pair_geom1[pair], model.pair_geom2[pair])): bool(
                model.pair_solimp[pair, 0] > 0.9
            )
            for pair in range(model.npair)
        }
        assert hard == {frozenset(("ground", "box")): False, frozenset(("ground", "ball")): True, frozenset(("box", "ball")): True}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: scene_of(thing("ball", Sphere(0.1), mass=None)), "'ball', body 'body' moves, but neither its mass"),
        (lambda: scene_of(thing("floor", Plane(), mass=1.0)), "'floor', body 'body', shape 'shape' is a plane"),
        (
            lambda: scene_of(ground(), cameras=(Camera(name="eye", pose=Pose(), on="ground/boddy"),)),
            "camera 'eye' rides on 'ground/boddy'; bodies: ground/body",
        ),
        (lambda: swinging(kind="ball", drive=Drive(stiffness=known(1.0), damping=known(1.0))), "'bar/pivot' is a ball and has a drive"),
        (lambda: scene_of(thing("egg", Sphere(0.1), mass=1e-30)), "cannot be simulated: .*egg/body"),
    ],
)
def test_what_cannot_be_compiled_is_named(build, words):
    with pytest.raises(DataError, match=words):
        compile_scene(build())


def test_a_chain_of_massless_frames_is_one_body_of_several_joints():
    """Two hinges and a slide hold a rod: as MuJoCo itself moves it."""
    rod = Shape(name="rod", geometry=Capsule(0.02, 0.15), pose=Pose((0.0, 0.0, -0.2)))
    body = Body(name="rod", shapes=(rod,), pose=Pose((0.0, 0.0, 1.0)), mass=known(0.7))
    up, side = Pose((0.0, 0.0, 1.0)), Pose.about((0.0, 1.0, 0.0), math.pi / 2, (0.0, 0.0, 1.0))
    forth = Pose.about((1.0, 0.0, 0.0), -math.pi / 2, (0.05, 0.0, 1.1))
    joints = tuple(
        Joint(name=name, kind=kind, child="rod", frame=frame)
        for name, kind, frame in (("slip", "slide", up), ("swing", "hinge", side), ("roll", "hinge", forth))
    )
    bodies, held = chained(body, joints, {"rod"})
    compiled = compile_scene(scene_of(Placed(name="thing", asset=Asset(name="chain", bodies=bodies, joints=held))))
    model = compiled.model
    assert (model.nbody, model.njnt) == (2, 3)
    assert set(compiled.bodies) == {f"thing/{one.name}" for one in bodies} and set(compiled.bodies.values()) == {1}
    truth = mujoco.MjModel.from_xml_string(
        f"""<mujoco><option timestep="{model.opt.timestep}" integrator="implicitfast"/><worldbody><body pos="0 0 1">
        <joint type="slide" axis="0 0 1"/><joint axis="1 0 0"/><joint axis="0 1 0" pos="0.05 0 0.1"/>
        <geom type="capsule" size="0.02 0.15" pos="0 0 -0.2" mass="0.7" contype="0"/></body></worldbody></mujoco>"""
    )
    ends = []
    for one in (model, truth):
        data = mujoco.MjData(one)
        data.qpos[:], data.qvel[:] = (0.1, 0.5, -0.4), (0.3, 1.0, 2.0)
        mujoco.mj_step(one, data, 250)
        ends.append(np.concatenate([data.xipos[1], data.qpos]))
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)
