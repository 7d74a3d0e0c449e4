"""COCO, BOP and WebDataset files of a dataset whose truth is closed form, read back as their readers do."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from armillary.core import ConfigError, DataError
from armillary.data.dataset import open_dataset
from armillary.data.export.bop import write_bop
from armillary.data.export.coco import write_coco
from armillary.data.export.masks import box, compressed, run_lengths
from armillary.data.export.models import Model, diameter
from armillary.data.export.takes import select
from armillary.data.export.webdataset import write_webdataset
from tests.data.labelled import FRAMES, HEIGHT, RADII_M, WIDTH, centres_m, label_columns, world_from_camera, write_labelled, write_labels

CAMERAS = ("front", "side")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labelled") / "balls")


def decoded(counts: str, height: int, width: int) -> np.ndarray:
    """COCO's text as a mask, by the description of its format."""
    lengths, place = [], 0
    while place < len(counts):
        value, shift, more = 0, 0, True
        while more:
            letter = ord(counts[place]) - 48
            value |= (letter & 31) << shift
            more, shift, place = bool(letter & 32), shift + 5, place + 1
        if letter & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(width, height).T


def test_masks_are_packed_as_cocos_own_library_does():
    """The text is what pycocotools 2.0.11 makes of this ring; 3000 random masks were compared with it once."""
    y, x = np.mgrid[:40, :50]
    square = (y - 18) ** 2 + (x - 22) ** 2
    ring = (square < 200) & (square > 40)
    packed = "a:3Q18J4M2N2N2N2N2OAF090I06OL04ON02O00O110N020N020OO1001N021L041J070G0:?1N2N2N2N2N3L6Hk?"
    assert compressed(run_lengths(ring)) == packed
    np.testing.assert_array_equal(decoded(packed, 40, 50), ring)
    assert box(ring) == [8, 4, 29, 29]
    for full in (True, False):
        mask = np.full((3, 5), full)
        np.testing.assert_array_equal(decoded(compressed(run_lengths(mask)), 3, 5), mask)


def test_random_masks_come_back():
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = rng.integers(1, 90, 2)
        mask = rng.random((height, width)) < rng.random()
        np.testing.assert_array_equal(decoded(compressed(run_lengths(mask)), height, width), mask)


def check_coco(folder) -> dict:
    """What every reader of COCO relies on."""
    found = json.loads((folder / "annotations" / "instances.json").read_text())
    images, categories = ({one["id"]: one for one in found[key]} for key in ("images", "categories"))
    assert len(images) == len(found["images"]) and len(categories) == len(found["categories"]) and 0 not in images
    numbers = [one["id"] for one in found["annotations"]]
    assert len(set(numbers)) == len(numbers) and min(numbers) == 1
    assert sorted(path.name for path in (folder / "images").iterdir()) == sorted(one["file_name"] for one in images.values())
    for image in images.values():
        with Image.open(folder / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    for one in found["annotations"]:
        image = images[one["image_id"]]
        assert one["category_id"] in categories and one["iscrowd"] == 0
        assert one["segmentation"]["size"] == [image["height"], image["width"]]
        mask = decoded(one["segmentation"]["counts"], image["height"], image["width"])
        rows, columns = np.nonzero(mask)
        assert one["area"] == len(rows) > 0
        assert one["bbox"] == [columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]
    return found


def test_coco_has_every_instance_once_with_its_exact_mask(made, tmp_path):
    write_coco(select(open_dataset(made)), tmp_path)
    found = check_coco(tmp_path)
    assert len(found["images"]) == 2 * 2 * FRAMES
    assert [one["name"] for one in found["categories"]] == ["marble", "nose", "snowman"]
    names = {one["id"]: one["name"] for one in found["categories"]}
    for image in found["images"]:
        truth = label_columns(image["episode"], CAMERAS)[f"{image['camera']}.segmentation"][image["frame"]]
        shown = {one["instance_id"]: one for one in found["annotations"] if one["image_id"] == image["id"]}
        for instance, ids, kind in ((1, (1, 3), "snowman"), (2, (2,), "nose"), (4, (4,), "marble")):
            mask = np.isin(truth, ids)
            assert (instance in shown) == mask.any(), (image, instance)
            if mask.any():
                np.testing.assert_array_equal(decoded(shown[instance]["segmentation"]["counts"], HEIGHT, WIDTH), mask)
                assert names[shown[instance]["category_id"]] == kind
                assert shown[instance]["thing"] == ("marble" if kind == "marble" else "snowman")
    assert sum(one["instance_id"] == 4 for one in found["annotations"]) == 2 * 2 * (FRAMES - 1), "it leaves the picture"


def test_coco_of_a_part_has_the_categories_of_the_whole(made, tmp_path):
    write_coco(select(open_dataset(made), episodes=[1], camera="side"), tmp_path)
    found = check_coco(tmp_path)
    assert {(one["episode"], one["camera"]) for one in found["images"]} == {(1, "side")} and len(found["categories"]) == 3
    picture = np.asarray(Image.open(tmp_path / "images" / "000001-side-000000.png"))
    np.testing.assert_array_equal(picture, open_dataset(made).load(1).frames["observation.images.side"][0])


def grey(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(np.int64)


def test_bop_poses_depth_and_masks_tell_of_the_same_balls(made, tmp_path):
    """Depth, taken back through cam_K, lies on each ball of the pose's centre; the centre projects into the ball's mask."""
    write_bop(select(open_dataset(made)), tmp_path)
    scenes = json.loads((tmp_path / "scenes.json").read_text())
    assert [(one["episode"], one["camera"]) for one in scenes.values()] == [(e, c) for e in range(2) for c in CAMERAS]
    assert not (tmp_path / "models").exists()
    by_object = {}
    for number, scene in scenes.items():
        folder = tmp_path / "train" / f"{int(number):06d}"
        cameras, truths, seen = (json.loads((folder / f"scene_{name}.json").read_text()) for name in ("camera", "gt", "gt_info"))
        assert list(cameras) == list(truths) == list(seen) == [str(frame) for frame in range(FRAMES)]
        for frame in map(int, cameras):
            camera, matrix = cameras[str(frame)], np.array(cameras[str(frame)]["cam_K"]).reshape(3, 3)
            depth_mm = grey(folder / "depth" / f"{frame:06d}.png") * camera["depth_scale"]
            truth = label_columns(scene["episode"], CAMERAS)
            assert np.abs(depth_mm - 1000.0 * truth[f"{scene['camera']}.depth"][frame]).max() <= 0.5001 * camera["depth_scale"]
            ids = truth[f"{scene['camera']}.segmentation"][frame]
            assert len(truths[str(frame)]) == len(seen[str(frame)]) == len(np.unique(ids[ids > 0]))
            for place, (pose, info, body) in enumerate(zip(truths[str(frame)], seen[str(frame)], np.unique(ids[ids > 0]), strict=True)):
                mask = grey(folder / "mask_visib" / f"{frame:06d}_{place:06d}.png")
                np.testing.assert_array_equal(mask, (ids == body) * 255)
                assert info == {"bbox_visib": box(ids == body), "px_count_visib": int((ids == body).sum())}
                centre = np.array(pose["cam_t_m2c"])
                rows, columns = np.nonzero(mask)
                points = np.linalg.inv(matrix) @ np.stack([columns, rows, np.ones_like(rows)]) * depth_mm[rows, columns]
                off = np.linalg.norm(points.T - centre, axis=1) - 1000.0 * RADII_M[body]
                assert np.abs(off).max() < 2 * camera["depth_scale"]
                column, row = np.rint((matrix @ centre / centre[2])[:2]).astype(int)
                if body != 1:  # the nose hides the middle of what is behind it
                    assert ids[row, column] in (body, 2)
                in_world = np.array(camera["cam_R_w2c"]).reshape(3, 3) @ (1000.0 * centres_m(scene["episode"])[frame, body])
                np.testing.assert_allclose(in_world + camera["cam_t_w2c"], centre, atol=1e-6)
                turn = np.array(pose["cam_R_m2c"]).reshape(3, 3)
                np.testing.assert_allclose(turn, np.diag([1.0, -1.0, -1.0]) @ world_from_camera(scene["camera"])[:3, :3].T, atol=1e-12)
                by_object.setdefault(pose["obj_id"], set()).add(int(body))
    assert sorted(by_object.values(), key=min) == [{1}, {2}, {3}, {4}] and sorted(by_object) == [1, 2, 3, 4]


def test_bop_depth_gets_coarser_where_things_are_far(made, tmp_path):
    far = label_columns(0, ("front",))
    far["front.depth"] = np.where(far["front.depth"] > 0, far["front.depth"] + np.float32(20.0), 0).astype(np.float32)
    dataset = write_labelled(tmp_path / "far", episodes=1, cameras=("front",))
    write_labels(dataset, 0, far)
    (tmp_path / "bop").mkdir()
    write_bop(select(open_dataset(dataset)), tmp_path / "bop")
    folder = tmp_path / "bop" / "train" / "000000"
    assert {one["depth_scale"] for one in json.loads((folder / "scene_camera.json").read_text()).values()} == {1.0}
    np.testing.assert_allclose(grey(folder / "depth" / "000001.png") / 1000.0, far["front.depth"][1], atol=0.5001e-3)


def test_bop_objects_are_those_of_one_kind_and_shape(made, tmp_path):
    """The head and the belly are told to look alike, the others each in its own way."""
    corner = np.array([[0.0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, -0.3]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], dtype=np.int64)
    alike = Model(vertices=corner, faces=faces)
    models = (None, alike, Model(vertices=corner * 2, faces=faces), Model(vertices=corner, faces=faces), None)
    write_bop(select(open_dataset(made)), tmp_path, models_of=lambda _: models)
    info = json.loads((tmp_path / "models" / "models_info.json").read_text())
    assert {number: (one["name"], one["kind"]) for number, one in info.items()} == {
        "1": ("snowman/belly", "snowman"),
        "2": ("snowman/nose", "nose"),
    }
    assert info["1"]["diameter"] == pytest.approx(np.hypot(200.0, 300.0)) and info["2"]["size_y"] == pytest.approx(400.0)
    assert [info["1"][f"min_{axis}"] for axis in "xyz"] == pytest.approx([0.0, 0.0, -300.0])
    trimesh = pytest.importorskip("trimesh", reason="reads the PLY back")
    read = trimesh.load_mesh(tmp_path / "models" / "obj_000001.ply", process=False)
    np.testing.assert_allclose(read.vertices, corner * 1000.0, rtol=1e-6)
    np.testing.assert_array_equal(read.faces, faces)
    truth = json.loads((tmp_path / "train" / "000000" / "scene_gt.json").read_text())["0"]
    assert [one["obj_id"] for one in truth] == [1, 2, 1, 3]


def test_the_diameter_is_that_of_all_pairs():
    rng = np.random.default_rng(1)
    for count in (1, 2, 3, 50, 1500):
        points = rng.standard_normal((count, 3)) * rng.uniform(0.1, 3.0, 3)
        pairs = np.linalg.norm(points[:, None] - points[None], axis=-1)
        assert diameter(points) == pytest.approx(pairs.max(), abs=1e-12)


def read_shards(folder) -> dict[str, dict[str, bytes]]:
    """Samples as WebDataset makes them: neighbours in a tar whose names are the same up to the first dot."""
    samples, last = {}, None
    for shard in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                assert member.isfile() and (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
                assert key == last or key not in samples, "a sample lies in one piece"
                samples.setdefault(key, {})[ending], last = tar.extractfile(member).read(), key
    return samples


def test_webdataset_samples_hold_the_picture_the_labels_and_the_action(made, tmp_path):
    write_webdataset(select(open_dataset(made)), tmp_path)
    samples = read_shards(tmp_path)
    assert list(samples) == [f"{e:06d}-{camera}-{frame:06d}" for e in range(2) for camera in CAMERAS for frame in range(FRAMES)]
    for key, sample in samples.items():
        facts = json.loads(sample["json"])
        episode, camera, frame = int(key[:6]), key[7:-7], int(key[-6:])
        assert (facts["episode"], facts["camera"], facts["frame"], facts["num_frames"]) == (episode, camera, frame, FRAMES)
        truth = label_columns(episode, CAMERAS)
        np.testing.assert_array_equal(np.load(io.BytesIO(sample["depth.npy"])), truth[f"{camera}.depth"][frame])
        ids = np.asarray(Image.open(io.BytesIO(sample["seg.png"])))
        np.testing.assert_array_equal(ids, truth[f"{camera}.segmentation"][frame])
        assert facts["bodies"].keys() == {str(number) for number in np.unique(ids[ids > 0])}
        assert facts["bodies"]["2"]["body"] == "nose" and facts["bodies"]["2"]["kind"] == "nose"
        np.testing.assert_array_equal(facts["bodies"]["2"]["world_from_body"], truth["world_from_body"][frame, 2])
        assert facts["action"] == [2.0 * frame + episode, 2.0 * frame + 1 + episode] == [-part for part in facts["state"]]
        assert (facts["task"], facts["seconds_per_step"]) == ("look", pytest.approx(0.1))
        picture = np.asarray(Image.open(io.BytesIO(sample["jpg"]))).astype(int)
        assert picture.shape == (HEIGHT, WIDTH, 3) and np.abs(picture - ids[..., None] * 50).mean() < 12


def test_shards_are_the_same_bytes_again_and_never_cut_a_clip(made, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_webdataset(select(open_dataset(made)), tmp_path / name, frames_per_shard=2 * FRAMES + 1)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab")
    assert first == second and list(sorted(first)) == ["shard-000000.tar", "shard-000001.tar"]
    with tarfile.open(tmp_path / "a" / "shard-000001.tar") as tar:
        assert tar.getnames()[0] == "000001-front-000000.jpg"
    assert len(read_shards(tmp_path / "a")) == 2 * 2 * FRAMES


def test_many_ids_are_kept_in_16_bits(tmp_path):
    many = label_columns(0, ("front",))
    extra = 300 - len(RADII_M)
    for key in ("thing", "body", "kind"):
        many[key] = np.concatenate([many[key], [f"{key} {number}" for number in range(extra)]])
    many["world_from_body"] = np.tile(np.eye(4), (FRAMES, 300, 1, 1))
    many["front.segmentation"] = np.where(many["front.segmentation"] == 2, 299, many["front.segmentation"]).astype(np.uint16)
    dataset = write_labelled(tmp_path / "many", episodes=1, cameras=("front",))
    write_labels(dataset, 0, many)
    (tmp_path / "out").mkdir()
    write_webdataset(select(open_dataset(dataset)), tmp_path / "out")
    sample = read_shards(tmp_path / "out")["000000-front-000000"]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sample["seg.png"]))), many["front.segmentation"][0])


def test_a_recording_without_depth_or_ids_can_only_be_samples(tmp_path):
    bare = {key: value for key, value in label_columns(0, ("front",)).items() if key not in ("front.depth", "front.segmentation")}
    dataset = write_labelled(tmp_path / "bare", episodes=1, cameras=("front",))
    write_labels(dataset, 0, bare)
    for write, lacks in ((write_coco, "segmentation"), (write_bop, "depth")):
        (tmp_path / lacks).mkdir()
        with pytest.raises(DataError, match=f"episode 0 was recorded without {lacks} of camera 'front'.*--modalities"):
            write(select(open_dataset(dataset)), tmp_path / lacks)
    (tmp_path / "out").mkdir()
    write_webdataset(select(open_dataset(dataset)), tmp_path / "out")
    sample = read_shards(tmp_path / "out")["000000-front-000002"]
    assert sorted(sample) == ["jpg", "json"] and "bodies" not in json.loads(sample["json"])


def test_what_is_selected_must_be_there(made):
    dataset = open_dataset(made)
    assert select(dataset, camera="observation.images.side").cameras == ("side",)
    for asked, error, said in (
        ({"camera": "back"}, ConfigError, "has no camera 'back'; it has front, side"),
        ({"episodes": [0, 5]}, DataError, "has no episode 5"),
        ({"episodes": [1, 1]}, ConfigError, r"name every episode once and at least one, received \[1, 1\]"),
        ({"episodes": []}, ConfigError, "at least one"),
    ):
        with pytest.raises(error, match=said):
            select(dataset, **asked)
