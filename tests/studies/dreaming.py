"""Tiny runs of every kind, and things to begin a dream with."""

from pathlib import Path

import numpy as np
from PIL import Image

from armillary.data.video import encode_video
from tests.cli.small_data import SMALL, run, write_small_dataset
from tests.docs.test_commands import TINY

STRIDE = 2  # frames a step: two commands of two numbers each are one action of the world


def train_tiny(family: str, data: Path, out: Path, *words: object) -> Path:
    """A run of two steps."""
    assert run("train", family, "--data", data, "--out", out, "--steps", 2, *TINY.get(family, SMALL), *words) == 0
    return out


def write_material(folder: Path) -> Path:
    """`folder` with a dataset of the pusher, pictures, videos and actions for a world of STRIDE."""
    data = write_small_dataset(folder / "data", num_episodes=5, num_steps=30)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / "frame.png")
    Image.fromarray(rng.integers(0, 256, (48, 96, 3), np.uint8)).save(folder / "wide.jpg")
    encode_video(folder / "film.mp4", rng.integers(0, 256, (21, 32, 32, 3), np.uint8), 20.0)
    encode_video(folder / "slow.mp4", rng.integers(0, 256, (5, 32, 32, 3), np.uint8), 2.0)
    np.save(folder / "actions.npy", rng.uniform(-1, 1, (12, 2)).astype(np.float32))
    return data
