"""Which of a run's cameras a dream begins with, and what they saw as one picture."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from armillary.core import CompletesViews, ConfigError
from armillary.studies.runs import LoadedRun


def check_cameras(cameras: Sequence[str], loaded: LoadedRun) -> None:
    """ConfigError for cameras that the run has not, or one that is named twice."""
    unknown = [name for name in cameras if name not in loaded.cameras]
    if unknown or len(set(cameras)) < len(cameras):
        raise ConfigError(
            f"--cameras must name cameras that {loaded.path} was trained on ({', '.join(loaded.cameras)}), each once; "
            f"received {', '.join(cameras)}"
        )


def shown_of(cameras: tuple[str, ...], loaded: LoadedRun) -> tuple[str, ...]:
    """The cameras of a beginning; none named where these are all. ConfigError for a world that cannot begin with some of them."""
    if cameras == loaded.cameras:
        return ()
    if not isinstance(loaded.world, CompletesViews):
        raise ConfigError(
            f"{loaded.path} ({loaded.family}) begins with what all its cameras see ({', '.join(loaded.cameras)}, in this order), "
            f"received {', '.join(cameras)}; only video-diffusion draws what the others do"
        )
    return cameras


def beside(frames: Mapping[str, UInt8[np.ndarray, "t h w 3"]], cameras: Sequence[str]) -> UInt8[np.ndarray, "t h vw 3"]:
    """What these cameras saw, side by side; black where nobody knows."""
    nothing = np.zeros_like(next(iter(frames.values())))
    return np.concatenate([frames.get(camera, nothing) for camera in cameras], axis=2)
