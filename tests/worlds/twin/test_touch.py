"""Contacts of a twin against the weights that they must bear."""

import numpy as np
import pytest
import torch

from armillary.core import Prompt, seeded

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.worlds.twin.geometry import Box, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.world import TwinState, TwinWorld
from tests.worlds.twin.small_twins import FRONT, ground, thing

G = 9.81
NO_DRIVES = torch.zeros(1, 0)


def box(name: str, mass: float, height_m: float, friction: float | None = None):
    return thing(name, Box((0.1, 0.1, 0.1)), mass=mass, pose=Pose((0.0, 0.0, height_m)), friction=friction)


def settled(*things, gravity=(0.0, 0.0, -G), steps: int = 20) -> tuple[TwinWorld, TwinState]:
    world = TwinWorld(Scene(name="s", things=(ground(), *things), cameras=(FRONT,), gravity=gravity))
    state = world.start(Prompt(), seeded(0))
    for _ in range(steps):
        state = world.step(state, NO_DRIVES, seeded(0))
    return world, state


def forces(world: TwinWorld, state: TwinState, row: int = 0) -> dict[tuple[str, str], float]:
    found = world.contacts(state)
    mine = found.row == row
    names = [tuple(world.labels[body].thing for body in pair) for pair in found.bodies[mine]]
    return dict(zip(names, found.force_n[mine].tolist(), strict=True))


def test_a_block_at_rest_presses_with_its_weight():
    world, state = settled(box("block", 2.5, 0.1))
    assert forces(world, state) == {("ground", "block"): pytest.approx(2.5 * G, rel=1e-3)}


def test_each_pair_of_a_stack_bears_what_lies_above_it():
    world, state = settled(box("low", 3.0, 0.1), box("high", 1.0, 0.3))
    expected = {("ground", "low"): pytest.approx(4.0 * G, rel=5e-3), ("low", "high"): pytest.approx(G, rel=5e-3)}
    assert forces(world, state) == expected


def test_friction_is_no_part_of_the_force():
    """Gravity is tilted by 20 degrees and the block sticks: its weight's part along the ground is held by friction."""
    tilt = np.radians(20.0)
    world, state = settled(box("block", 2.0, 0.1, friction=0.9), gravity=(G * np.sin(tilt), 0.0, -G * np.cos(tilt)))
    assert world.poses(state)[0, 2, 0, 3].abs() < 0.01, "it must stick"
    assert forces(world, state) == {("ground", "block"): pytest.approx(2.0 * G * np.cos(tilt), rel=5e-3)}


def test_what_flies_touches_nothing():
    world = TwinWorld(Scene(name="s", things=(ground(), thing("ball", Sphere(0.1), pose=Pose((0.0, 0.0, 2.0)))), cameras=(FRONT,)))
    found = world.contacts(world.start(Prompt(batch_size=3), seeded(0)))
    assert found.row.shape == (0,) and found.bodies.shape == (0, 2) and found.force_n.shape == (0,)


def test_rows_of_a_batch_are_told_apart():
    world, lying = settled(box("block", 1.0, 0.1))
    flying = world.start(Prompt(layout={"block/body": [0.0, 0.0, 1.0]}), seeded(0))
    found = world.contacts(TwinState(physics=torch.cat([lying.physics, flying.physics, lying.physics])))
    assert found.row.tolist() == [0, 2] and found.bodies.tolist() == [[1, 2], [1, 2]]
    assert found.force_n[0] == found.force_n[1] > 9.0


def test_reading_contacts_changes_nothing():
    world, state = settled(box("low", 3.0, 0.1), box("high", 1.0, 0.35), steps=3)
    before = world.step(state, NO_DRIVES, seeded(0))
    kept = state.physics.clone()
    world.contacts(state)
    assert torch.equal(state.physics, kept) and torch.equal(world.step(state, NO_DRIVES, seeded(0)).physics, before.physics)
