"""Labels read back as they were written, refused where they do not fit, and carried along when a dataset is written anew."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from armillary.core import ConfigError, DataError
from armillary.data.convert import convert
from armillary.data.dataset import open_dataset
from armillary.data.doctor import repair
from armillary.data.labels import MANIFEST_FILE, Names, label_path, read_labels, read_names
from armillary.data.merge import merge
from tests.data.labelled import FOV_Y_DEG, HEIGHT, NAMES, WIDTH, label_columns, world_from_camera, write_labelled, write_labels


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labelled") / "balls")


@pytest.fixture
def copy(made, tmp_path):
    """One to damage."""
    return shutil.copytree(made, tmp_path / "balls")


def test_what_was_written_is_read(made):
    labels, written = read_labels(open_dataset(made), 1), label_columns(1, ("front", "side"))
    assert (labels.names.things, labels.names.bodies, labels.names.kinds) == tuple(NAMES[key] for key in ("thing", "body", "kind"))
    np.testing.assert_array_equal(labels.world_from_body, written["world_from_body"])
    for name, camera in labels.cameras.items():
        np.testing.assert_array_equal(camera.depth_m, written[f"{name}.depth"])
        np.testing.assert_array_equal(camera.segmentation, written[f"{name}.segmentation"])
        np.testing.assert_array_equal(camera.world_from_camera[2], world_from_camera(name))
        assert (camera.height, camera.width, camera.fov_y_deg, camera.normals) == (HEIGHT, WIDTH, FOV_Y_DEG, None)
    assert list(labels.cameras) == ["front", "side"]
    some = read_labels(open_dataset(made), 0, cameras=["side"], modalities=["depth"])
    assert list(some.cameras) == ["side"] and some.cameras["side"].segmentation is None


def test_intrinsics_and_pose_lead_from_the_world_to_the_pixel(made):
    """A pixel's ray, by the definition of the drawing, goes back to that pixel."""
    for name in ("front", "side"):
        camera = read_labels(open_dataset(made), 0, cameras=[name]).cameras[name]
        slope = np.tan(np.radians(FOV_Y_DEG) / 2.0) / (HEIGHT / 2.0)
        for row, column in ((0, 0), (5, 30), (HEIGHT - 1, WIDTH - 1)):
            ray = np.array([(column + 0.5 - WIDTH / 2.0) * slope, (HEIGHT / 2.0 - row - 0.5) * slope, -1.0])
            point = world_from_camera(name) @ np.array([*(2.5 * ray), 1.0])
            there = camera.camera_from_world()[0] @ point
            assert there[2] == pytest.approx(2.5)
            np.testing.assert_allclose(camera.intrinsics() @ there[:3] / there[2], (column, row, 1.0), atol=1e-9)


def test_parts_of_one_kind_are_one_instance_and_a_nameless_kind_is_its_thing():
    names = Names(things=NAMES["thing"], bodies=NAMES["body"], kinds=NAMES["kind"])
    assert [names.instance(number) for number in range(1, 5)] == [1, 2, 1, 4]
    assert [names.category(number) for number in range(1, 5)] == ["snowman", "nose", "snowman", "marble"]


def changed(**arrays):
    return label_columns(0, ("front", "side")) | arrays


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({**changed(), "kind": np.array(NAMES["kind"][:3])}, r"thing, body and kind must be as many, found \[5, 5, 3\]"),
        (changed(world_from_body=np.zeros((3, 4, 4, 4))), r"world_from_body must be \[3, 5, 4, 4\] float64"),
        (changed(**{"front.depth": np.zeros((2, HEIGHT, WIDTH), np.float32)}), r"front.depth must be \[3, 24, 32\] float32, .* 3 pictures"),
        (changed(**{"front.segmentation": np.zeros((3, 12, 16), np.uint16)}), r"found \[3, 12, 16\] uint16; do labels and dataset belong"),
        (changed(**{"front.segmentation": np.full((3, HEIGHT, WIDTH), 7, np.uint16)}), "has the id 7, but only ids below 5 are named"),
        (changed(**{"front.depth": np.full((3, HEIGHT, WIDTH), np.nan, np.float32)}), "front.depth has numbers that are not finite"),
        (changed(thing=np.array([None] * 5)), "thing must be at most 65536 names"),
        (
            {key: value for key, value in changed().items() if key != "front.fov_y_deg"},
            r"has no 'front.fov_y_deg'; it has body, front.depth",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(copy, columns, said):
    write_labels(copy, 0, columns)
    with pytest.raises(DataError, match=said) as refused:
        read_labels(open_dataset(copy), 0)
    assert str(label_path(copy, 0)) in str(refused.value)


def test_files_that_are_not_labels_are_refused(copy):
    dataset, path = open_dataset(copy), label_path(copy, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"is not a .npz of labels"):
        read_names(dataset, 0)
    place = whole.index(b"kind.npy") + 60
    path.write_bytes(whole[:place] + bytes(255 - byte for byte in whole[place : place + 20]) + whole[place + 20 :])
    with pytest.raises(DataError, match=r"kind is damaged|kind must be"):
        read_names(dataset, 0)
    path.unlink()
    with pytest.raises(DataError, match=r"does not exist, so episode 0 has no labels; only simulated datasets have them"):
        read_names(dataset, 0)
    (copy.parent / "elsewhere.npz").write_bytes(whole)
    path.symlink_to(copy.parent / "elsewhere.npz")
    with pytest.raises(DataError, match="leads outside"):
        read_names(dataset, 0)


def test_what_is_asked_for_must_be_there(made):
    dataset = open_dataset(made)
    with pytest.raises(ConfigError, match="has no camera 'back'; it has front, side"):
        read_labels(dataset, 0, cameras=["back"])
    with pytest.raises(ConfigError, match="depth, segmentation, normals, received 'colour'"):
        read_labels(dataset, 0, modalities=["colour"])
    with pytest.raises(DataError, match="has no episode 9"):
        read_labels(dataset, 9)


def test_convert_takes_labels_and_manifest_along(copy, tmp_path):
    (copy / MANIFEST_FILE).write_text('{"scene": "balls"}')
    found = convert(copy, tmp_path / "new")
    assert "labels of 2 episodes carried along" in str(found) and found.dropped == () and all(one.labels for one in found.episodes)
    for episode in range(2):
        assert label_path(tmp_path / "new", episode).read_bytes() == label_path(copy, episode).read_bytes()
    assert (tmp_path / "new" / MANIFEST_FILE).read_bytes() == (copy / MANIFEST_FILE).read_bytes()
    assert "| CAMERA.depth |" in (tmp_path / "new" / "README.md").read_text()


def test_merge_numbers_labels_as_the_episodes_are(made, copy, tmp_path):
    (copy / MANIFEST_FILE).write_text('{"scene": "balls"}')
    label_path(copy, 0).unlink()
    found = merge([made, copy], tmp_path / "both")
    assert "labels of 3 episodes carried along; episodes without: 2" in str(found)
    assert "simulation.json, in which episodes have other numbers" in str(found)
    for number, (source, index) in enumerate([(made, 0), (made, 1), (copy, 0), (copy, 1)]):
        there = label_path(tmp_path / "both", number)
        assert there.is_file() == (number != 2) and (number == 2 or there.read_bytes() == label_path(source, index).read_bytes())
    assert not (tmp_path / "both" / MANIFEST_FILE).exists()
    again = merge([made, copy], tmp_path / "both")
    assert again.already_there and again.dropped == found.dropped and again.episodes == found.episodes


def test_a_copy_made_before_there_were_labels_is_not_taken_for_this_one(copy, tmp_path):
    labels = shutil.move(copy / "labels", tmp_path / "labels")
    assert "labels" not in str(convert(copy, tmp_path / "new")) and "Labels" not in (tmp_path / "new" / "README.md").read_text()
    shutil.move(labels, copy / "labels")
    with pytest.raises(OSError, match="exists already"):
        convert(copy, tmp_path / "new")


def test_a_repair_moves_labels_with_the_episodes_that_are_left(copy, tmp_path):
    (copy / MANIFEST_FILE).write_text('{"scene": "balls"}')
    file = next(copy.glob("data/*/*.parquet"))
    rows = pq.read_table(file)
    actions = rows["action"].to_pylist()
    actions[0][0] = float("nan")
    pq.write_table(rows.set_column(rows.column_names.index("action"), "action", pa.array(actions, rows["action"].type)), file)
    found = repair(copy, tmp_path / "right")
    assert [(one.index, one.source_index, one.labels) for one in found.episodes] == [(0, 1, True)] and len(found.left_out) == 1
    assert label_path(tmp_path / "right", 0).read_bytes() == label_path(copy, 1).read_bytes()
    assert not label_path(tmp_path / "right", 1).exists() and not (tmp_path / "right" / MANIFEST_FILE).exists()
