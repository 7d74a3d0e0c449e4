"""What a LeRobot dataset says about itself: its features, rate and robot, read from `meta/info.json` with care."""

from collections.abc import Mapping
from dataclasses import dataclass, field

VERSIONS = ("v2.0", "v2.1", "v3.0")
ACTION, STATE, REWARD, DONE = "action", "observation.state", "next.reward", "next.done"
# Columns that say where a row is, not what was recorded; a rewritten dataset gets fresh ones.
BOOKKEEPING = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64", "task_index": "int64"}
NUMERIC = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column of the recordings. `dtype` is `video`, `image`, `string` or a NumPy name; cameras have shape h, w, c."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    raw: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> int:
        """How many numbers one row holds."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def video(self) -> Mapping[str, object]:
        """What the dataset says of this camera's files (`info`, or `video_info` in v2.0), without the `video.` prefix."""
        found = self.raw.get("info") or self.raw.get("video_info")
        return {str(k).removeprefix("video."): v for k, v in found.items()} if isinstance(found, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A dataset in short. `total_frames` and `total_episodes` count what is listed, before quarantine."""

    version: str
    fps: float
    robot_type: str
    features: Mapping[str, Feature]
    tasks: tuple[str, ...]
    total_episodes: int
    total_frames: int

    @property
    def camera_keys(self) -> tuple[str, ...]:
        """The video features, in the dataset's order."""
        return tuple(key for key, feature in self.features.items() if feature.dtype == "video")

    @property
    def action_size(self) -> int:
        """Numbers in one action."""
        return self.features[ACTION].size

    @property
    def state_size(self) -> int | None:
        """Numbers in one `observation.state`, or None if there is none."""
        return self.features[STATE].size if STATE in self.features else None

    @property
    def action_names(self) -> tuple[str, ...]:
        """The joints or axes of an action; empty if unnamed."""
        return self.features[ACTION].names

    @property
    def state_names(self) -> tuple[str, ...]:
        """The numbers of a state; empty if unnamed."""
        return self.features[STATE].names if STATE in self.features else ()

    @property
    def seconds_per_step(self) -> float:
        """The time between two rows."""
        return 1.0 / self.fps


def parse_feature(key: str, raw: object) -> Feature | str:
    """The feature that `raw` describes, or a sentence on why it describes none."""
    if not isinstance(raw, Mapping):
        return f"an object with dtype, shape and names is needed, found {raw!r}"
    dtype, shape = raw.get("dtype"), raw.get("shape")
    if dtype not in (*NUMERIC, "video", "image", "string"):
        return f"dtype {dtype!r} is not known; known are video, image, string, {', '.join(NUMERIC)}"
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**31 for n in shape):
        return f"shape must be a list of positive whole numbers, found {shape!r}"
    shape = tuple(shape) or (1,)
    names = flat_names(raw.get("names"))
    if dtype in ("video", "image"):
        if len(shape) != 3:
            return f"a camera needs a shape of three numbers, found {list(shape)}"
        if names and names[0].startswith("channel"):
            shape = (shape[1], shape[2], shape[0])
    return Feature(key=key, dtype=dtype, shape=shape, names=names, raw=dict(raw))


def flat_names(names: object) -> tuple[str, ...]:
    """Names as one tuple: writers store a list, a list in a list, or a list under a key."""
    if isinstance(names, str):
        return (names,)
    if isinstance(names, Mapping):
        names = list(names.values())
    if isinstance(names, list | tuple):
        return tuple(name for part in names for name in flat_names(part))
    return ()
