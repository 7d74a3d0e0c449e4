"""Where two fingers can take a thing: things whose grasps are known, and grasps tried in simulation."""

import math

import numpy as np
import pytest

pytest.importorskip("mujoco")

from armillary.core import ConfigError
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.grasps import DEPTHS_M, FRICTION, WIDEST_M, Grasp, hand_boxes, sample_grasps
from armillary.worlds.twin.grasps_surface import Touch
from armillary.worlds.twin.objects.families import make
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.tasks.grasp_lift import COLUMNS, lift_table, lifts
from armillary.worlds.twin.tessellate import tessellated
from tests.worlds.twin.small_twins import thing

STANDING = Pose((0.0, 0.0, 0.02))  # a thing of 4 cm whose origin is its middle


def touch_of(geometry, **settings) -> Touch:
    return Touch(thing("toy", geometry, **settings).asset)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def closing(grasp: Grasp) -> np.ndarray:
    return grasp.thing_from_tip.rotation()[:, 1]


def ahead(grasp: Grasp) -> np.ndarray:
    return grasp.thing_from_tip.rotation()[:, 2]


def test_a_cube_is_taken_across_two_of_its_faces():
    grasps = sample_grasps(touch_of(Box((0.02, 0.02, 0.02))), rng(), table_from_thing=STANDING)
    assert len(grasps) > 20
    for grasp in grasps:
        assert grasp.width_m == pytest.approx(0.04, abs=1e-4)
        assert np.abs(closing(grasp)).max() == pytest.approx(1.0, abs=1e-3), "along an edge"
        assert abs(closing(grasp)[2]) < 1e-3, "the table is in the way below"
        assert ahead(grasp)[2] < 0.31, "never from below"
    assert grasps[0].quality > 0.9
    assert [grasp.quality for grasp in grasps] == sorted((grasp.quality for grasp in grasps), reverse=True)


def test_in_the_air_a_cube_is_also_taken_from_above_and_below():
    grasps = sample_grasps(touch_of(Box((0.02, 0.02, 0.02))), rng(), table_from_thing=None)
    assert {int(np.abs(closing(grasp)).argmax()) for grasp in grasps} == {0, 1, 2}


def test_a_ball_is_taken_through_its_middle():
    grasps = sample_grasps(touch_of(Sphere(0.03)), rng(), table_from_thing=Pose((0.0, 0.0, 0.03)))
    assert len(grasps) > 20
    middle = np.array([0.0, 0.0, 0.0])
    for grasp in grasps:
        from_line = np.cross(middle - np.array(grasp.thing_from_tip.position), closing(grasp))
        assert 0.06 * math.cos(math.atan(FRICTION)) - 1e-4 < grasp.width_m < 0.06 + 1e-4, "a chord within the friction cone"
        assert np.linalg.norm(from_line) < 0.03 * math.sin(math.atan(FRICTION)) + max(DEPTHS_M)


def test_a_can_is_taken_around_if_it_fits_between_the_fingers():
    stands = Pose((0.0, 0.0, 0.05))
    grasps = sample_grasps(touch_of(Cylinder(0.034, 0.05)), rng(), table_from_thing=stands)
    assert grasps[0].width_m == pytest.approx(0.068, abs=1e-4) and abs(closing(grasps[0])[2]) < 1e-3
    assert all(grasp.width_m <= WIDEST_M for grasp in grasps)
    assert not sample_grasps(touch_of(Cylinder(0.042, 0.05)), rng(), table_from_thing=stands)


def test_a_wide_plate_is_taken_at_its_rim_alone():
    """In the air: it is 20 cm wide and 1 cm thick, and the fingers reach 2 or 3 cm over it."""
    grasps = sample_grasps(touch_of(Cylinder(0.10, 0.005)), rng(), table_from_thing=None, tries=400)
    assert grasps
    for grasp in grasps:
        assert grasp.width_m == pytest.approx(0.01, abs=1e-4) and abs(closing(grasp)[2]) > 0.99
        assert np.linalg.norm(grasp.thing_from_tip.position[:2]) > 0.05
        assert ahead(grasp)[:2] @ np.array(grasp.thing_from_tip.position[:2]) < 0, "from outside"
    assert not sample_grasps(touch_of(Cylinder(0.10, 0.005)), rng(), table_from_thing=Pose((0.0, 0.0, 0.005))), "it lies flat on the table"


def test_hand_and_thing_do_not_meet():
    """The open hand's own boxes against points of a mug, by another way than the sampler's."""
    touch = Touch(make("mug", 3))
    points = touch.scatter(3000, rng(1))
    palm, finger = hand_boxes()
    inset = np.array([0.0015] * 3)  # the sampler knows other points
    for grasp in sample_grasps(touch, rng())[::20]:
        seen = grasp.thing_from_tip.inverse().apply(points)
        out = np.array([0.0, grasp.opening_m, 0.0])
        for low, high in (*palm, *(finger + out), *((finger + out)[:, ::-1] * [1.0, -1.0, 1.0])):
            low, high = np.minimum(low, high) + inset, np.maximum(low, high) - inset
            assert not ((seen > low) & (seen < high)).all(axis=1).any()
            assert grasp.thing_from_tip.apply(np.stack([low, high]))[:, 2].min() > 0.0, "above the table"


def test_the_same_rng_gives_the_same_grasps_and_another_gives_others():
    touch = Touch(make("banana", 0))
    assert sample_grasps(touch, rng(3)) == sample_grasps(touch, rng(3))
    assert sample_grasps(touch, rng(3)) != sample_grasps(touch, rng(4))


def test_what_stands_beside_is_left_alone():
    """Walls on both sides along y: the fingers only fit along x."""
    touch = touch_of(Box((0.02, 0.02, 0.02)))
    wall = np.array([[x, y, z] for x in np.linspace(-0.1, 0.1, 41) for y in (-0.03, 0.03) for z in np.linspace(0.0, 0.1, 21)])
    free = sample_grasps(touch, rng(), table_from_thing=STANDING)
    walled = sample_grasps(touch, rng(), table_from_thing=STANDING, others=wall)
    assert {int(np.abs(closing(grasp)).argmax()) for grasp in free} == {0, 1}
    assert not any(abs(closing(grasp)[1]) > 0.5 for grasp in walled)


@pytest.mark.parametrize("geometry", [Box((0.02, 0.03, 0.04)), Sphere(0.03), Cylinder(0.02, 0.05), Capsule(0.02, 0.03)])
def test_points_lie_on_the_surface_and_normals_lead_out(geometry):
    touch = touch_of(geometry)
    points = touch.scatter(300, rng())
    assert np.abs(touch.depth(points)).max() < 1e-5
    assert touch.depth(points + 1e-3 * touch.normals(points)) == pytest.approx(1e-3, abs=2e-5)
    hull = Touch(thing("toy", tessellated(geometry)).asset)
    assert np.abs(hull.depth(points)).max() < 6e-4, "a mesh of it is as large, but for what its triangles cut off"


def test_a_mesh_counts_as_its_hull():
    """Two cubes far apart as one mesh: the space between them belongs to it."""
    cube = tessellated(Box((0.01, 0.01, 0.01)))
    away = np.array([0.05, 0.0, 0.0])
    both = Mesh(np.concatenate([cube.vertices - away, cube.vertices + away]), np.concatenate([cube.faces, cube.faces + len(cube.vertices)]))
    depth = touch_of(both).depth(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.02], [0.07, 0.0, 0.0]]))
    assert depth == pytest.approx([-0.01, 0.01, 0.01], abs=1e-6)


def test_nothing_to_touch_is_refused():
    with pytest.raises(ConfigError, match="'ghost' cannot be grasped: it needs shapes that collide"):
        Touch(thing("ghost", Sphere(0.1), role="visual").asset)
    with pytest.raises(ConfigError, match="no plane among them"):
        Touch(thing("floor", Plane()).asset)


def test_a_good_grasp_holds_and_a_bad_one_does_not():
    """A cube across its faces; the same hand beside it; and one that only brushes a slippery ball at its top."""
    cube = thing("cube", Box((0.02, 0.02, 0.02)), mass=0.1, friction=0.5).asset
    best = sample_grasps(Touch(cube), rng(), table_from_thing=STANDING)[0]
    aside = Grasp(
        thing_from_tip=Pose((0.0, 0.0, 0.1)).then(best.thing_from_tip), width_m=best.width_m, opening_m=best.opening_m, quality=0.0
    )
    good, bad = lifts(cube, [best, aside], ground_from_thing=STANDING)
    assert good.held and good.slipped_m < 0.005
    assert not bad.held
    table = lift_table([good, bad])
    assert table.shape == (2, len(COLUMNS)) and table[:, COLUMNS.index("held")].tolist() == [1.0, 0.0]
    assert table[0, :3] == pytest.approx(best.thing_from_tip.position, abs=1e-6)


def test_what_is_too_heavy_slips():
    heavy = thing("cube", Box((0.02, 0.02, 0.02)), mass=20.0, friction=0.3).asset
    grasp = sample_grasps(Touch(heavy), rng(), table_from_thing=STANDING)[0]
    assert not lifts(heavy, [grasp], ground_from_thing=STANDING)[0].held


def test_turned_swaps_the_fingers_only():
    grasp = sample_grasps(touch_of(Box((0.02, 0.02, 0.02))), rng(), table_from_thing=STANDING)[0]
    assert closing(grasp.turned()) == pytest.approx(-closing(grasp))
    assert ahead(grasp.turned()) == pytest.approx(ahead(grasp))
    assert grasp.turned().thing_from_tip.position == grasp.thing_from_tip.position
