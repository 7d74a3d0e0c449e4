"""Calibration: known truths come back from what was seen of them, and what cannot be seen is said to be."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("mujoco", reason="twins need the extra of that name")
pytest.importorskip("cma", reason="twins need the extra of that name")

from armillary.core import ConfigError, DataError, Prompt, WorldError
from armillary.worlds.twin import calibration
from armillary.worlds.twin.asset import Asset, Body, Drive, Inertia, Joint, Material, Shape
from armillary.worlds.twin.calibration import calibrate, visible
from armillary.worlds.twin.calibration_recording import Recording, Replay
from armillary.worlds.twin.calibration_unknown import Tunable, Unknown, candidates
from armillary.worlds.twin.geometry import Box, Sphere
from armillary.worlds.twin.mujoco_compile import compile_scene
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.world import TwinWorld
from tests.worlds.twin.small_twins import FRONT, ground, known, table, thing

STEP_S = 0.05
TILT = Pose.about((0.0, 1.0, 0.0), math.radians(35.0))
G = 9.81


def between(low: float, value: float, high: float) -> Quantity:
    return Quantity(value, "estimated", low, high)


def put(scene: Scene, values: dict[Unknown, Quantity]) -> Scene:
    for unknown, quantity in values.items():
        scene = unknown.put(scene, quantity)
    return scene


def slope(friction: Quantity, mass: Quantity | None = None) -> Scene:
    """A block on a slope of 35 degrees, whose ground says nothing about friction."""
    block = thing("block", Box((0.1, 0.1, 0.02)), pose=TILT.then(Pose((0.0, 0.0, 0.02))), friction=0.3)
    return put(
        Scene(name="slope", things=(ground(TILT), block), seconds_per_substep=0.005),
        {Unknown("friction", "block/stuff"): friction, Unknown("mass", "block/body"): mass or known(1.0)},
    )


def door(damping: Quantity) -> Scene:
    """A leaf that turns about its own edge, driven by a force."""
    leaf = Body(name="leaf", mass=known(2.0), shapes=(Shape(name="leaf", geometry=Box((0.2, 0.01, 0.4)), pose=Pose((0.2, 0.0, 0.4))),))
    hinge = Joint(
        name="hinge",
        kind="hinge",
        child="leaf",
        damping=damping,
        drive=Drive(stiffness=known(0.0), damping=known(0.0), max_force=known(1.0)),
    )
    return Scene(name="door", things=(Placed(name="door", asset=Asset(name="door", bodies=(leaf,), joints=(hinge,))),), cameras=(FRONT,))


def seen(
    scene: Scene, body: str, actions: np.ndarray, *, noise_m: float = 0.001, noise_rad: float | None = None, seed: int = 0
) -> Recording:
    """What the world's own steps show of a body, with noise."""
    world, rng, draw = TwinWorld(replace(scene, cameras=(FRONT,)), seconds_per_step=STEP_S), torch.Generator(), np.random.default_rng(seed)
    number = world.compiled.bodies[body]
    states = [world.start(Prompt(), rng)]
    for action in actions[:-1]:
        states.append(world.step(states[-1], torch.from_numpy(action)[None].float(), rng))
    poses = np.concatenate([world.poses(state)[:, [number]].numpy() for state in states])
    positions = poses[..., :3, 3] + noise_m * draw.standard_normal((len(poses), 1, 3))
    turns = None
    if noise_rad is not None:
        angles = noise_rad * draw.standard_normal(len(poses))
        turns = np.stack(
            [pose @ Pose.about((0.0, 0.0, 1.0), angle).rotation() for pose, angle in zip(poses[:, 0, :3, :3], angles, strict=True)]
        )
        turns = turns[:, None]
    return Recording(actions=actions, bodies=(body,), positions=positions, noise_m=noise_m, turns=turns, noise_rad=noise_rad)


def rest(rows: int) -> np.ndarray:
    return np.zeros((rows, 0))


FRICTION, MASS = Unknown("friction", "block/stuff"), Unknown("mass", "block/body")


def test_friction_comes_back_from_a_slide_and_the_mass_that_no_slide_shows_does_not():
    twin = slope(between(0.1, 0.5, 0.6), between(0.5, 1.5, 2.0))
    recording = seen(slope(known(0.3), known(1.0)), "block/body", rest(15))
    result = calibrate(twin, [FRICTION, MASS], [recording], np.random.default_rng(0), data="slide-1")
    friction, mass = result.found
    assert friction.value == pytest.approx(0.3, rel=0.01) and friction.low < 0.3 < friction.high and friction.word == ""
    assert 0.7 < result.misfit < 1.3
    written = FRICTION.in_scene(result.scene)
    assert (written.value, written.source, written.low, written.high) == (friction.value, "measured", friction.low, friction.high)
    assert "slide-1" in written.note
    assert not mass.identifiable and "not identifiable: the recordings hardly change with it; it is left at 1.5" in mass.word
    assert MASS.in_scene(result.scene) == MASS.in_scene(twin)


def test_two_frictions_that_only_touch_each_other_are_seen_only_together():
    """The mean of 0.2 and 0.4 is what was there; any two numbers with this mean explain it."""
    below, material = ground(TILT), thing("x", Box((1.0, 1.0, 1.0)), friction=0.2).asset.materials
    shapes = tuple(replace(shape, material="stuff") for shape in below.asset.bodies[0].shapes)
    rubbing = replace(below, asset=replace(below.asset, bodies=(replace(below.asset.bodies[0], shapes=shapes),), materials=material))
    truth = slope(known(0.4)).with_thing(rubbing)
    other = Unknown("friction", "ground/stuff")
    twin = put(truth, {FRICTION: between(0.1, 0.2, 0.6), other: between(0.1, 0.3, 0.6)})
    result = calibrate(twin, [FRICTION, other], [seen(truth, "block/body", rest(12))], np.random.default_rng(0))
    assert [one.identifiable for one in result.found] == [False, False]
    assert "seen only together with the friction of ground/stuff" in result.found[0].word
    assert sum(one.value for one in result.found) / 2 == pytest.approx(0.3, rel=0.02)
    assert result.scene == twin


def test_the_damping_of_a_hinge_comes_back_from_turns_alone():
    """The leaf's origin lies in the hinge and never moves."""
    actions = np.where(np.arange(30) < 10, 0.5, 0.0)[:, None]
    recording = seen(door(known(0.2)), "door/leaf", actions, noise_rad=0.01)
    unknown = Unknown("damping", "door/hinge")
    (found,) = calibrate(door(between(0.05, 0.8, 1.0)), [unknown], [recording], np.random.default_rng(1)).found
    assert found.value == pytest.approx(0.2, rel=0.05) and found.low < 0.2 < found.high
    blind = replace(recording, turns=None, noise_rad=None)
    (found,) = calibrate(door(between(0.05, 0.8, 1.0)), [unknown], [blind], np.random.default_rng(1)).found
    assert not found.identifiable


def test_restitution_comes_back_from_a_bounce_and_a_range_from_zero_is_searched():
    def dropped(restitution: Quantity) -> Scene:
        ball = thing("ball", Sphere(0.05), pose=Pose((0.0, 0.0, 0.5)), restitution=0.5)
        return put(Scene(name="drop", things=(ground(), ball)), {Unknown("restitution", "ball/stuff"): restitution})

    recording = seen(dropped(known(0.6)), "ball/body", rest(16))
    unknown = Unknown("restitution", "ball/stuff")
    (found,) = calibrate(dropped(between(0.0, 0.2, 0.95)), [unknown], [recording], np.random.default_rng(0)).found
    assert found.value == pytest.approx(0.6, rel=0.03) and found.low < 0.6 < found.high <= 1.0


def test_one_seed_gives_one_result_and_numpys_own_generator_is_left_alone():
    twin, recordings = slope(between(0.1, 0.5, 0.6)), [seen(slope(known(0.3)), "block/body", rest(5), noise_m=0.02)]
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    results = [calibrate(twin, [FRICTION], recordings, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.random.random() == expected
    assert results[0] == results[1] and results[0].found != results[2].found


def test_an_estimate_at_the_end_of_its_range_says_so():
    (found,) = calibrate(
        slope(between(0.35, 0.5, 0.6)), [FRICTION], [seen(slope(known(0.3)), "block/body", rest(8))], np.random.default_rng(0)
    ).found
    assert found.value == pytest.approx(0.35, rel=1e-3) and "at the edge of its range 0.35 to 0.6" in found.word


def test_a_twin_that_cannot_follow_gets_wider_intervals():
    """The block starts 3 cm beside where the recording says."""
    recording = seen(slope(known(0.3)), "block/body", rest(8))
    good, bad = (
        calibrate(slope(between(0.1, 0.5, 0.6)), [FRICTION], [one], np.random.default_rng(0))
        for one in (recording, replace(recording, positions=recording.positions + np.array([0.0, 0.03, 0.0])))
    )
    widths = [result.found[0].high - result.found[0].low for result in (good, bad)]
    assert bad.misfit > 10.0 and widths[1] > 2.0 * widths[0]


def test_the_interval_of_a_weight_on_a_spring_is_the_one_of_the_closed_form():
    """At rest, x = -m g / k: with n rows of noise s the mass is known to 1.96 s k / (g sqrt(n))."""
    stiffness, rows = 100.0, 40
    hook = Joint(name="hook", kind="slide", child="body", damping=known(20.0), drive=Drive(stiffness=known(stiffness), damping=known(0.0)))
    shapes = (Shape(name="ball", geometry=Sphere(0.05)),)
    asset = Asset(name="load", bodies=(Body(name="body", mass=between(0.5, 0.7, 2.0), shapes=shapes),), joints=(hook,))
    twin = Scene(name="hung", things=(Placed(name="load", asset=asset),))
    mass = Unknown("mass", "load/body")
    noise = 0.001 * np.random.default_rng(5).standard_normal((rows, 1, 3))
    sag = np.array([0.0, 0.0, -G / stiffness])  # 1 kg
    recording = Recording(
        actions=np.zeros((rows, 1)), bodies=("load/body",), positions=sag + noise, noise_m=0.001, layout={"load/hook": float(sag[2])}
    )
    (found,) = calibrate(twin, [mass], [recording], np.random.default_rng(0)).found
    # The start is given, so that the twin moves to its own sag; nearly all rows see it.
    expected = 1.96 * 0.001 * stiffness / (G * math.sqrt(rows))
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.2)
    assert found.value == pytest.approx(1.0 - noise[..., 2].mean() * stiffness / G, abs=0.2 * expected)


def jumble() -> tuple[Scene, dict[Unknown, float]]:
    """Every kind of unknown at once, one body with an inertia of its own, one of two materials, and a ball joint."""
    scene = table()
    ball = scene.thing("ball")
    body = replace(ball.asset.bodies[0], inertia=Inertia((known(0.002),) * 3))
    scene = scene.with_thing(replace(ball, asset=replace(ball.asset, bodies=(body,))))
    arm = scene.thing("arm")
    shoulder = replace(arm.asset.joint("shoulder"), damping=known(0.1))
    scene = scene.with_thing(replace(arm, asset=replace(arm.asset, joints=(shoulder, arm.asset.joint("elbow")))))
    values = {("mass", "cube/body"): 2.3, ("mass", "ball/body"): 0.4, ("friction", "cube/stuff"): 0.8}
    values |= {("restitution", "ball/stuff"): 0.7, ("damping", "arm/shoulder"): 0.9, ("stiffness", "arm/shoulder"): 55.0}
    values |= {("armature", "arm/elbow"): 0.02, ("density", "arm/stuff"): 900.0, ("density", "mallet/head"): 3000.0}
    values |= {("damping", "mallet/ball"): 0.4}
    shapes = (
        Shape(name="handle", geometry=Box((0.02, 0.03, 0.2)), material="handle"),
        Shape(name="head", geometry=Box((0.1, 0.05, 0.04)), pose=Pose.about((1.0, 0.0, 1.0), 0.4, (0.03, 0.0, 0.2)), material="head"),
    )
    materials = (Material(name="handle", density=known(600.0)), Material(name="head", density=known(1000.0)))
    mallet = Asset(
        name="mallet",
        bodies=(Body(name="mallet", shapes=shapes),),
        joints=(Joint(name="ball", kind="ball", child="mallet", damping=known(0.1)),),
        materials=materials,
    )
    elbow = replace(arm.asset.joint("elbow"), armature=known(0.01))
    arm = scene.thing("arm")
    scene = scene.with_thing(replace(arm, asset=replace(arm.asset, joints=(arm.asset.joint("shoulder"), elbow))))
    scene = scene.with_thing(Placed(name="mallet", asset=mallet, pose=Pose((1.5, 0.0, 1.0))))
    return scene, {Unknown(*key): value for key, value in values.items()}


def test_changing_the_model_in_place_is_compiling_anew():
    scene, values = jumble()
    tuned, fresh = compile_scene(scene), compile_scene(put(scene, {unknown: Quantity(value) for unknown, value in values.items()}))
    tunable = Tunable(tuned, tuple(values))
    tunable.set(tuple(0.5 * value for value in values.values()))  # somewhere else first: nothing of it may stay
    tunable.set(tuple(values.values()))
    fields = [name for name in dir(fresh.model) if name.startswith(("body_", "dof_", "pair_", "actuator_", "geom_", "jnt_"))]
    assert len(fields) > 100
    for name in fields:
        ours, theirs = getattr(tuned.model, name), getattr(fresh.model, name)
        if isinstance(ours, np.ndarray) and ours.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=name)
    assert tuned.model.stat.meaninertia == pytest.approx(fresh.model.stat.meaninertia, rel=1e-9)


def test_joints_alone_tell_what_their_bodies_would():
    """A hinge's angles, and a start that is given by them."""
    actions = np.where(np.arange(30) < 10, 0.5, 0.0)[:, None]
    seen_turning = seen(door(known(0.2)), "door/leaf", actions, noise_rad=1e-9, noise_m=1e-9)
    angles = np.unwrap(np.arctan2(seen_turning.turns[:, 0, 1, 0], seen_turning.turns[:, 0, 0, 0]))[:, None]
    twin, draw = door(between(0.05, 0.8, 1.0)), np.random.default_rng(3)
    noisy = angles + 0.01 * draw.standard_normal(angles.shape)
    recording = Recording(actions=actions, joints=("door/hinge",), angles=noisy, noise_m=0.001, noise_rad=0.01)
    assert recording.numbers() == 30 and recording.rows(7).angles.shape == (7, 1)
    (found,) = calibrate(twin, [Unknown("damping", "door/hinge")], [recording], np.random.default_rng(1)).found
    assert found.value == pytest.approx(0.2, rel=0.05) and found.low < 0.2 < found.high
    truly = Replay(TwinWorld(door(known(0.2)), seconds_per_step=STEP_S), recording)
    assert not truly.slides.any() and np.abs(truly.off().angles - (angles - noisy)).max() < 1e-6


def test_what_recordings_can_tell_is_visible():
    """A block that slides shows its friction and not its mass; a range too narrow to be halved is not worth a look."""
    recording = seen(slope(known(0.3)), "block/body", rest(15))
    twin = slope(between(0.1, 0.3, 0.6), between(0.5, 1.0, 2.0))
    assert visible(twin, [MASS, FRICTION], [recording], seconds_per_step=STEP_S) == (FRICTION,)
    recording = seen(slope(known(0.3)), "block/body", rest(8), noise_m=0.02)
    (found,) = calibrate(twin, [FRICTION], [recording], np.random.default_rng(0)).found
    for share, tells in ((1.0, False), (4.5, True)):
        half = share * (found.high - found.low) / 2
        narrow = put(twin, {FRICTION: between(0.3 - half, 0.3, 0.3 + half)})
        assert bool(visible(narrow, [FRICTION], [recording], seconds_per_step=STEP_S)) == tells


def test_candidates_are_what_has_a_range_and_can_be():
    scene, _ = jumble()
    assert candidates(scene, ["cube"]) == (Unknown("mass", "cube/body"), Unknown("friction", "cube/stuff"))
    assert [str(one) for one in candidates(scene, ["arm"])] == [
        "density of arm/stuff",
        "damping of arm/shoulder",
        "armature of arm/elbow",
        "stiffness of arm/shoulder",
    ]
    assert candidates(put(scene, {Unknown("mass", "cube/body"): between(0.0, 1.0, 2.0)}), ["cube"]) == (Unknown("friction", "cube/stuff"),)


def test_a_replay_starts_as_fast_as_the_world_does():
    scene, _ = jumble()
    recording = seen(scene, "arm/lower", np.zeros((2, 2)), noise_m=1e-9)
    world = TwinWorld(scene, seconds_per_step=STEP_S)
    start = world.start(Prompt(), torch.Generator()).physics[0].numpy()
    model = world.compiled.model
    np.testing.assert_array_equal(Replay(world, recording)._speeds, start[1 + model.nq : 1 + model.nq + model.nv])


def test_a_replay_moves_as_the_world_does():
    scene, _ = jumble()
    actions = np.random.default_rng(0).uniform(-3.0, 3.0, (12, 2))  # beyond the bounds at times
    recording = seen(scene, "arm/lower", actions, noise_m=1e-12, noise_rad=1e-12)
    positions, turns, _ = Replay(TwinWorld(scene, seconds_per_step=STEP_S), recording).poses()
    np.testing.assert_allclose(positions, recording.positions, atol=1e-10)
    np.testing.assert_allclose(turns, recording.turns, atol=1e-10)


def test_student_quantiles_are_those_of_the_tables():
    assert calibration._student95(10) == pytest.approx(2.2281, abs=3e-3)
    assert calibration._student95(60) == pytest.approx(2.0003, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("colour", "block/body", "must be one of mass, density, friction, restitution, damping, armature, stiffness, received 'colour'"),
        ("mass", "block", "needs a name like 'thing/body', received 'block'"),
        ("mass", "brick/body", "has no thing 'brick'; it has ground, block"),
        ("mass", "block/lid", "has no body 'lid'; it has 'body'"),
        ("friction", "block/oak", "has no material 'oak'; it has 'stuff'"),
        ("damping", "block/rail", "has no joint 'rail'; it has none"),
        ("restitution", "block/stuff", "nobody gave one; give one: Quantity"),
    ],
)
def test_an_unknown_that_the_scene_does_not_have_is_refused(kind, name, message):
    recording = Recording(actions=rest(8), bodies=("block/body",), positions=np.zeros((8, 1, 3)), noise_m=0.001)
    with pytest.raises((ConfigError, DataError), match=message):
        calibrate(slope(between(0.1, 0.3, 0.6)), [Unknown(kind, name)], [recording], np.random.default_rng(0))


def test_ranges_without_width_or_sense_and_unknowns_that_are_none_or_double_are_refused():
    recording = Recording(actions=rest(8), bodies=("block/body",), positions=np.zeros((8, 1, 3)), noise_m=0.001)
    for friction, unknowns, message in (
        (between(0.3, 0.3, 0.3), [FRICTION], "it is 0.3 without a range"),
        (between(-0.1, 0.3, 0.6), [FRICTION], "looked for above -0.1, which no friction can be"),
        (between(0.1, 0.3, 0.6), [FRICTION, FRICTION], "each once, received friction of block/stuff, friction of block/stuff"),
        (between(0.1, 0.3, 0.6), [], "received none"),
    ):
        with pytest.raises(ConfigError, match=message):
            calibrate(slope(friction), unknowns, [recording], np.random.default_rng(0))


GOOD = {"actions": np.zeros((8, 1)), "bodies": ("door/leaf",), "positions": np.zeros((8, 1, 3)), "noise_m": 0.001}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.zeros((7, 1, 3))}, r"needs positions of shape \(8, 1, 3\), received \(7, 1, 3\)"),
        ({"positions": np.zeros((8, 2, 3))}, r"needs positions of shape \(8, 1, 3\), received \(8, 2, 3\)"),
        ({"turns": np.zeros((8, 1, 2, 3)), "noise_rad": 0.1}, r"needs turns of shape \(8, 1, 3, 3\), received \(8, 1, 2, 3\)"),
        ({"noise_rad": 0.1}, "has turns or joints and their noise_rad or neither"),
        ({"positions": np.where(np.arange(24) == 10, np.nan, 0.0).reshape(8, 1, 3)}, "positions must be finite, but row 3 is not"),
        ({"actions": np.where(np.arange(8) == 5, np.inf, 0.0)[:, None]}, "actions must be finite, but row 5 is not"),
        ({"noise_m": 0.0}, "noise_m must be above 0, received 0.0"),
        ({"actions": np.zeros((1, 1)), "positions": np.zeros((1, 1, 3))}, "two rows or more"),
        ({"layout": {"door/hinge": "random"}}, "in numbers, received"),
        ({"joints": ("door/hinge",), "noise_rad": 0.1}, r"needs angles of shape \(8, 1\), received none"),
        ({"joints": ("door/hinge",), "angles": np.zeros((8, 1))}, "has turns or joints and their noise_rad or neither"),
        ({"angles": np.zeros((8, 0))}, r"needs angles of shape \(8, 0\)"),
        ({"bodies": (), "positions": None}, "a body or joint, received .* 0 bodies and 0 joints"),
    ],
)
def test_a_recording_with_a_fault_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        Recording(**(GOOD | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"bodies": ("door/knob",)}, DataError, "has body 'door/knob', the scene has not; its bodies: door/leaf"),
        (
            {"joints": ("door/lock",), "angles": np.zeros((8, 1)), "noise_rad": 0.1},
            DataError,
            "has joint 'door/lock', the scene has not; its hinges and slides: door/hinge",
        ),
        ({"actions": np.zeros((8, 3))}, DataError, "has 3 numbers an action, the scene's drives are door/hinge"),
        ({"layout": {"door/lock": 1.0}}, WorldError, "layout has no 'door/lock'"),
        ({"actions": np.zeros((3, 1)), "positions": np.zeros((3, 1, 3))}, DataError, "at least 11 recorded numbers, received 9 in 1"),
    ],
)
def test_a_recording_that_does_not_fit_the_scene_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        calibrate(
            door(between(0.1, 0.3, 0.6)), [Unknown("damping", "door/hinge")], [Recording(**(GOOD | change))], np.random.default_rng(0)
        )
