"""Real recordings of several cameras (BridgeData) from their file to a world that has learned two of them for two steps."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from armillary.core import Prompt, seeded, to_model
from armillary.data.record import write_dataset
from armillary.data.shape import DataConfig
from armillary.studies.fit import train_family
from armillary.studies.runs import held_out, load_run
from armillary.worlds.video_diffusion.train import PRESETS
from recipes.bridge import BLACK, FOLDER, SEEN_BY, bridge_episodes

CAMERAS, SIDE = SEEN_BY[:2], 32


def test_two_cameras_of_a_real_robot_are_learned_together(real_data: Path, tmp_path):
    (file,) = (real_data / FOLDER).glob("*.tfrecord-*")
    episodes = [episode for episode, _ in zip(bridge_episodes(file, CAMERAS), range(4), strict=False)]
    for episode in episodes:
        front, side = (episode.frames[camera] for camera in CAMERAS)
        assert front.max() > BLACK and side.max() > BLACK and not np.array_equal(front, side)
    data = write_dataset(tmp_path / "bridge", episodes, robot_type="widowx")
    config = PRESETS["small"]
    model = replace(config.model, width=24, depth=1, heads=2, patch=8, text="none", chunk_steps=4, sampling_steps=2, batch_size=2)
    train = replace(config.train, steps=2, workers=0, tensorboard=False, validation_batches=1)
    config = replace(config, data=DataConfig(height=SIDE, width=SIDE, cameras=CAMERAS), model=model, train=train)
    train_family("video-diffusion", data=data, out=tmp_path / "run", config=config, replay=["armillary"])
    loaded = load_run(tmp_path / "run")
    held = held_out(loaded, data).episodes[0]
    frames = to_model(np.asarray(held.frames[loaded.camera]))[None]
    assert frames.shape[2:] == (3, SIDE, 2 * SIDE) and loaded.world.cameras == CAMERAS
    found = loaded.world.see_from_all(Prompt(frames=frames[..., :SIDE], cameras=CAMERAS[:1]), seeded(0))
    assert bool((found[..., :SIDE] == frames[..., :SIDE]).all()) and found.shape == frames.shape and bool(found.isfinite().all())
