"""Lenses: that labels and projected points land where the bent picture shows them, and that no lens changes nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import ConfigError, Prompt, seeded
from armillary.worlds.twin.geometry import Sphere
from armillary.worlds.twin.lens import Lens, Optics
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Camera, Scene
from armillary.worlds.twin.world import TwinWorld
from tests.worlds.twin.small_twins import thing

FOV_DEG, HEIGHT, WIDTH = 60.0, 90, 120
BARREL, PINCUSHION = Lens(k1=-0.22, k2=0.03), Lens(k1=0.18, k2=-0.02)
PICTURE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def optics(lens: Lens) -> Optics:
    return Optics(lens, fov_y_deg=FOV_DEG, height=HEIGHT, width=WIDTH)


def pinhole(points: np.ndarray) -> np.ndarray:
    focal = HEIGHT / 2 / math.tan(math.radians(FOV_DEG) / 2)
    x, y = points[..., 0] / -points[..., 2], points[..., 1] / -points[..., 2]
    return np.stack([(WIDTH - 1) / 2 + focal * x, (HEIGHT - 1) / 2 - focal * y], axis=-1)


def directions() -> np.ndarray:
    """The point at depth 1 of every pixel's middle in the pinhole's picture: h w 3."""
    focal = HEIGHT / 2 / math.tan(math.radians(FOV_DEG) / 2)
    column, row = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    x, y = (column - (WIDTH - 1) / 2) / focal, ((HEIGHT - 1) / 2 - row) / focal
    return np.stack([x, y, -np.ones_like(x)], axis=-1)


def test_a_point_is_projected_as_brown_and_conrady_wrote_it():
    lens, point = optics(Lens(k1=-0.2, k2=0.05)), np.array([0.3, 0.4, -2.0])
    x, y, square = 0.15, 0.2, 0.15**2 + 0.2**2
    factor = 1.0 - 0.2 * square + 0.05 * square**2
    focal, centre = lens.matrix()[0, 0], lens.matrix()[:2, 2]
    np.testing.assert_allclose(lens.project(point), centre + focal * factor * np.array([x, -y]), rtol=0, atol=1e-10)
    assert lens.fov_y_deg == pytest.approx(math.degrees(2 * math.atan(HEIGHT / 2 / focal)), rel=1e-12)
    assert lens.coefficients().tolist() == [-0.2, 0.05, 0.0, 0.0] and lens.matrix()[1, 1] == focal
    assert np.isnan(lens.project(np.array([0.0, 0.0, 1.0]))).all(), "behind the camera nothing has a place"


@pytest.mark.parametrize("lens", [BARREL, PINCUSHION, Lens()], ids=["barrel", "pincushion", "none"])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.62, 0.0), (-0.5, 0.4), (0.6, -0.42), (-0.64, -0.45)])
def test_a_ball_is_seen_where_its_middle_is_projected(lens, place):
    camera = Camera.looking("front", at=(0.0, 0.0, 0.0), eye=(0.0, -1.0, 0.0), fov_y_deg=FOV_DEG)
    ball = thing("ball", Sphere(0.03), pose=camera.pose.then(Pose((*place, -1.0))), mass=None, moves=False)
    world = TwinWorld(Scene(name="ball", things=(ball,), cameras=(camera,)), size=(HEIGHT, WIDTH), quality="fine")
    looks = world.look(world.start(Prompt(), seeded(0)), "front", ("segmentation", "depth"))
    world.close()
    bent = optics(lens)
    ids, depth = bent.labels(looks["segmentation"][0, 0].numpy()), bent.labels(looks["depth"][0, 0].numpy())
    row, column = np.nonzero(ids)
    assert len(row) > 5 and set(np.unique(ids)) == {0, 1} and ((depth > 0) == (ids > 0)).all()
    expected = bent.project(camera.pose.inverse().apply(np.array(ball.pose.position)))
    assert np.hypot(*(expected - (column.mean(), row.mean()))) < 1.0
    white = np.repeat((looks["segmentation"][0, 0].numpy() > 0)[..., None], 3, axis=2).astype(np.uint8) * 255
    weights = bent.picture(white)[..., 0].astype(float)
    rows, columns = np.indices(weights.shape)
    centroid = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
    assert np.hypot(*(expected - centroid)) < 1.0


def test_no_lens_changes_not_a_bit():
    lens, flow = optics(Lens()), np.random.default_rng(1).normal(size=(HEIGHT, WIDTH, 2)).astype(np.float32)
    assert lens.picture(PICTURE) is PICTURE and lens.labels(PICTURE) is PICTURE and (lens.flow(flow) == flow).all()
    assert lens.zoom == 1.0
    np.testing.assert_allclose(lens.project(directions()), np.moveaxis(np.indices((HEIGHT, WIDTH))[::-1], 0, -1), atol=1e-10)


@pytest.mark.parametrize("lens", [BARREL, PINCUSHION], ids=["barrel", "pincushion"])
def test_labels_are_those_of_the_nearest_drawn_pixel(lens):
    ids = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    found = optics(lens).labels(ids)
    assert found.dtype == np.uint16 and found.shape == ids.shape
    landed = optics(lens).project(directions()).reshape(-1, 2)[found]
    grid = np.stack([*np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))], axis=-1)
    assert np.abs(landed - grid).max() < 0.75, "half a pixel, a little wider where the lens enlarges"


def test_normals_keep_their_channels_together():
    ids = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    found = optics(BARREL).labels(np.stack([ids, -ids, 2 * ids], axis=-1))
    assert (found == np.stack([found[..., 0], -found[..., 0], 2 * found[..., 0]], axis=-1)).all()


@given(st.floats(-0.12, 0.12), st.floats(-0.04, 0.04), st.floats(20.0, 120.0), st.integers(16, 60), st.integers(16, 60))
@settings(max_examples=60, deadline=None)
def test_nothing_from_outside_is_needed_and_no_more_is_lost_than_must_be(first, second, fov_deg, height, width):
    corner = math.hypot(height, width) / height * math.tan(math.radians(fov_deg) / 2)
    bent = Optics(Lens(k1=first / corner**2, k2=second / corner**4), fov_y_deg=fov_deg, height=height, width=width)
    focal = height / 2 / math.tan(math.radians(fov_deg) / 2)
    sides = np.linspace(-1.0, 1.0, 41)
    upright = np.concatenate([np.stack([np.full(41, side), sides], axis=1) for side in (-1.0, 1.0)])
    rim = np.concatenate([upright, upright[:, ::-1]])
    points = np.concatenate([rim * (width / 2 / focal, height / 2 / focal), -np.ones((len(rim), 1))], axis=1)
    landed = (bent.project(points) - ((width - 1) / 2, (height - 1) / 2)) / (width / 2, height / 2)
    reach = np.abs(landed).max(axis=1)
    assert reach.min() >= 1.0 - 1e-4, "the drawn picture's rim must lie on or outside the bent one's"
    if height == width:
        assert reach.min() <= 1.0 + 1e-3


def test_flow_is_where_points_go_in_the_bent_picture():
    start = directions() * 2.0
    end = start @ Pose.about((0.2, 1.0, 0.5), 0.06).rotation().T + np.array([0.02, -0.03, 0.1])
    drawn = (pinhole(end) - pinhole(start)).astype(np.float32)
    drawn[0, 0] = np.nan
    for lens in (BARREL, PINCUSHION):
        bent = optics(lens)
        shown = bent.labels(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)).ravel()
        expected = (bent.project(end) - bent.project(start)).reshape(-1, 2)[shown].reshape(HEIGHT, WIDTH, 2)
        found = bent.flow(drawn)
        unknown = (shown == 0).reshape(HEIGHT, WIDTH)
        assert np.isnan(found[unknown]).all()
        np.testing.assert_allclose(found[~unknown], expected[~unknown], atol=1e-4)


def test_what_is_past_a_fold_has_no_place():
    lens = Lens(k1=-0.2)
    assert lens.fold() == pytest.approx(math.sqrt(1 / 0.6)) and Lens(k1=0.1).fold() == math.inf == Lens().fold()
    assert np.isnan(optics(lens).project(np.array([1.5, 0.0, -1.0]))).all()
    with pytest.raises(ConfigError, match=r"folds a picture that reaches to r = 0.962; it may only beyond r = 0.816"):
        optics(Lens(k1=-0.5))


def test_vignetting_darkens_with_the_square_of_the_distance():
    white = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
    seen = optics(Lens(vignetting=0.4)).picture(white)[..., 0].astype(float) / 255
    across = math.hypot(HEIGHT, WIDTH) / 2
    column, row = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - (HEIGHT - 1) / 2)
    np.testing.assert_allclose(seen, 1 - 0.4 * (column**2 + row**2) / across**2, atol=0.003)


def test_blur_spreads_a_dot_by_its_deviation_and_keeps_its_light():
    dot = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    dot[40:50, 50:60] = 255
    seen = optics(Lens(blur=2.0 / HEIGHT)).picture(dot)[..., 0].astype(float)
    rows = np.arange(HEIGHT)
    weights = seen.sum(axis=1) / seen.sum()
    middle = (rows * weights).sum()
    assert seen.sum() == pytest.approx(100 * 255, rel=0.01) and middle == pytest.approx(44.5, abs=0.02)
    assert ((rows - middle) ** 2 * weights).sum() == pytest.approx((10**2 - 1) / 12 + 2.0**2, rel=0.03)


@pytest.mark.parametrize("settings", [{"k1": math.nan}, {"vignetting": 1.2}, {"blur": -0.01}])
def test_a_lens_that_cannot_be_is_refused(settings):
    with pytest.raises(ConfigError, match=r"a lens needs finite numbers, vignetting in 0 to 1 and blur in 0 to 0\.1, received Lens"):
        Lens(**settings)
