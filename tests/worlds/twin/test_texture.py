"""Patterns: what they look like, how large they are where they are drawn, and that nothing but the look of a thing depends on them."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.core import ConfigError, Prompt, seeded, to_disk
from armillary.worlds.twin.asset import Asset, Body, Material, Shape
from armillary.worlds.twin.geometry import Box, Cylinder, Geometry, Mesh, Plane, Sphere
from armillary.worlds.twin.lens import Lens, Optics
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.tessellate import tessellated
from armillary.worlds.twin.texture import KINDS, SIDE, Texture, texels, wrapped
from armillary.worlds.twin.world import TwinWorld

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
SEEN = {"box": Box((0.6, 0.6, 0.05)), "plane": Plane((3.0, 2.0)), "mesh": tessellated(Box((0.6, 0.5, 0.05)))}


def painted(geometry: Geometry, texture: Texture | None, *, role: str = "both", lift: float = 0.0, moves: bool = False) -> Placed:
    material = Material(name="paint", colour=(*BLACK, 1.0), density=Quantity(500.0), friction=Quantity(0.5), texture=texture)
    body = Body(name="body", shapes=(Shape(name="shape", geometry=geometry, material="paint", role=role),), label="toy")
    asset = Asset(name="toy", bodies=(body,), materials=(material,))
    return Placed(name="toy", asset=asset, pose=Pose((0.0, 0.0, lift)), moves=moves)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_has_both_colours_no_seam_and_the_look_of_its_seed(kind):
    first = texels(Texture(kind=kind, colour=WHITE, seed=1), BLACK)
    assert first.min() == 0 and first.max() > 200 and (first[..., 0] == first[..., 2]).all()
    assert (first == texels(Texture(kind=kind, colour=WHITE, seed=1), BLACK)).all()
    if kind != "checker":
        assert (first != texels(Texture(kind=kind, colour=WHITE, seed=2), BLACK)).any()
    values = first[..., 0].astype(float)
    for axis in (0, 1):
        inside = np.abs(np.diff(values, axis=axis)).max()
        assert np.abs(values.take(0, axis) - values.take(-1, axis)).max() <= inside, "the seam would show"


def test_a_checker_is_four_squares():
    found, half = texels(Texture(kind="checker", colour=(1.0, 0.0, 0.2)), (0.0, 1.0, 0.0)), SIDE // 2
    assert (found[:half, :half] == (0, 255, 0)).all() and (found[half:, half:] == (0, 255, 0)).all()
    assert (found[:half, half:] == (255, 0, 51)).all() and (found[half:, :half] == (255, 0, 51)).all()


def test_a_pattern_is_as_large_on_every_side_and_runs_along_the_longer_edge():
    box = tessellated(Box((0.5, 0.2, 0.1)))
    laid = wrapped(box, 0.25)
    edges = laid[:, 1:] - laid[:, :1]
    areas = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2 * 0.25**2
    corners = box.vertices[box.faces]
    true = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    np.testing.assert_allclose(areas, true, rtol=1e-12)
    assert np.ptp(laid[..., 0], axis=1).tolist() == pytest.approx([4.0 if side > 1 else 1.6 for side in _sides(box)])


def _sides(box: Mesh) -> list[int]:
    """0: a side that faces along x, where the longer edge is y; 2: one whose longer edge is x."""
    corners = box.vertices[box.faces]
    return [0 if np.ptp(face[:, 0]) == 0 else 2 for face in corners]


@pytest.mark.parametrize("role", ["both", "visual"])
@pytest.mark.parametrize("name", list(SEEN))
def test_a_checker_repeats_every_so_many_metres_where_it_is_drawn(name, role):
    camera = Camera.looking("top", at=(0.0, 0.0, 0.0), eye=(0.0, -0.01, 2.0), fov_y_deg=40.0)
    texture = Texture(kind="checker", colour=WHITE, size_m=0.3)
    scene = Scene(name="painted", things=(painted(SEEN[name], texture, role=role),), cameras=(camera,))
    world = TwinWorld(scene, size=(240, 240), quality="draft")
    picture = to_disk(world.look(world.start(Prompt(), seeded(0)), "top", ("rgb",))["rgb"])[0, ..., 0]
    world.close()
    optics, height = Optics(Lens(), fov_y_deg=40.0, height=240, width=240), 0.0 if name == "plane" else 0.05
    steps = np.arange(-10, 10) * 0.023 + 0.0071
    spots = np.stack([*np.meshgrid(steps, steps), np.full((20, 20), height)], axis=-1)

    def light(shift: tuple[float, float, float]) -> np.ndarray:
        column, row = np.rint(optics.project(camera.pose.inverse().apply(spots + shift))).astype(int).transpose(2, 0, 1)
        return picture[row, column] > 60

    here = light((0.0, 0.0, 0.0))
    assert 0.3 < here.mean() < 0.7
    for way in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)):
        whole, half = (light(tuple(part * length for part in way)) for length in (0.3, 0.15))
        assert (here == whole).mean() > 0.9, "one repeat further it looks the same"
        assert (here == half).mean() < 0.1, "half a repeat further the colours have changed places"


@pytest.mark.parametrize("geometry", [Box((0.1, 0.08, 0.05)), Sphere(0.1), Cylinder(0.06, 0.1), tessellated(Cylinder(0.06, 0.1))])
def test_how_a_thing_moves_and_its_ids_do_not_depend_on_its_pattern(geometry):
    found = []
    for texture in (None, Texture(kind="speckle", colour=WHITE, size_m=0.05)):
        floor = replace(painted(Plane(), texture), name="floor")
        toy = painted(geometry, texture, lift=0.3, moves=True)
        toy = replace(toy, pose=Pose.about((1.0, 1.0, 0.0), 0.4, toy.pose.position))
        camera = Camera.looking("front", at=(0.0, 0.0, 0.1), eye=(0.9, -0.9, 0.7))
        world, rng = TwinWorld(Scene(name="fall", things=(floor, toy), cameras=(camera,)), size=(64, 64), quality="fine"), seeded(0)
        state = world.start(Prompt(), rng)
        for _ in range(20):
            state = world.step(state, world.targets[None], rng)
        found.append((state.physics.numpy(), world.look(state, "front", ("rgb", "segmentation"))))
        world.close()
    (plain, looks), (worn, painted_looks) = found
    assert np.array_equal(plain, worn), "not a bit of the motion may change"
    ids, others = looks["segmentation"], painted_looks["segmentation"]
    assert set(others.unique().tolist()) == set(ids.unique().tolist()) == {0, 1, 2}
    assert (ids != others).float().mean() < 0.01, "round things are drawn in other flat pieces, and that only at their rims"
    assert (looks["rgb"] - painted_looks["rgb"]).abs().mean() > 0.05, "the pattern must be seen"


def test_a_patterned_world_leaves_nothing_behind_for_the_next_one():
    plain, worn = (Scene(name="box", things=(painted(Box((0.4, 0.4, 0.4)), one),), cameras=(TOP,)) for one in (None, CHECKER))
    pictures = []
    for scene in (plain, worn, plain):
        world = TwinWorld(scene, size=(48, 48))
        pictures.append(world.look(world.start(Prompt(), seeded(0)), "top", ("rgb",))["rgb"])
        world.close()
    assert (pictures[0] == pictures[2]).all() and (pictures[0] != pictures[1]).any()


TOP = Camera.looking("top", at=(0.0, 0.0, 0.0), eye=(0.5, -1.0, 2.0))
CHECKER = Texture(kind="checker", colour=WHITE)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "tartan"}, "kind must be one of checker, stripes, grain, speckle, received 'tartan'"),
        ({"colour": (0.1, 0.2, 1.5)}, r"colour must be red, green and blue in 0 to 1, received \(0.1, 0.2, 1.5\)"),
        ({"size_m": 0.0}, "size_m must be finite and > 0, received 0.0"),
        ({"seed": -1}, "seed must be >= 0, received -1"),
    ],
)
def test_a_texture_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        Texture(**{"kind": "grain", "colour": WHITE} | settings)
