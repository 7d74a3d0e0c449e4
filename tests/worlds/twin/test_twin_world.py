"""A twin keeps the World contract; its layout, its actions and its faults."""

import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from armillary.core import ConfigError, EnvWorld, Prompt, WorldEnv, WorldError, check_world, seeded
from armillary.worlds.twin.asset import Asset, Body, Drive, Joint, Shape
from armillary.worlds.twin.geometry import Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.world import MODALITIES, TwinWorld
from tests.worlds.twin.small_twins import FRONT, ground, known, table, thing

SIZE = (32, 48)
NOTHING = torch.zeros(1, 2)


@pytest.fixture(scope="module")
def world() -> TwinWorld:
    return TwinWorld(table(), size=SIZE)


def test_check_world():
    check_world(TwinWorld(table(), size=SIZE, modalities=MODALITIES))
    layout = {"arm/shoulder": "random", "ball/body": [[0.2, 0.2, 0.5], [0.3, 0.2, 0.6]]}
    check_world(TwinWorld(table(), size=SIZE), Prompt(batch_size=2, layout=layout), seed=1)


def test_check_world_without_drives():
    check_world(TwinWorld(Scene(name="s", things=(ground(), thing("ball", Sphere(0.1))), cameras=(FRONT,)), size=SIZE))


def test_check_env():
    entry = "armillary/twin-test-v0"
    gymnasium.register(entry, entry_point=lambda render_mode=None: WorldEnv(TwinWorld(table(), size=SIZE), render_mode=render_mode))
    try:
        check_env(gymnasium.make(entry, render_mode="rgb_array", disable_env_checker=True).unwrapped)
    finally:
        del gymnasium.registry[entry]


def test_a_twin_survives_being_wrapped_twice(world):
    check_world(EnvWorld(lambda: WorldEnv(world)))


def test_spaces_are_in_the_drives_units(world):
    assert world.drives == ("arm/shoulder", "arm/elbow")
    np.testing.assert_allclose(world.spec.action_space.low, [-1.5, -2.0])  # limits in rad, max_force in N m
    assert world.spec.observation_space.shape == (*SIZE, 3)
    assert world.spec.seconds_per_step == 0.05


def test_the_bounds_of_drives_without_limits():
    def bound(kind, stiffness, damping, max_force=None):
        drive = Drive(stiffness=known(stiffness), damping=known(damping), max_force=None if max_force is None else known(max_force))
        asset = Asset(
            name="a",
            bodies=(Body(name="b", mass=known(1.0), shapes=(Shape(name="s", geometry=Sphere(0.1)),)),),
            joints=(Joint(name="j", kind=kind, child="b", drive=drive),),
        )
        return TwinWorld(Scene(name="s", things=(Placed(name="t", asset=asset),), cameras=(FRONT,))).spec.action_space.high[0]

    assert bound("hinge", 10.0, 1.0) == pytest.approx(2 * math.pi)
    assert bound("slide", 10.0, 1.0, 5.0) == pytest.approx(0.5)
    assert bound("slide", 0.0, 2.0, 5.0) == pytest.approx(2.5)
    assert bound("slide", 0.0, 0.0) == math.inf


def test_the_drive_turns_the_arm_to_the_action():
    world = TwinWorld(replace(table(), gravity=(0.0, 0.0, 0.0)), size=SIZE)
    state = world.start(Prompt(batch_size=2), seeded(0))
    wanted = torch.tensor([[0.4, 0.0], [9.0, 0.0]])  # beyond the limit counts as the limit
    for _ in range(60):
        state = world.step(state, wanted, seeded(0))
    address = world.compiled.model.jnt_qposadr[world.compiled.joints["arm/shoulder"]]
    shoulder = world.embed(state)[:, address]
    assert shoulder.tolist() == pytest.approx([0.4, 1.5], abs=0.02)


def test_targets_ask_for_what_the_scene_asks_for():
    drive = Drive(stiffness=known(0.0), damping=known(0.5), target=3.0)
    wheel = Body(name="wheel", mass=known(1.0), shapes=(Shape(name="s", geometry=Sphere(0.1)),))
    asset = Asset(name="a", bodies=(wheel,), joints=(Joint(name="axle", kind="hinge", child="wheel", drive=drive),))
    world = TwinWorld(Scene(name="s", things=(Placed(name="t", asset=asset),), cameras=(FRONT,)), size=SIZE)
    state = world.start(Prompt(), seeded(0))
    assert state.physics[0, -1] == 3.0  # the control comes last
    for _ in range(10):
        state = world.step(state, world.targets[None], seeded(0))
    assert world.embed(state)[0, 1] == pytest.approx(3.0, rel=0.01)


def test_a_rollout_is_the_same_to_the_bit_in_another_world(world):
    actions = torch.linspace(-1.0, 1.0, 2 * 8 * 2).reshape(2, 8, 2)
    prompt = Prompt(batch_size=2, layout={"arm/shoulder": "random"})
    ends = []
    for one in (world, TwinWorld(table(), size=SIZE)):
        ends.append(one.rollout(one.start(prompt, seeded(3)), actions, seeded(0))[-1])
    assert torch.equal(ends[0].physics, ends[1].physics)
    assert not torch.equal(ends[0].physics[0], ends[0].physics[1])


def test_the_layout_puts_things_where_it_says(world):
    turned = [0.1, 0.2, 0.7, *Pose.about((0.0, 0.0, 1.0), 0.5).turn]
    layout = {"arm/shoulder": [0.3, -0.2], "ball/body": [1.0, 2.0, 3.0], "cube/body": [turned, turned]}
    state = world.start(Prompt(batch_size=2, layout=layout), seeded(0))
    poses = world.poses(state)
    names = [f"{label.thing}/{label.body}" for label in world.labels]
    np.testing.assert_allclose(poses[1, names.index("ball/body"), :3, 3], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(poses[0, names.index("cube/body")], Pose(tuple(turned[:3]), tuple(turned[3:])).matrix(), atol=1e-12)
    for row, angle in enumerate((0.3, -0.2)):
        np.testing.assert_allclose(poses[row, names.index("arm/upper"), 0, 2], math.sin(angle), atol=1e-9)


def test_fixing_one_joint_leaves_the_others_chance_as_it_was():
    things = table().things
    twice = Scene(name="s", things=(*things, replace(things[1], name="other", pose=Pose((2.0, 0.0, 0.0)))), cameras=(FRONT,))
    world = TwinWorld(twice, size=SIZE)
    address = world.compiled.model.jnt_qposadr[world.compiled.joints["other/shoulder"]]
    both, one = (
        world.embed(world.start(Prompt(batch_size=20, layout={"arm/shoulder": first, "other/shoulder": "random"}), seeded(5)))[:, address]
        for first in ("random", 0.0)
    )
    assert torch.equal(both, one)
    assert both.abs().max() <= 1.5 and both.std() > 0.3


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"arm/sholder": 0.0}, "did you mean 'arm/shoulder'"),
        ({"arm/shoulder": 2.0}, "within the joint's limits -1.5 to 1.5, received 2.0"),
        ({"arm/shoulder": [0.0, 0.0]}, "1 or 3 positions"),
        ({"arm/shoulder": "left"}, "received 'left'"),
        ({"arm/elbow": "random"}, "without limits cannot be 'random'"),
        ({"ball/body": [1.0, 2.0]}, "3 or 7 numbers"),
        ({"ball/body": [0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0]}, "quaternion of length 1"),
        ({"ball/body": [0.0, math.nan, 1.0]}, "finite"),
    ],
)
def test_a_wrong_layout_is_refused(world, layout, words):
    with pytest.raises(WorldError, match=words):
        world.start(Prompt(batch_size=3, layout=layout), seeded(0))


@pytest.mark.parametrize(
    ("action", "words"),
    [(torch.zeros(1, 3), r"received shape \(1, 3\)"), (torch.zeros(2), "received shape"), (torch.tensor([[0.0, math.nan]]), "not finite")],
)
def test_a_wrong_action_is_refused(world, action, words):
    with pytest.raises(WorldError, match=words):
        world.step(world.start(Prompt(), seeded(0)), action, seeded(0))


def test_what_becomes_unstable_is_named_with_its_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wild = Asset(
        name="wild",
        bodies=(Body(name="part", mass=known(1.0), shapes=(Shape(name="s", geometry=Sphere(0.1)),), pose=Pose((3.0, 0.0, 1.0))),),
        joints=(Joint(name="j", kind="slide", child="part", drive=Drive(stiffness=known(0.0), damping=known(-1e3))),),
    )
    world = TwinWorld(table().with_thing(Placed(name="wild", asset=wild)), size=SIZE)
    state = world.start(Prompt(batch_size=2), seeded(0))
    with pytest.raises(WorldError, match=r"scene 'table', row 0: thing 'wild', body 'part' became unstable by 0\.050 s"):
        world.step(state, torch.ones(2, 3), seeded(0))
    assert not list(tmp_path.iterdir())  # MuJoCo leaves no log behind
    check_again = TwinWorld(table(), size=SIZE)
    check_again.step(check_again.start(Prompt(), seeded(0)), NOTHING, seeded(0))


@pytest.mark.parametrize(
    ("scene", "options", "words"),
    [
        (replace(table(), cameras=()), {}, "scene 'table' has no camera; add one"),
        (table(), {"camera": "back"}, "no camera 'back'; it has front"),
        (table(), {"seconds_per_step": 0.033}, "whole number of substeps of 0.002 s, received 0.033"),
        (table(), {"modalities": ("depth",)}, "modalities must hold rgb"),
        (table(), {"quality": "best"}, "one of draft, fast, fine, received 'best'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(scene, options, words):
    with pytest.raises(ConfigError, match=words):
        TwinWorld(scene, **options)
