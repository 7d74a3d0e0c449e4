"""A simulated dataset exported: models and scenes built again from its manifest fit its labels, and nothing is ever half written."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from armillary.core import ConfigError, DataError, StorageError
from armillary.data.dataset import open_dataset
from armillary.data.labels import MANIFEST_FILE, label_path, read_labels
from armillary.data.merge import merge

pytest.importorskip("mujoco", reason="twins need the extra of that name")
from pxr import Usd, UsdGeom, UsdValidation

from armillary.studies.export import FORMATS, export
from armillary.studies.simulate import simulate
from armillary.worlds.twin.manifest import Manifest, read_manifest, write_manifest

MANIFEST = Manifest(scene="tabletop", seed=2, episodes=2, steps=4, size=96, cameras=("front", "wrist"), quality="draft")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return simulate(MANIFEST, tmp_path_factory.mktemp("made") / "data")


@pytest.fixture(scope="module")
def bop(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("bop") / "out"
    found = export(made, "bop", out)
    assert (found.frames, found.cameras, found.episodes) == (16, ("front", "wrist"), (0, 1)) and "visib_fract" in found.notes[0]
    return out


def vertices_of(ply) -> np.ndarray:
    """By the header that BOP's own reader looks for."""
    data = ply.read_bytes()
    head, _, body = data.partition(b"end_header\n")
    count = int(head.split(b"element vertex ")[1].split()[0])
    return np.frombuffer(body[: count * 12], dtype="<f4").reshape(count, 3)


def test_models_drawn_at_their_poses_cover_their_masks(made, bop):
    """Every pixel of a mask lies within what the model's corners project to, and a body that nothing hides fills that box."""
    whole = 0
    for scene in sorted((bop / "train").iterdir()):
        cameras, truths, seen = (json.loads((scene / f"scene_{name}.json").read_text()) for name in ("camera", "gt", "gt_info"))
        for frame, poses in truths.items():
            matrix = np.array(cameras[frame]["cam_K"]).reshape(3, 3)
            for place, (pose, info) in enumerate(zip(poses, seen[frame], strict=True)):
                corners = vertices_of(bop / "models" / f"obj_{pose['obj_id']:06d}.ply")
                points = corners @ np.array(pose["cam_R_m2c"]).reshape(3, 3).T + pose["cam_t_m2c"]
                if points[:, 2].min() < 20.0:  # reaches behind the camera
                    continue
                flat = (points @ matrix.T)[:, :2] / points[:, 2:]
                low, high = flat.min(axis=0), flat.max(axis=0)
                left, top, width, height = info["bbox_visib"]
                assert left > low[0] - 1.0 and top > low[1] - 1.0 and left + width - 1 < high[0] + 1.0 and top + height - 1 < high[1] + 1.0
                mask = np.asarray(Image.open(scene / "mask_visib" / f"{int(frame):06d}_{place:06d}.png"))
                assert (mask > 0).sum() == info["px_count_visib"]
                whole += bool(np.abs(np.array([left, top, left + width - 1, top + height - 1]) - [*low, *high]).max() < 1.5)
    assert whole >= 16, "some bodies are seen whole, and those are as large as their models"


def test_an_object_has_one_number_in_every_episode_and_another_where_its_shape_differs(bop):
    info = json.loads((bop / "models" / "models_info.json").read_text())
    names = [one["name"] for one in info.values()]
    assert names.count("arm/hand") == 1 and names.count("table/table") == 1
    assert sorted(path.name for path in (bop / "models").glob("*.ply")) == [f"obj_{int(number):06d}.ply" for number in info]
    assert all(one["diameter"] >= max(one[f"size_{axis}"] for axis in "xyz") - 1e-6 for one in info.values())


def test_a_replay_has_every_body_and_camera_where_the_labels_say(made, tmp_path):
    found = export(made, "usd", tmp_path / "usd", episodes=[1])
    assert (found.frames, found.cameras) == (4, ())
    assert [path.name for path in (tmp_path / "usd").iterdir()] == ["episode-000001.usda"]
    stage = Usd.Stage.Open(str(tmp_path / "usd" / "episode-000001.usda"))
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    assert [error.GetErrorAsString() for error in context.Validate(stage)] == []
    assert stage.GetTimeCodesPerSecond() == 10 and stage.GetEndTimeCode() == 3
    labels = read_labels(open_dataset(made), 1)
    compared = 0
    for frame in range(4):
        cache = UsdGeom.XformCache(frame)
        there = {"/".join(prim.GetPath().pathString.split("/")[2:]): prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Xformable)}
        for number, (thing, body) in enumerate(zip(labels.names.things, labels.names.bodies, strict=True)):
            if number:
                prim = there[f"{thing}/{body}".replace(" ", "_")]
                matrix = np.array(cache.GetLocalToWorldTransform(prim)).T
                np.testing.assert_allclose(matrix, labels.world_from_body[frame, number], atol=1e-6)
                compared += 1
        for name, camera in labels.cameras.items():
            matrix = np.array(cache.GetLocalToWorldTransform(there[f"camera_{name}"])).T
            np.testing.assert_allclose(matrix, camera.world_from_camera[frame], atol=1e-6)
            seen = UsdGeom.Camera(there[f"camera_{name}"]).GetCamera(frame)
            assert seen.GetFieldOfView(seen.FOVVertical) == pytest.approx(camera.fov_y_deg, rel=1e-5)
    assert compared == 4 * (len(labels.names.things) - 1) > 40


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_export_is_the_same_bytes(made, tmp_path, to):
    for name in "ab":
        export(made, to, tmp_path / name, episodes=[0])
    first, second = (
        {path.relative_to(tmp_path / name).as_posix(): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in "ab"
    )
    assert first == second and first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_left_of_an_export_that_fails(made, tmp_path, to):
    data = shutil.copytree(made, tmp_path / "data")
    label_path(data, 1).write_bytes(label_path(data, 1).read_bytes().replace(b"world_from_body", b"world_from_nobo"))
    with pytest.raises(DataError, match=r"episode-000001.npz"):
        export(data, to, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("to", FORMATS)
def test_a_folder_that_is_there_stays(made, tmp_path, to):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        export(made, to, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_merged_dataset_has_poses_but_neither_models_nor_replays(made, tmp_path):
    merge([made, made], tmp_path / "both")
    found = export(tmp_path / "both", "bop", tmp_path / "bop", episodes=[3], camera="front")
    assert any("no models" in note and MANIFEST_FILE in note for note in found.notes) and not (tmp_path / "bop" / "models").exists()
    with pytest.raises(DataError, match=r"both has no simulation.json, .* export those that it was made of"):
        export(tmp_path / "both", "usd", tmp_path / "usd")
    assert export(tmp_path / "both", "coco", tmp_path / "coco").frames == 32


def test_a_manifest_of_another_scene_is_found_out(made, tmp_path):
    data = shutil.copytree(made, tmp_path / "data")
    write_manifest(replace(read_manifest(data / MANIFEST_FILE), seed=77), data / MANIFEST_FILE)
    for to in ("bop", "usd"):
        with pytest.raises(DataError, match="makes another scene than the labels of episode 0 are of"):
            export(data, to, tmp_path / to)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_cannot_be_asked_for(made, tmp_path):
    for asked, said in (
        ({"to": "voc"}, "--to must be one of coco, bop, webdataset, usd, received 'voc'"),
        ({"to": "usd", "camera": "front"}, "has every camera of the scene; leave out --camera front"),
    ):
        with pytest.raises(ConfigError, match=said):
            export(made, out=tmp_path / "out", **asked)
    label_path(data := shutil.copytree(made, tmp_path / "data"), 0).unlink()
    with pytest.raises(DataError, match="episode 0 has no labels; only simulated datasets have them"):
        export(data, "coco", tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
