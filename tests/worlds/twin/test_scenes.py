"""Scenes: the same for the same seed, calm or not as they should be, and what happens in them against closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest

from armillary.core import ConfigError, WorldError
from armillary.worlds.twin.contact import contact
from armillary.worlds.twin.extent import asset_bounds, body_bounds
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.objects.families import make
from armillary.worlds.twin.robots.car import car
from armillary.worlds.twin.scene import Camera, Scene
from armillary.worlds.twin.scenes.catalogue import PHYSICS, SCENES, build
from armillary.worlds.twin.scenes.placing import Footprint, footprint, scatter
from armillary.worlds.twin.scenes.stage import ground, loose
from armillary.worlds.twin.scenes.street import LANE_M, Path
from armillary.worlds.twin.scenes.tabletop import AREA_M, TABLE_M
from armillary.worlds.twin.scenes.walls import DOOR_HEIGHT_M, HEIGHT_M, THICK_M, Wall, walls_of

mujoco = pytest.importorskip("mujoco")
from armillary.worlds.twin.mujoco_compile import Compiled  # noqa: E402
from tests.worlds.twin.simulation import EVERY, run, start  # noqa: E402

G = 9.81
SEEDS = (0, 1, 2)


def loose_bodies(compiled: Compiled) -> list[str]:
    return list(compiled.free)


def place(compiled: Compiled, data, body: str) -> np.ndarray:
    return data.xpos[compiled.bodies[body]].copy()


def up(compiled: Compiled, data, body: str) -> float:
    """How much of the body's z looks up: 1 upright, 0 on its side."""
    return float(data.xmat[compiled.bodies[body]].reshape(3, 3)[2, 2])


@pytest.mark.parametrize("name", SCENES)
def test_a_seed_gives_one_scene(name):
    assert build(name, 4) == build(name, 4)
    assert build(name, 4) != build(name, 5)
    assert build(name, 4).name == name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENES)
def test_every_scene_starts_apart_and_stays_sane_for_a_second(name, seed):
    compiled, data = start(build(name, seed))
    deepest = min((one.dist for one in data.contact if one.exclude == 0), default=0.0)
    assert deepest > -2e-4, "nothing begins inside another"
    run(compiled, data, 1.0)
    assert np.isfinite(data.qpos).all() and not any(warning.number for warning in data.warning)
    positions = np.array([place(compiled, data, body) for body in loose_bodies(compiled)]).reshape(-1, 3)
    assert (positions[:, 2] > -0.02).all(), "nothing fell through the ground"
    speeds = [np.linalg.norm(data.qvel[compiled.model.jnt_dofadr[joint] :][:3]) for joint in compiled.free.values()]
    assert max(speeds, default=0.0) < 6.0, "nothing flew off"


@pytest.mark.parametrize(
    "name, drives",
    [("tabletop", 9), ("kitchen", 9), ("rooms", 2), ("road", 4), ("gyroscope", 1), *((name, 0) for name in PHYSICS if name != "gyroscope")],
)
def test_only_robots_the_own_car_and_the_gyroscope_are_driven(name, drives):
    for seed in SEEDS:
        found = [joint for thing in build(name, seed).things for joint in thing.asset.joints if joint.drive]
        assert len(found) == drives


def test_a_parked_car_stays_when_it_is_pushed_and_another_rolls():
    gone = {}
    for parked in (True, False):
        asset = car((0.2, 0.4, 0.8), parked=parked)
        asset = replace(asset, joints=tuple(replace(joint, drive=None) for joint in asset.joints))
        compiled, data = start(Scene(name="push", things=(ground(substance="asphalt"), loose("car", asset))))
        data.qfrc_applied[0] = 1500.0
        run(compiled, data, 0.5)
        gone[parked] = data.qpos[0]
    assert gone[True] < 0.03 < 0.12 < gone[False], "dry friction gives way a little"


@pytest.mark.parametrize("seed", SEEDS)
def test_on_the_tabletop_all_lies_apart_on_the_table_and_stays(seed):
    scene = build("tabletop", seed)
    things = [thing for thing in scene.things if thing.moves]
    assert 4 <= len(things) <= 6 and len({thing.asset.label for thing in things}) == len(things)
    prints = []
    for thing in things:
        x, y, z = thing.pose.position
        assert z == pytest.approx(TABLE_M[2], abs=1e-3)
        w, _, _, tail = thing.pose.turn
        prints.append(footprint(asset_bounds(thing.asset), x, y, 2.0 * math.atan2(tail, w)))
        corners = prints[-1].corners()
        assert (corners >= np.array(AREA_M[0])).all() and (corners <= np.array(AREA_M[1])).all()
    assert not any(a.overlaps(b) for k, a in enumerate(prints) for b in prints[:k])
    compiled, data = start(scene)
    before = {body: place(compiled, data, body) for body in loose_bodies(compiled)}
    run(compiled, data, 1.0)
    for body, at in before.items():
        assert np.abs(place(compiled, data, body) - at).max() < 0.005, body
    assert np.abs(data.qvel).max() < 0.05


def sees(camera: Camera, point: np.ndarray) -> bool:
    x, y, z = camera.pose.inverse().apply(point)
    reach = math.tan(math.radians(camera.fov_y_deg) / 2) * -z
    return z < 0 and abs(x) < reach and abs(y) < reach


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PHYSICS)
def test_all_four_cameras_see_all_that_moves(name, seed):
    scene = build(name, seed)
    assert [camera.name for camera in scene.cameras] == ["front", "left", "right", "top"]
    for thing in scene.things:
        for body in thing.asset.bodies:
            bounds = body_bounds(body)
            if bounds is not None and (thing.moves or thing.asset.joint_to(body.name)):
                middle = thing.pose.then(body.pose).apply(bounds.mean(axis=0))
                assert all(sees(camera, middle) for camera in scene.cameras), (thing.name, body.name)


@pytest.mark.parametrize("seed", SEEDS)
def test_falling_things_fall_by_half_g_t_squared(seed):
    compiled, data = start(build("free_fall", seed))
    ids = [compiled.bodies[body] for body in compiled.free]
    before, seconds = data.xipos[ids].copy(), 0.15
    run(compiled, data, seconds)
    assert data.ncon == 0
    step = compiled.model.opt.timestep
    assert before[:, 2] - data.xipos[ids][:, 2] == pytest.approx(np.full(len(ids), G * seconds * (seconds + step) / 2), rel=1e-6)
    run(compiled, data, 1.5)
    assert (data.xipos[ids][:, 2] < 0.2).all(), "they lie on the ground"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_block_slides_down_as_its_friction_says_and_what_is_round_rolls_faster(seed):
    scene = build("tilted_plane", seed)
    compiled, data = start(scene)
    slope = scene.thing("block").pose.rotation()
    friction = contact(
        scene.thing("block").asset.materials[0], scene.thing("plane").asset.materials[0], scene.seconds_per_substep
    ).friction[0]
    angle = math.acos(slope[2, 2])
    at = {name: data.xipos[compiled.bodies[f"{name}/{name}"]].copy() for name in ("block", "ball", "tin")}
    run(compiled, data, 0.15)  # until it has settled onto the board
    at_015, seconds = data.qvel[:3].copy(), 0.35
    run(compiled, data, seconds)
    gained = slope[:, 0] @ (data.qvel[:3] - at_015)  # of the block, the first that is free
    assert gained / seconds == pytest.approx(G * (math.sin(angle) - friction * math.cos(angle)), rel=0.01)
    gone = {name: slope[:, 0] @ (data.xipos[compiled.bodies[f"{name}/{name}"]] - at[name]) for name in at}
    assert gone["ball"] > 1.2 * gone["block"] and gone["tin"] > 1.1 * gone["block"]
    # a solid ball that rolls goes 5/7 as far as without friction
    assert gone["ball"] == pytest.approx(0.5 * 5 / 7 * G * math.sin(angle) * 0.5**2, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ball_in_the_u_swings_to_and_fro_and_never_higher(seed):
    compiled, data = start(build("u_slope", seed))
    ball = compiled.bodies["ball/ball"]
    before = data.xipos[ball].copy()
    track = np.array(run(compiled, data, 2.0, lambda: data.xipos[ball].copy()))
    assert track[:, 2].max() < before[2] + 0.005
    far = track[:, 0] * np.sign(before[0])
    assert far.min() < -0.6 * abs(before[0]) and far[np.argmin(far) :].max() > 0.4 * abs(before[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_stable_stacks_stay_and_unstable_ones_fall(seed):
    compiled, data = start(build("stable_stack", seed))
    before = {body: place(compiled, data, body) for body in compiled.free}
    run(compiled, data, 2.0)
    assert all(np.abs(place(compiled, data, body) - at).max() < 0.004 for body, at in before.items())
    compiled, data = start(build("unstable_stack", seed))
    top = list(compiled.free)[-1]
    before_top, first = place(compiled, data, top), place(compiled, data, next(iter(compiled.free)))
    run(compiled, data, 1.5)
    assert place(compiled, data, top)[2] < 0.6 * before_top[2]
    assert np.linalg.norm(place(compiled, data, next(iter(compiled.free))) - first) < 0.05


@pytest.mark.parametrize("seed", (0, 1))
def test_all_dominoes_fall_one_after_another(seed):
    compiled, data = start(build("dominoes", seed))
    bodies = list(compiled.free)
    assert all(up(compiled, data, body) > 0.999 for body in bodies[1:])
    fell = {}

    def watch() -> None:
        for body in bodies:
            if body not in fell and up(compiled, data, body) < math.cos(math.radians(25)):
                fell[body] = data.time

    run(compiled, data, 3.0, watch)
    assert list(fell) == bodies
    assert all(up(compiled, data, body) < math.cos(math.radians(55)) for body in bodies)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seesaw_throws_the_block_up(seed):
    compiled, data = start(build("seesaw", seed))
    low = place(compiled, data, "block/block")[2]
    heights = run(compiled, data, 1.0, lambda: data.xpos[compiled.bodies["block/block"]][2])
    assert heights[int(0.2 / 0.002 / EVERY)] == pytest.approx(low, abs=0.005), "it waits for the ball"
    assert max(heights) > low + 0.15


@pytest.mark.parametrize("seed", (0, 1))
def test_the_gyroscope_goes_round_as_its_spin_says_instead_of_dropping(seed):
    scene = build("gyroscope", seed)
    compiled, data = start(scene)
    asset = scene.thing("gyroscope").asset
    masses = {name: mass_matrix(asset, asset.body(name)) for name in ("arm", "wheel")}
    torque = G * sum(mass * (asset.body(name).pose.position[0] + centre[0]) for name, (mass, centre, _) in masses.items())
    about_axle = masses["wheel"][2][0, 0]
    address = {name: compiled.joints[f"gyroscope/{name}"] for name in ("turn", "nod", "spin")}
    angle = lambda name: data.qpos[compiled.model.jnt_qposadr[address[name]]]  # noqa: E731
    run(compiled, data, 1.5)
    before = angle("turn")
    nods = run(compiled, data, 3.0, lambda: angle("nod"))
    spin = data.qvel[compiled.model.jnt_dofadr[address["spin"]]]
    assert spin == pytest.approx(asset.joint("spin").drive.target, rel=0.02)
    assert abs(angle("turn") - before) / 3.0 == pytest.approx(torque / (about_axle * spin), rel=0.02)
    assert max(map(abs, nods)) < 0.35
    mujoco.mj_resetData(compiled.model, data)  # and so the motor rests
    run(compiled, data, 1.0)
    assert angle("nod") > 1.0, "without its spin it drops"


@pytest.mark.parametrize("seed", (0, 3))
def test_rooms_have_working_doors_drawers_and_a_robot_with_room_to_drive(seed):
    scene = build("rooms", seed)
    names = {thing.name for thing in scene.things}
    assert {"walls", "inner door", "outer door", "robot"} <= names and any(name.endswith("cabinet") for name in names)
    compiled, data = start(scene)
    at = place(compiled, data, "robot/chassis")
    moving = {name: force for name, force in (("inner door/hinge", 12.0), ("outer door/hinge", -12.0))}
    moving |= {name: 15.0 for name in compiled.joints if "slide" in name}
    for name, force in moving.items():
        data.qfrc_applied[compiled.model.jnt_dofadr[compiled.joints[name]]] = force
    wheels = [k for k, (name, _) in enumerate(compiled.drives) if name.startswith("robot/")]
    data.ctrl[wheels] = 2.0
    run(compiled, data, 1.2)
    for name in moving:
        opened = abs(data.qpos[compiled.model.jnt_qposadr[compiled.joints[name]]])
        assert opened > (0.5 if "hinge" in name else 0.15), name
    assert np.linalg.norm(place(compiled, data, "robot/chassis") - at) > 0.05


def test_a_wall_has_its_length_but_for_its_doors():
    wall = Wall(name="w", start=(0.0, 0.0), end=(4.0, 0.0), openings=((1.0, 0.8),))
    asset = walls_of((wall,), (0.9, 0.9, 0.9))
    volume = sum(shape.geometry.solid().volume for shape in asset.bodies[0].shapes if shape.role == "both")
    opening = 0.9  # with its frame
    solid = (4.0 + THICK_M - opening) * HEIGHT_M + opening * (HEIGHT_M - DOOR_HEIGHT_M - 0.05)
    assert volume == pytest.approx(solid * THICK_M)
    assert asset_bounds(asset)[:, 0] == pytest.approx([-THICK_M / 2, 4.0 + THICK_M / 2], abs=0.02)


@pytest.mark.parametrize("bend", (0.0, 0.01, -0.02))
def test_a_road_keeps_its_width_and_its_length(bend):
    path = Path(70.0, bend)
    middle, aside = path.points(0.0, 70.0), np.array([path.at(s, LANE_M)[:2] for s in np.linspace(0, 70, len(path.points(0.0, 70.0)))])
    assert np.linalg.norm(aside - middle, axis=1) == pytest.approx(LANE_M)
    assert np.linalg.norm(np.diff(middle, axis=0), axis=1).sum() == pytest.approx(70.0, rel=1e-3)
    if bend:
        centre = np.array([0.0, 1.0 / bend])
        assert np.linalg.norm(middle - centre, axis=1) == pytest.approx(1.0 / abs(bend))


def test_footprints_overlap_exactly_where_points_say_so():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = (Footprint(tuple(rng.uniform(-1, 1, 2)), tuple(rng.uniform(0.1, 0.8, 2)), float(rng.uniform(-3, 3))) for _ in range(2))
        points = np.array(a.middle) + (rng.uniform(-1, 1, (400, 2)) * np.array(a.half)) @ a.sides()
        inside = (np.abs((points - np.array(b.middle)) @ b.sides().T) < np.array(b.half)).all(axis=1)
        assert a.overlaps(b) or not inside.any()
        assert a.overlaps(b) == b.overlaps(a)
        wider = Footprint(b.middle, tuple(half + 0.15 for half in b.half), b.yaw)
        close = (np.abs((points - np.array(b.middle)) @ b.sides().T) < np.array(wider.half)).all(axis=1)
        assert close.any() or not a.overlaps(b)


def test_what_is_strewn_lies_inside_and_apart():
    low, high = (0.0, 0.0), (0.6, 0.45)
    assets = [make(family, 0) for family in ("tray", "mug", "die", "can")]
    for seed in range(10):
        poses = scatter(np.random.default_rng(seed), assets, low, high)
        prints = [
            footprint(asset_bounds(asset), *pose.position[:2], 2.0 * math.atan2(pose.turn[3], pose.turn[0]))
            for asset, pose in zip(assets, poses, strict=True)
        ]
        corners = np.concatenate([one.corners() for one in prints])
        assert (corners >= np.array(low)).all() and (corners <= np.array(high)).all()
        assert not any(a.overlaps(b) for k, a in enumerate(prints) for b in prints[:k])


def test_faults_are_named():
    with pytest.raises(ConfigError, match="there is no scene 'moon'; scenes: tabletop, kitchen, rooms, road, free_fall"):
        build("moon", 0)
    with pytest.raises(WorldError, match="no room for 'tray' between"):
        scatter(np.random.default_rng(0), [make("tray", 0)] * 9, (0.0, 0.0), (0.5, 0.5))
