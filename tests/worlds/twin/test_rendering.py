"""What a twin shows, against what geometry says it must."""

import gc
import math
import platform
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Prompt, seeded
from armillary.worlds.twin import rendering
from armillary.worlds.twin.geometry import Box, Sphere
from armillary.worlds.twin.mujoco_compile import compile_scene
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quality import QUALITIES, Quality
from armillary.worlds.twin.rendering import Renderer
from armillary.worlds.twin.scene import Camera, Light, Scene
from armillary.worlds.twin.world import TwinWorld
from tests.worlds.twin.small_twins import FRONT, arm, ground, table, thing

SIZE = (48, 64)
ABOVE = Camera(name="above", pose=Pose((0.0, 0.0, 2.0)), fov_y_deg=60.0)  # looks straight down, x to the right, y up
FOCAL_PX = 24.0 / math.tan(math.radians(30.0))


def from_above(*things, **options) -> tuple[TwinWorld, dict[str, torch.Tensor]]:
    world = TwinWorld(Scene(name="s", things=(ground(), *things), cameras=(ABOVE,), **options), size=SIZE)
    state = world.start(Prompt(), seeded(0))
    return world, {name: picture[0] for name, picture in world.look(state, "above").items()}


def slanted_view(*things) -> dict[str, torch.Tensor]:
    camera = Camera.looking("eye", at=(0.0, 0.0, 0.0), eye=(1.0, -1.5, 1.0))
    world = TwinWorld(Scene(name="s", things=(ground(), *things), cameras=(camera,)), size=(96, 96), quality="fine")
    return {name: picture[0] for name, picture in world.look(world.start(Prompt(), seeded(0)), "eye").items()}


def test_depth_is_in_metres_along_the_axis():
    _, seen = from_above(thing("box", Box((0.2, 0.2, 0.15)), pose=Pose((0.0, 0.0, 0.15))))
    assert seen["depth"][0, 24, 32] == pytest.approx(1.7, abs=1e-4)
    assert seen["depth"][0, 2, 2] == pytest.approx(2.0, abs=1e-4)
    assert seen["depth"][0].unique().numel() < 60  # two planes, up to rounding


def test_segmentation_counts_the_pixels_that_a_box_must_cover():
    world, seen = from_above(thing("box", Box((0.3, 0.2, 0.15)), pose=Pose((0.4, 0.3, 0.15))))
    ids = {label.thing: number for number, label in enumerate(world.labels)}
    rows, columns = np.nonzero(seen["segmentation"][0].numpy() == ids["box"])
    # The top's edges are at x 0.1 and 0.7, y 0.1 and 0.5, 1.7 m below; the side that faces the middle is seen from 1.7 m to 2 m.
    assert columns.min() == pytest.approx(32 + 0.1 * FOCAL_PX / 2.0, abs=1.0) and columns.max() == pytest.approx(
        32 + 0.7 * FOCAL_PX / 1.7, abs=1.5
    )
    assert rows.min() == pytest.approx(24 - 0.5 * FOCAL_PX / 1.7, abs=1.0) and rows.max() == pytest.approx(
        24 - 0.1 * FOCAL_PX / 2.0, abs=1.5
    )
    assert set(seen["segmentation"].unique().tolist()) == {ids["ground"], ids["box"]}
    assert world.labels[ids["box"]].kind == "toy" and world.labels[ids["ground"]].kind == "floor"


def test_every_body_has_its_own_id_and_the_sky_none():
    world = TwinWorld(table(), size=(96, 128))
    seen = world.look(world.start(Prompt(), seeded(0)), "front")
    found = {f"{world.labels[n].thing}/{world.labels[n].body}" for n in seen["segmentation"].unique().tolist()}
    assert found == {"/", "ground/body", "arm/base", "arm/upper", "arm/lower", "cube/body", "ball/body"}
    sky = seen["segmentation"] == 0
    assert bool((seen["depth"][sky] == 0).all()) and bool((seen["depth"][~sky] > 0).all())


def test_only_visual_shapes_are_seen():
    for role, shown in (("both", True), ("visual", True), ("collider", False)):
        world, seen = from_above(thing("box", Box((0.2, 0.2, 0.15)), pose=Pose((0.0, 0.0, 0.15)), role=role))
        assert (world.labels[int(seen["segmentation"][0, 24, 32])].thing == "box") == shown


def test_a_picture_is_not_upside_down_or_mirrored():
    _, seen = from_above(thing("ball", Sphere(0.15), pose=Pose((0.8, 0.5, 0.15))))
    red = (seen["rgb"][0] - seen["rgb"][2]).numpy()
    row, column = np.unravel_index(red.argmax(), red.shape)
    assert row < 24 and column > 32


def test_normals_of_a_slope_and_of_a_ball():
    tilt = Pose.about((0.3, 1.0, 0.0), 0.5)
    _, seen = from_above(thing("slab", Box((0.5, 0.5, 0.02)), pose=Pose((0.0, 0.0, 0.5), tilt.turn)))
    np.testing.assert_allclose(seen["normals"][:, 24, 32], tilt.rotation()[:, 2], atol=1e-3)
    np.testing.assert_allclose(seen["normals"][:, 1, 1], [0.0, 0.0, 1.0], atol=1e-3)
    seen = slanted_view(thing("ball", Sphere(0.5), pose=Pose((0.0, 0.0, 0.0))))
    on_ball = seen["segmentation"][0] == 2
    # The ball's middle is where the camera looks: the normal follows from the point, its pixel and its depth.
    rows, columns = np.nonzero(on_ball.numpy())
    focal = 48.0 / math.tan(math.radians(22.5))
    depth = seen["depth"][0].numpy()[rows, columns]
    points = np.stack([(columns + 0.5 - 48.0) / focal * depth, (48.0 - rows - 0.5) / focal * depth, -depth], axis=-1)
    expected = (points - [0.0, 0.0, -math.sqrt(1.0 + 2.25 + 1.0)]) / 0.5
    found = seen["normals"].numpy()[:, rows, columns].T
    facing = expected[:, 2] > 0.5
    degrees = np.degrees(np.arccos(np.clip((found * expected).sum(axis=-1) / np.linalg.norm(expected, axis=-1), -1.0, 1.0)))
    assert np.median(degrees[facing]) < 6.0  # a drawn ball has flat pieces of 12.9 degrees


def test_normals_stay_sharp_at_the_edges_of_a_cube():
    seen = slanted_view(thing("box", Box((0.3, 0.3, 0.3)), pose=Pose((0.0, 0.0, 0.3))))
    eye = Camera.looking("eye", at=(0.0, 0.0, 0.0), eye=(1.0, -1.5, 1.0)).pose.rotation()
    faces = np.stack([eye[2], eye[0], -eye[1]])  # world z, x and -y, in the camera's frame
    found = seen["normals"].numpy()[:, seen["segmentation"][0].numpy() == 2].T
    close = (found @ faces.T).max(axis=-1) > math.cos(math.radians(2.0))
    assert close.mean() > 0.97


def test_flow_of_a_moved_body_is_exact():
    world = TwinWorld(Scene(name="s", things=(ground(), thing("box", Box((0.2, 0.2, 0.1)))), cameras=(ABOVE,)), size=SIZE)
    state = world.start(Prompt(batch_size=2, layout={"box/body": [0.0, 0.0, 0.4]}), seeded(0))
    later = world.start(Prompt(batch_size=2, layout={"box/body": [[0.1, 0.05, 0.4], [0.0, 0.0, 0.9]]}), seeded(0))
    found = world.flow(state, later)
    assert found[0, :, 24, 32].tolist() == pytest.approx([0.1 * FOCAL_PX / 1.5, -0.05 * FOCAL_PX / 1.5], abs=1e-3)
    assert found[:, :, 2, 2].abs().max() < 1e-5  # the ground stays
    # Nearer by 0.5 m: away from the middle, by 1.5 / 1.0.
    assert found[1, :, 24, 34].tolist() == pytest.approx([2.5 * 0.5, 0.5 * 0.5], abs=1e-3)


def test_flow_leads_to_the_same_point_of_the_body():
    """A turned box: what a pixel shows, followed by the flow, has the depth and the body that the later picture shows there."""
    world = TwinWorld(Scene(name="s", things=(ground(), thing("box", Box((0.4, 0.4, 0.1)))), cameras=(ABOVE,)), size=(96, 128))
    turned = Pose.about((0.2, 0.3, 1.0), 0.3).turn
    state = world.start(Prompt(layout={"box/body": [0.0, 0.0, 0.5]}), seeded(0))
    later = world.start(Prompt(layout={"box/body": [0.05, 0.0, 0.6, *turned]}), seeded(0))
    now, then, moved = world.look(state, "above"), world.look(later, "above"), world.flow(state, later)[0].numpy()
    on_top = (now["segmentation"][0, 0].numpy() == 2) & (np.abs(now["depth"][0, 0].numpy() - 1.4) < 1e-3)
    rows, columns = np.nonzero(on_top)
    there = np.round(rows + moved[1, rows, columns]).astype(int), np.round(columns + moved[0, rows, columns]).astype(int)
    assert (then["segmentation"][0, 0].numpy()[there] == 2).mean() > 0.97
    # The turned top is a plane through (0.05, 0, 0.6) + 0.1 n: its depth where each pixel went.
    x, y = (there[1] + 0.5 - 64.0), (48.0 - there[0] - 0.5)
    normal, focal = Pose(turn=turned).rotation()[:, 2], 48.0 / math.tan(math.radians(30.0))
    distance = normal @ (np.array([0.05, 0.0, 0.6]) + 0.1 * normal - np.array([0.0, 0.0, 2.0]))
    expected = distance / (normal[0] * x / focal + normal[1] * y / focal - normal[2])
    assert np.median(np.abs(then["depth"][0, 0].numpy()[there] - expected)) < 1e-3


def test_flow_of_the_sky_under_a_camera_that_turns():
    """A camera on the arm's upper link turns with it: the sky, infinitely far, moves by the turn alone."""
    camera = Camera(name="hand", pose=Pose((0.0, 0.0, 3.0), Pose.about((1.0, 0.0, 0.0), math.pi / 2).turn), on="arm/upper", fov_y_deg=60.0)
    world = TwinWorld(Scene(name="s", things=(arm(),), cameras=(camera,)), size=SIZE)
    states = [world.start(Prompt(layout={"arm/shoulder": angle}), seeded(0)) for angle in (0.0, 0.02)]
    found = world.flow(*states)[0]
    # It looks along y and turns about y: the picture turns about its middle.
    assert found[:, 24, 32].abs().max() < 0.05
    assert found[:, 24, 63].norm() == pytest.approx(31.5 * 0.02, rel=0.05)


def test_shadows_and_presets():
    sun = Light(name="sun", position=(0.0, 0.0, 4.0), direction=(-0.7, 0.0, -1.0))
    box = thing("box", Box((0.1, 0.3, 0.2)), pose=Pose((0.0, 0.0, 0.2)))
    scene = Scene(name="s", things=(ground(), box), cameras=(ABOVE,), lights=(sun,))
    shade = {}
    for quality in QUALITIES:
        world = TwinWorld(scene, size=SIZE, quality=quality)
        rgb = world.render(world.start(Prompt(), seeded(0)))["rgb"][0].mean(dim=0)
        shade[quality] = float(rgb[24, 32 - 4] / rgb[24, 32 + 15])  # 0.19 m to the left of the middle: in the shadow
        world.close()
    assert shade["draft"] > 0.9 and shade["fast"] < 0.75 and shade["fine"] < 0.75


def test_a_riding_camera_and_an_unknown_one():
    world = TwinWorld(table(), size=SIZE)
    state = world.start(Prompt(), seeded(0))
    with pytest.raises(ConfigError, match="no camera 'side'; it has front"):
        world.look(state, "side")
    with pytest.raises(ConfigError, match="no camera 'side'; it has front"):
        world.flow(state, state, "side")


def test_a_renderer_is_closed_once_and_draws_no_more():
    with Renderer(compile_scene(table()), height=8, width=16, quality=QUALITIES["draft"]) as renderer:
        assert renderer.rgb().shape == (8, 16, 3)
        renderer.close()
        with pytest.raises(ConfigError, match="was closed"):
            renderer.rgb()


def test_renderers_do_not_disturb_one_another():
    """Not by being made, nor by being closed, nor by being forgotten."""
    worlds = [TwinWorld(table(), size=SIZE) for _ in range(4)]
    state = worlds[0].start(Prompt(), seeded(0))
    expected = worlds[0].render(state)["rgb"]
    for world in (*worlds, *worlds):
        assert torch.equal(world.render(state)["rgb"], expected)
    worlds[3].close()
    del worlds[2], world
    gc.collect()
    for world in worlds:
        assert torch.equal(world.render(state)["rgb"], expected)


def test_a_context_that_was_used_draws_the_same_to_the_bit():
    """Whatever its renderers before were asked to do; a thread that ends begins the next one's from nothing."""
    sun = Light(name="sun", position=(0.0, 0.0, 4.0), direction=(-0.7, 0.0, -1.0))
    bright = Scene(name="s", things=(ground(), thing("ball", Sphere(0.3))), cameras=(FRONT,), lights=(sun,), ambient=0.9)
    asked = [(scene, quality, size) for scene in (table(), bright) for quality in QUALITIES for size in ((48, 64), (33, 20))]

    def drawn(scene: Scene, quality: str, size: tuple[int, int]) -> list[bytes]:
        world = TwinWorld(scene, size=size, quality=quality)
        shot = world.shoot(world.start(Prompt(), seeded(0)), "front")
        world.close()
        return [shot.rgb.tobytes(), shot.view.depth_m.tobytes(), shot.view.bodies.tobytes()]

    fresh: list[list[bytes]] = []
    for one in asked:
        run_in_thread(lambda one=one: fresh.append(drawn(*one)))
    first = rendering._take_context()
    rendering._idle.context = first
    for order in (asked, asked[::-1]):
        assert [drawn(*one) for one in order] == (fresh if order is asked else fresh[::-1])
    assert rendering._idle.context is first


def test_contexts_end_with_their_threads_and_their_renderers():
    def used(close: bool) -> None:
        world = TwinWorld(table(), size=SIZE, quality="draft")
        world.render(world.start(Prompt(), seeded(0)))
        if close:
            world.close()

    used(close=True)
    gc.collect()
    before = len(rendering._contexts)
    for close in (True, False):
        run_in_thread(lambda close=close: used(close))
    worlds = [TwinWorld(table(), size=SIZE, quality="draft") for _ in range(3)]
    for world in worlds:
        world.render(world.start(Prompt(), seeded(0)))
    for world in worlds:
        world.close()
    gc.collect()
    assert len(rendering._contexts) <= before, "one is kept for the next renderer, no more"


def test_a_shot_has_what_was_asked_for():
    world = TwinWorld(table(), size=SIZE)
    state = world.start(Prompt(batch_size=2, layout={"ball/body": [[0.0, 0.0, 0.5], [0.2, 0.0, 0.5]]}), seeded(0))
    looked = world.look(state, "front")
    for row in (0, 1):
        shot = world.shoot(state, "front", row=row)
        assert torch.equal(torch.from_numpy(shot.view.depth_m), looked["depth"][row, 0])
        assert torch.equal(torch.from_numpy(shot.rgb).movedim(-1, 0) / 255.0, looked["rgb"][row])
    assert world.shoot(state, "front", view=False).view is None and world.shoot(state, "front", rgb=False).rgb is None
    place = world.placement(state, "front", row=1)
    np.testing.assert_allclose(place.world_from_camera, FRONT.pose.matrix(), atol=1e-12)
    np.testing.assert_array_equal(place.world_from_body, world.poses(state)[1].numpy())


def test_threads_share_a_world():
    world = TwinWorld(table(), size=SIZE)
    state = world.start(Prompt(), seeded(0))
    expected, found = world.render(state)["rgb"], []

    def work():
        found.append(world.render(world.start(Prompt(), seeded(0)))["rgb"])
        world.close()

    run_in_thread(work)
    assert torch.equal(found[0], expected)


def run_in_thread(work) -> None:
    failed = []

    def guarded():
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


@pytest.mark.skipif(platform.system() != "Linux", reason="libraries are looked for on Linux")
def test_a_machine_without_opengl_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(rendering, "_LIBRARIES", {"egl": ("libNoSuchEGL.so",), "osmesa": ("libNoSuchOSMesa.so",)})
    world = TwinWorld(table(), size=SIZE)

    def work():
        with pytest.raises(ConfigError, match=r"libegl1 libgl1-mesa-dri, or apt-get install libosmesa6"):
            world.render(world.start(Prompt(), seeded(0)))

    run_in_thread(work)


def test_impossible_pictures_and_qualities_are_refused():
    with pytest.raises(ConfigError, match="height and width must be >= 1, received 0 and 8"):
        Renderer(compile_scene(table()), height=0, width=8, quality=QUALITIES["draft"])
    with pytest.raises(ConfigError, match="shadow_map >= 0"):
        Quality(shadow_map=-1, samples=0, slices=20, stacks=8)
    assert replace(QUALITIES["fast"], samples=4).samples == 4
