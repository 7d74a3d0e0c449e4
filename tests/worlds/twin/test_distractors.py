"""Distractors: that they stand where they are put and in nobody's way, and what they leave alone."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.core import ConfigError, Prompt, seeded
from armillary.worlds.twin.distractors import with_distractors
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.scenes.placing import footprint
from armillary.worlds.twin.world import TwinWorld


def crowded(name: str, seed: int, count: int = 5) -> Scene:
    return with_distractors(build(name, seed), count, count, np.random.default_rng(seed))


def added(scene: Scene) -> list:
    return [thing for thing in scene.things if thing.name.startswith("distractor")]


def ground_footprint(thing):
    x, y, _ = thing.pose.position
    w, _, _, z = thing.pose.turn
    return footprint(asset_bounds(thing.asset), x, y, 2 * np.arctan2(z, w))


@pytest.mark.parametrize("name", ["tabletop", "kitchen", "rooms"])
def test_they_come_last_are_named_and_labelled_and_leave_the_rest_alone(name):
    plain, scene = build(name, 1), crowded(name, 1)
    assert scene.things[: len(plain.things)] == plain.things and replace(scene, things=plain.things) == plain
    assert [thing.name for thing in added(scene)] == [f"distractor {k}" for k in range(1, 6)]
    assert all(thing.asset.label and thing.moves for thing in added(scene))


@pytest.mark.parametrize("seed", range(2))
def test_on_a_table_they_touch_nothing_and_stay(seed):
    scene = crowded("tabletop", seed)
    table, loose_things = scene.thing("table"), [thing for thing in scene.things if thing.moves]
    top = asset_bounds(table.asset)[1]
    for number, thing in enumerate(added(scene)):
        corners = ground_footprint(thing).corners()
        assert (np.abs(corners) < top[:2]).all() and thing.pose.position[2] == pytest.approx(top[2], abs=0.001)
        others = [other for other in loose_things if other.name not in {one.name for one in added(scene)[number:]}]
        assert not any(ground_footprint(thing).overlaps(ground_footprint(other)) for other in others)
    moved = {}
    for which, one in (("alone", build("tabletop", seed)), ("crowded", scene)):
        world, rng = TwinWorld(one, seconds_per_step=0.5), seeded(0)
        state = world.step(world.start(Prompt(), rng), world.targets[None], rng)
        poses = world.poses(state)[0].numpy()
        moved[which] = {(label.thing, label.body): poses[k] for k, label in enumerate(world.labels)}
    for key, pose in moved["alone"].items():
        np.testing.assert_allclose(moved["crowded"][key], pose, atol=2e-4, err_msg=str(key))
    assert all(moved["crowded"][thing.name, thing.asset.bodies[0].name][2, 3] > top[2] - 0.02 for thing in added(scene))


@pytest.mark.parametrize("seed", range(2))
def test_in_rooms_they_stand_between_the_walls_and_out_of_the_doors_ways(seed):
    scene = crowded("rooms", seed, 8)
    walls = asset_bounds(scene.thing("walls").asset)
    for thing in added(scene):
        corners = ground_footprint(thing).corners()
        assert (corners > walls[0, :2]).all() and (corners < walls[1, :2]).all() and 0.0 < thing.pose.position[2] < 0.01
        door = scene.thing("inner door").pose.position  # its leaf is 0.85 m wide and swings either way about one edge
        nearest = min(np.hypot(*(corner - door[:2])) for corner in (*corners, corners.mean(axis=0)))
        assert nearest > 0.42, f"{thing.name} stands in the door"


def test_more_of_them_leave_the_first_as_they_are():
    few, many = crowded("tabletop", 2, 2), crowded("tabletop", 2, 6)
    assert added(few) == added(many)[:2] and len(added(many)) == 6


def test_their_number_is_drawn_between_the_fewest_and_the_most():
    scene = build("tabletop", 0)
    counts = {len(added(with_distractors(scene, 1, 3, np.random.default_rng(seed)))) for seed in range(12)}
    assert counts == {1, 2, 3}
    assert with_distractors(scene, 0, 0, np.random.default_rng(0)) is scene


def test_a_name_that_is_taken_is_left_to_its_owner():
    scene = build("tabletop", 0)
    owner = replace(scene.things[-1], name="distractor 1")
    scene = with_distractors(replace(scene, things=(*scene.things[:-1], owner)), 2, 2, np.random.default_rng(0))
    assert scene.thing("distractor 1") == owner and [thing.name for thing in added(scene)[1:]] == ["distractor 2", "distractor 3"]


def test_those_without_room_are_left_out():
    full = crowded("tabletop", 0, 20)
    assert 5 < len(added(full)) < 20


@pytest.mark.parametrize("name", ["dominoes", "road"])
def test_where_nothing_could_hold_them_that_is_said(name):
    places = r"\(a thing called one of 'table', 'bench', 'walls'\)"
    with pytest.raises(ConfigError, match=rf"scene '{name}' has nothing .* {places}; set randomise.distractors to 0"):
        crowded(name, 0, 1)
