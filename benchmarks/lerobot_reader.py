"""LeRobot's own dataset class as a rival and an oracle, reading video through PyAV.

LeRobot 0.4.4 is installed without its dependencies (it pins an older torch). Its three imports that are missing then are
filled by empty modules, and its video decoding, which would need torchvision or torchcodec, by PyAV code that does what they do.
"""

import importlib.util
import sys
from collections import OrderedDict
from pathlib import Path

import av
import numpy as np
import torch

from benchmarks.stand_in import stand_in

INSTALL = "pip install 'armillary[conformance]' && pip install --no-deps lerobot==0.4.4"
_KEPT_OPEN = 8
REOPENED, KEPT_OPEN = "pyav", "torchcodec"


def load_lerobot():
    """The class LeRobotDataset, or ImportError that says what to install.

    Its `video_backend` chooses what is done with a file after a window was read: REOPENED closes it, as LeRobot does with
    torchvision's pyav; KEPT_OPEN leaves it open, as LeRobot does with torchcodec.
    """
    stand_in("torchvision", {"__path__": []})
    stand_in("torchvision.transforms", {"ToTensor": object})
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    if importlib.util.find_spec("accelerate") is None:
        stand_in("accelerate", {"Accelerator": object})
    try:
        import lerobot.datasets.lerobot_dataset as module
    except ImportError as error:
        raise ImportError(f"LeRobot's reader cannot be imported ({error}); install it with: {INSTALL}") from error
    module.decode_video_frames = _Videos().decode
    return module.LeRobotDataset


class _Videos:
    def __init__(self):
        self._open: OrderedDict[str, av.container.InputContainer] = OrderedDict()

    def decode(self, video_path: Path | str, timestamps: list[float], tolerance_s: float, backend: str) -> torch.Tensor:
        """The frames nearest to `timestamps`, `t c h w` float in [0, 1]: from the key frame before the first to the last."""
        kept = backend == KEPT_OPEN
        container = self._container(str(video_path), kept)
        stream = container.streams.video[0]
        container.seek(int(max(0.0, min(timestamps) - 1e-4) / stream.time_base), stream=stream)
        wanted, times, pictures = sorted(set(timestamps)), [], []
        for frame in container.decode(stream):
            if np.abs(np.asarray(wanted) - frame.time).min() <= tolerance_s:
                times.append(frame.time)
                pictures.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
            if frame.time >= wanted[-1] - tolerance_s:
                break
        distance = torch.tensor(timestamps)[:, None].sub(torch.tensor(times)[None]).abs()
        nearest, index = distance.min(dim=1)
        if (nearest > tolerance_s).any():
            raise ValueError(f"{video_path}: no frame within {tolerance_s} s of {timestamps}")
        if not kept:
            container.close()
        return torch.stack([pictures[i] for i in index]).permute(0, 3, 1, 2).float() / 255

    def _container(self, path: str, kept: bool):
        if kept and path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        container = av.open(path)
        container.streams.video[0].thread_type = "NONE"
        if kept:
            self._open[path] = container
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)[1].close()
        return container
