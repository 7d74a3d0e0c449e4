"""Lens and sensor in a recording: that its labels fit its pictures, and what is drawn for each camera."""

import io
from dataclasses import replace

import numpy as np
import pytest

from armillary.data.labels import IMAGES
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.randomise import LENS, NOTHING, eyes
from armillary.worlds.twin.record import Labelled, record_episode
from armillary.worlds.twin.scenes.catalogue import build

SIZE = 64
PLAIN = Manifest(
    scene="tabletop",
    steps=3,
    size=SIZE,
    cameras=("front", "wrist"),
    modalities=("rgb", "depth", "segmentation", "normals", "flow"),
    randomise=NOTHING,
)


def recorded(**settings: float) -> Labelled:
    return record_episode(replace(PLAIN, randomise=replace(NOTHING, **settings)), 2)  # an episode whose lens bends much


def labels_of(labelled: Labelled) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(labelled.labels)))


@pytest.fixture(scope="module")
def pair() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The labels without and with a lens."""
    return labels_of(recorded()), labels_of(recorded(lens=1.0))


def projected(labels: dict[str, np.ndarray], camera: str, point: np.ndarray) -> np.ndarray:
    """Column and row, from nothing but what the file holds, as OpenCV does it."""
    right, up, back, _ = np.linalg.inv(labels[f"{camera}.world_from_camera"][0]) @ [*point, 1.0]
    x, y = right / -back, -up / -back
    k1, k2, p1, p2 = labels[f"{camera}.distortion"]
    assert (p1, p2) == (0.0, 0.0)
    factor = 1 + k1 * (x * x + y * y) + k2 * (x * x + y * y) ** 2
    return (labels[f"{camera}.intrinsics"] @ [x * factor, y * factor, 1.0])[:2]


@pytest.mark.parametrize("which", [0, 1], ids=["pinhole", "lens"])
def test_depth_and_segmentation_lie_where_the_files_own_numbers_put_them(pair, which):
    labels = pair[which]
    assert (np.abs(labels["front.distortion"]).max() > 0) == bool(which)
    checked = 0
    for number in np.unique(labels["front.segmentation"][0]):
        if not number or labels["thing"][number] in ("ground", "table"):
            continue
        rows, columns = np.nonzero(labels["front.segmentation"][0] == number)
        if len(rows) < 4 or labels["kind"][number] in ("die", "fork", "spoon"):
            continue
        column, row = projected(labels, "front", labels["world_from_body"][0, number, :3, 3])
        assert columns.min() - 4 < column < columns.max() + 4 and rows.min() - 4 < row < rows.max() + 12, labels["thing"][number]
        checked += 1
    assert checked >= 4
    table = np.argwhere(labels["thing"] == "table")[0, 0]
    rows, columns = np.nonzero(labels["front.segmentation"][0] == table)
    matrix = labels["front.intrinsics"]
    x, y = (columns - matrix[0, 2]) / matrix[0, 0], (rows - matrix[1, 2]) / matrix[1, 1]
    seen = np.hypot(x, y)
    k1, k2 = labels["front.distortion"][:2]
    r = seen.copy()
    for _ in range(60):
        r = seen / (1 + k1 * r**2 + k2 * r**4)
    x, y = x * r / seen, y * r / seen
    depth = labels["front.depth"][0][rows, columns]
    points = np.stack([x * depth, -y * depth, -depth, np.ones_like(depth)])
    heights = (labels["front.world_from_camera"][0] @ points)[2]
    assert np.median(heights) == pytest.approx(0.72, abs=0.01), "the table's top is 0.72 m high"


def test_every_label_is_bent_and_none_is_invented(pair):
    plain, bent = pair
    for modality in ("depth", "segmentation", "normals", "flow"):
        before, after = plain[f"front.{modality}"], bent[f"front.{modality}"]
        assert before.shape == after.shape and before.dtype == after.dtype and not np.array_equal(before, after, equal_nan=True)
        if modality in ("segmentation", "depth"):
            assert set(np.unique(after)) <= set(np.unique(before))
    np.testing.assert_array_equal(bent["world_from_body"], plain["world_from_body"])
    focal = SIZE / 2 / np.tan(np.radians(bent["front.fov_y_deg"]) / 2)
    assert focal == pytest.approx(bent["front.intrinsics"][0, 0], rel=1e-9)


def test_sensors_touch_pictures_only(pair):
    noisy = recorded(image_noise=0.05, shot_noise=0.05, exposure=0.5, white_balance=0.2)
    for name, values in labels_of(noisy).items():
        np.testing.assert_array_equal(values, pair[0][name])
    plain, found = (one.episode.frames[IMAGES + "front"].astype(float) for one in (recorded(), noisy))
    assert np.abs(found - plain).mean() > 3


def test_noise_on_pictures_leaves_the_states_noise_as_it_is():
    states = [recorded(state_noise=0.1, image_noise=level).episode.state for level in (0.0, 0.1)]
    np.testing.assert_array_equal(*states)


def test_every_camera_has_a_lens_and_a_sensor_of_its_own():
    scene, settings = build("tabletop", 0), replace(NOTHING, lens=1.0, exposure=1.0, white_balance=0.2)
    found = [eyes(scene, settings, (48, 48), np.random.default_rng(seed)) for seed in range(60)]
    assert list(found[0]) == ["front", "side", "wrist"]
    lenses = [one[name].optics.lens for one in found for name in one]
    assert len(set(lenses)) == 180
    corner = np.sqrt(2) * np.tan(np.radians(42.0) / 2)
    moved = [abs(one["front"].optics.lens.k1) * corner**2 for one in found]
    assert 0.9 * LENS["k1"] < max(moved) <= LENS["k1"] and 0.9 * LENS["vignetting"] < max(lens.vignetting for lens in lenses)
    greens = [one["front"].sensor.gains[1] for one in found]
    assert 0.5 <= min(greens) < 0.55 and 1.85 < max(greens) <= 2.0
    reds = [one["front"].sensor.gains[0] / one["front"].sensor.gains[1] for one in found]
    assert 0.8 <= min(reds) < 0.83 and 1.17 < max(reds) <= 1.2
    still = eyes(scene, NOTHING, (48, 48), np.random.default_rng(0))["front"]
    assert still.optics.zoom == 1.0 and still.sensor.gains == (1.0, 1.0, 1.0)
