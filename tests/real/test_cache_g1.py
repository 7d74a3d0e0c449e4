"""The whole real dataset through the cache, the split and the loader."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from armillary.data.cache import open_cache
from armillary.data.dataset import open_dataset
from armillary.data.resize import area_resize
from armillary.data.shape import DataConfig
from armillary.data.splits import measure, split_episodes
from armillary.data.video import decode_video
from armillary.data.windows import WindowLoader, WindowSampler

CAMERA = "observation.images.cam_high"


@pytest.fixture(scope="module")
def cache(real_data: Path, tmp_path_factory):
    dataset = open_dataset(real_data / "g1_inspire_lerobot21_160x120", remember=False)
    return open_cache(dataset, camera=CAMERA, size=(64, 64), root=tmp_path_factory.mktemp("cache"))


def test_every_recording_is_there_with_its_actions(cache):
    assert len(cache.episodes) == 53 and not cache.quarantined
    assert sum(len(episode) for episode in cache.episodes) == 18_865
    for episode in cache.episodes:
        assert episode.frames[CAMERA].shape == (len(episode), 64, 64, 3) and episode.actions.shape[1] == 26


def test_pictures_are_the_area_means_of_the_recorded_ones(cache, real_data: Path):
    file = real_data / "g1_inspire_lerobot21_160x120" / "videos" / "chunk-000" / CAMERA / "episode_000052.mp4"
    full = decode_video(file)
    np.testing.assert_array_equal(cache.episodes[52].frames[CAMERA], area_resize(full, (64, 64)))


def test_windows_of_the_training_part_hold_what_the_cache_holds(cache):
    config = DataConfig()
    split = split_episodes(cache.episodes, config)
    assert (len(split.train), len(split.validation), len(split.test)) == (39, 4, 10)
    training = [episode.every(3) for episode in split.choose("train", cache.episodes)]
    shape = measure(training, config)
    assert shape.action_size == 78 and shape.seconds_per_step == pytest.approx(0.1)
    sampler = WindowSampler([len(episode) for episode in training], num_frames=8, batch_size=4, seed=0)
    with WindowLoader(training, CAMERA, sampler, workers=2) as loader:
        for step, batch in enumerate(islice(loader, 5)):
            for row, (position, start) in enumerate(sampler.batch(step).tolist()):
                pictures = training[position].frames[CAMERA][start : start + 8]
                np.testing.assert_array_equal((batch.frames[row].permute(0, 2, 3, 1) * 255).round().byte().numpy(), pictures)
