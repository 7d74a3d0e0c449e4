"""Several cameras of one dataset, from training to a dream: what is recorded of them, what may be shown, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from armillary.core import ConfigError, DataError, Episode, WorldSpec
from armillary.data.camera_motion import motions_along, rig_along
from armillary.data.dataset import open_dataset
from armillary.data.record import write_dataset
from armillary.data.shape import DataConfig
from armillary.data.video import decode_video
from armillary.serve.open_world import of_run
from armillary.serve.playable import WORLD
from armillary.serve.recorder import episode_of
from armillary.serve.session import Moment
from armillary.studies.dream import DreamJob, prepare, run_dream
from armillary.studies.dream_prompt import read_beginning
from armillary.studies.fit import train_family
from armillary.studies.plans import estimate_run, plan_training
from armillary.studies.runs import held_out, load_run
from armillary.studies.source import open_source
from armillary.worlds.video_diffusion.train import PRESETS
from tests.cli.small_data import run

FRONT, BACK, TALL = (f"observation.images.{name}" for name in ("front", "back", "tall"))
SIDE, LENGTH = 16, 12
MATRIX = np.array([[8.0, 0.0, 7.5], [0.0, 8.0, 7.5], [0.0, 0.0, 1.0]])  # 90 degrees wide
NARROW = MATRIX * np.array([[2.0], [2.0], [1.0]])


def poses(place: tuple[float, float, float], speed: float = 0.0) -> np.ndarray:
    found = np.tile(np.eye(4), (LENGTH, 1, 1))
    found[:, :3, 3] = place
    found[:, 0, 3] += speed * np.arange(LENGTH)
    return found


def episode(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    heights = {FRONT: SIDE, BACK: SIDE, TALL: 2 * SIDE}
    frames = {camera: rng.integers(0, 255, (LENGTH, height, SIDE, 3), dtype=np.uint8) for camera, height in heights.items()}
    labels = {
        "labels.front.world_from_camera": poses((0.0, 0.0, 0.0), speed=0.1),
        "labels.front.intrinsics": np.tile(MATRIX, (LENGTH, 1, 1)),
        "labels.back.world_from_camera": poses((0.0, 1.0, seed)),
        "labels.back.intrinsics": np.tile(NARROW, (LENGTH, 1, 1)),
    }
    return Episode(frames=frames, actions=rng.normal(size=(LENGTH, 2)).astype(np.float32), seconds_per_step=0.1, labels=labels)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("seen") / "set", [episode(seed) for seed in range(4)], robot_type="two-eyed")


def settings(**changes):
    config = PRESETS["small"]
    model = replace(config.model, width=24, depth=1, heads=2, patch=8, text="none", chunk_steps=4, sampling_steps=2, batch_size=2)
    train = replace(config.train, steps=2, workers=0, tensorboard=False, validation_batches=1)
    return replace(config, data=DataConfig(height=SIDE, width=SIDE, **({"cameras": (FRONT, BACK)} | changes)), model=model, train=train)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "both"
    words = ("--data.cameras", f"{FRONT},{BACK}", "--data.height", SIDE, "--data.width", SIDE, "--model.width", 24, "--model.depth", 1)
    words = (*words, "--model.heads", 2, "--model.patch", 8, "--model.chunk-steps", 4, "--model.sampling-steps", 2, "--model.text", "none")
    quick = ("--model.batch-size", 2, "--steps", 2, "--train.tensorboard", "no", "--train.workers", 0, "--train.validation-batches", 1)
    assert run("train", "video-diffusion", "--data", data, "--out", out, *words, *quick) == 0
    return out


def pictures(data: Path, camera: str, index: int) -> np.ndarray:
    dataset = open_dataset(data)
    clip = dataset.clip(index, camera)
    return decode_video(clip.path, span_s=clip.span_s, size=(SIDE, SIDE))


def test_a_run_sees_its_cameras_side_by_side(data, trained):
    loaded = load_run(trained)
    assert loaded.cameras == (FRONT, BACK) and loaded.camera_size == (SIDE, SIDE) and loaded.world.spec.sees == (SIDE, 2 * SIDE)
    assert loaded.world.cameras == (FRONT, BACK) and "view_to_view" in loaded.world.modes
    held = held_out(loaded, data)
    expected = np.concatenate([pictures(data, camera, 3) for camera in (FRONT, BACK)], axis=2)
    np.testing.assert_array_equal(held.episodes[0].frames[loaded.camera], expected)
    assert held.mean_frame.shape == (SIDE, 2 * SIDE, 3)
    cost, cache = estimate_run("video-diffusion", settings(), data)
    assert cost.seconds > 0 and cache.bytes == 4 * LENGTH * SIDE * 2 * SIDE * 3


def test_what_is_played_is_kept_camera_by_camera(trained):
    playable = of_run(load_run(trained))
    place = playable.begin(0).place
    seen = playable.show(place)[WORLD]
    assert seen.shape == (1, SIDE, 2 * SIDE, 3)
    moments = [Moment(number=0, step=0, seed=0, place=place, frames={WORLD: seen[0]}, value=(0.0, 0.0)) for _ in range(3)]
    kept = episode_of(moments, playable)
    assert set(kept.frames) == {FRONT, BACK} and np.array_equal(kept.frames[BACK][0], seen[0, :, SIDE:])


def test_one_camera_in_a_list_is_that_camera(data):
    named, listed = (open_source(data, settings(**one).data) for one in ({"cameras": (), "camera": BACK}, {"cameras": (BACK,)}))
    assert named.camera == listed.camera == BACK and listed.cached_now == 0
    for one, other in zip(named.episodes, listed.episodes, strict=True):
        assert np.array_equal(one.frames[BACK], other.frames[BACK])


def test_a_dream_begins_with_what_some_cameras_saw(data, trained, tmp_path):
    shown = {name: read_beginning(f"{data}:3@0.5", load_run(trained), cameras) for name, cameras in (("all", ()), ("back", (BACK,)))}
    front, back = (pictures(data, camera, 3) for camera in (FRONT, BACK))
    assert shown["all"].cameras == () and shown["back"].cameras == (BACK,)
    np.testing.assert_array_equal(shown["all"].frames, np.concatenate([front, back], axis=2)[4:6])
    np.testing.assert_array_equal(shown["back"].frames, back[4:6])
    np.testing.assert_array_equal(shown["back"].next_frames, np.concatenate([front, back], axis=2)[6:])
    told = run_dream(prepare(DreamJob(run=trained, prompt=f"{data}:3@0.5", cameras=(BACK,), seconds=0.2, out=tmp_path / "dream")))
    assert told["cameras"] == {"all": [FRONT, BACK], "shown_by_prompt": [BACK]}
    assert decode_video(tmp_path / "dream" / "seed-0.mp4").shape == (2, SIDE, 2 * SIDE, 3)


def test_files_of_cameras(data, trained, tmp_path):
    loaded = load_run(trained)
    colours = {"red.png": (255, 0, 0), "blue.png": (0, 0, 255)}
    for name, colour in colours.items():
        Image.new("RGB", (40, 40), colour).save(tmp_path / name)
    red, blue = (tmp_path / name for name in colours)
    alone = read_beginning(str(blue), loaded)
    assert alone.cameras == (FRONT,) and any(f"is taken for {FRONT}; --cameras says otherwise" in note for note in alone.notes)
    assert read_beginning(str(blue), loaded, (BACK,)).cameras == (BACK,)
    both = read_beginning(f"{red},{blue}", loaded)
    assert both.cameras == () and both.frames.shape == (1, SIDE, 2 * SIDE, 3)
    assert both.frames[0, 0, 0].tolist() == [255, 0, 0] and both.frames[0, 0, -1].tolist() == [0, 0, 255]
    turned = read_beginning(f"{red},{blue}", loaded, (BACK, FRONT))
    assert turned.cameras == (BACK, FRONT) and np.array_equal(turned.frames, both.frames)
    with pytest.raises(ConfigError, match=r"names 2 files for 1 camera \(observation.images.back\); give a file for each"):
        read_beginning(f"{red},{blue}", loaded, (BACK,))
    with pytest.raises(ConfigError, match=r"--cameras must name cameras that .* was trained on .*received observation.images.tall"):
        read_beginning(str(red), loaded, (TALL,))


def test_actions_tell_how_all_cameras_move(data, tmp_path):
    """The first one's motion, then where the other one is beside it; each with its own field of view."""
    config = settings(camera_motion=True, stride=2)
    config = replace(config, model=replace(config.model, camera_condition=True))
    train_family("video-diffusion", data=data, out=tmp_path / "run", config=config, replay=["armillary"])
    loaded = load_run(tmp_path / "run")
    assert loaded.world.denoiser.fields_of_view_deg == (pytest.approx(90.0), pytest.approx(53.13, abs=0.01))
    found = read_beginning(f"{data}:3@0.4", loaded).next_actions[0].reshape(2, 12)
    front, back = poses((0.0, 0.0, 0.0), speed=0.1), poses((0.0, 1.0, 3.0))
    np.testing.assert_allclose(found[:, :6], motions_along(front)[4:6], atol=1e-6)
    np.testing.assert_allclose(found[:, 6:], rig_along(front, back)[4:6], atol=1e-6)
    np.testing.assert_allclose(found[0, 9:], (-0.5, -1.0, -3.0), atol=1e-6)  # x right, y down, z ahead, when the first has moved on
    with pytest.raises(DataError, match="nothing says where the camera 'tall' was"):
        open_source(data, settings(cameras=(TALL,), camera_motion=True).data)


def test_cameras_that_do_not_fit_are_refused(data, tmp_path):
    for changes, error, message in (
        ({"cameras": (FRONT, "top")}, ConfigError, f"there is no camera 'top' in .*; it has .*{FRONT}"),
        ({"cameras": (FRONT, FRONT)}, ConfigError, "must name each camera once"),
        ({"camera": TALL}, ConfigError, "set one of the two"),
        (
            {"cameras": (FRONT, TALL)},
            DataError,
            r"tall of 32 x 16 and observation.images.front of 16 x 16 \(height x width\) cannot be shrunk",
        ),
    ):
        with pytest.raises(error, match=message):
            open_source(data, settings(**changes).data)
        with pytest.raises(error, match=message):
            plan_training(data, tmp_path / "run", settings(**changes))


class Wide(torch.nn.Module):
    """A world that knows of no cameras: it sees one wide picture."""

    def __init__(self, spec: WorldSpec):
        super().__init__()
        self.spec = spec


def test_a_world_that_knows_no_cameras_needs_all_of_them(data, trained):
    loaded = load_run(trained)
    loaded = replace(loaded, family="other", world=Wide(loaded.world.spec))
    assert read_beginning(f"{data}:3@0.5", loaded).frames.shape == (2, SIDE, 2 * SIDE, 3)
    with pytest.raises(
        ConfigError, match=r"\(other\) begins with what all its cameras see .*; only video-diffusion draws what the others do"
    ):
        read_beginning(f"{data}:3@0.5", loaded, (BACK,))
