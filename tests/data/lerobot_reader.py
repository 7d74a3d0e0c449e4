"""LeRobot 0.4.4 as an oracle. Its pictures are decoded by PyAV here, since TorchVision does not go with a CPU torch.

Only what is not installed, or is never called, is replaced: TorchVision's, accelerate's and requests' names, and the decoder behind
`decode_video_frames`, whose choice of frames and whose tolerance are LeRobot's own, line for line.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from functools import lru_cache
from pathlib import Path
from unittest import mock

import av
import numpy as np
import torch


def available() -> bool:
    return importlib.util.find_spec("lerobot") is not None and importlib.util.find_spec("datasets") is not None


def load(cache: Path) -> types.ModuleType:
    """`lerobot.datasets.lerobot_dataset`, offline, with its caches under `cache`."""
    os.environ |= {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    transforms = _stand_in("torchvision.transforms", ToTensor=object)
    missing = {"torchvision.transforms": transforms, "torchvision": _stand_in("torchvision", transforms=transforms, __path__=[])}
    if importlib.util.find_spec("accelerate") is None:
        missing["accelerate"] = _stand_in("accelerate", Accelerator=object)
    if importlib.util.find_spec("requests") is None:
        missing["requests"] = _stand_in("requests", HTTPError=OSError)
    with mock.patch.dict(sys.modules):  # to others they are missing still: who finds them would use them
        sys.modules.update(missing)
        module = importlib.import_module("lerobot.datasets.lerobot_dataset")
        loaded = dict(sys.modules)
    sys.modules.update({name: one for name, one in loaded.items() if name not in missing})
    module.decode_video_frames = _decode_video_frames
    return module


def _stand_in(name: str, **names: object) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update(names)
    return module


@lru_cache(maxsize=8)
def _decoded(path: str, changed_ns: int) -> tuple[np.ndarray, np.ndarray]:
    with av.open(path) as container:
        container.streams.video[0].thread_type = "NONE"
        shown = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return np.array([time for time, _ in shown]), np.stack([pixels for _, pixels in shown])


def _decode_video_frames(video_path, timestamps, tolerance_s, backend=None):
    times, pixels = _decoded(str(video_path), Path(video_path).stat().st_mtime_ns)
    query, loaded = torch.tensor(timestamps), torch.tensor(times, dtype=torch.float32)
    distance, nearest = torch.cdist(query[:, None], loaded[:, None], p=1).min(1)
    assert (distance < tolerance_s).all(), f"{video_path}: no frame within {tolerance_s} s of {query[distance >= tolerance_s]}"
    return torch.from_numpy(pixels[nearest.numpy()]).permute(0, 3, 1, 2).type(torch.float32) / 255


def read(module: types.ModuleType, root: Path, name: str):
    """A dataset opened by LeRobot."""
    return module.LeRobotDataset(name, root=root)


def assert_equal(theirs, ours, every: int = 1) -> int:
    """Row by row, column by column, frame by frame; the number of rows seen. `ours` is an armillary Dataset.

    With `every`, only each such row of an episode, and its last.
    """
    row = 0
    assert theirs.num_episodes == len(ours.episodes)
    assert theirs.meta.fps == ours.info.fps
    for record in ours.episodes:
        episode = ours.load(record)
        assert (theirs.meta.episodes[record.index]["dataset_from_index"], len(episode)) == (row, record.length)
        for t in range(len(episode)):
            row += 1
            if t % every and t < len(episode) - 1:
                continue
            item = theirs[row - 1]
            assert item["episode_index"].item() == record.index and item["frame_index"].item() == t and item["index"].item() == row - 1
            assert abs(item["timestamp"].item() - t / ours.info.fps) < 1e-4
            assert item["task"] == episode.task
            np.testing.assert_array_equal(item["action"].numpy().astype(np.float32), episode.actions[t])
            if episode.state is not None:
                np.testing.assert_array_equal(item["observation.state"].numpy().astype(np.float32), episode.state[t])
            if episode.rewards is not None:
                assert item["next.reward"].item() == episode.rewards[t]
                assert bool(item["next.done"].item()) == bool(episode.terminated[t])
            for key, column in episode.labels.items():
                value = np.asarray(item[key])  # LeRobot hands float64 out as float32
                np.testing.assert_array_equal(value, np.asarray(column[t]).astype(value.dtype))
            for camera in ours.info.camera_keys:
                pixels = (item[camera] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
                np.testing.assert_array_equal(pixels, episode.frames[camera][t])
    assert row == len(theirs)
    return row
