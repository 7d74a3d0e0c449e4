"""What a dream begins with: a picture, a video, a recorded moment or a text, as the world was trained to see it."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from armillary.core import ArmillaryError, ConfigError, DataError, Imagines, VideoError
from armillary.core.storage import read_json
from armillary.data.content import file_sha256
from armillary.data.dataset import Dataset, EpisodeRecord, open_dataset
from armillary.data.picture_file import is_picture, read_picture
from armillary.data.resize import area_resize
from armillary.data.splits import Split
from armillary.data.video import VideoInfo, decode_video, probe_video
from armillary.studies.dream_cameras import beside, check_cameras, shown_of
from armillary.studies.runs import LoadedRun
from armillary.studies.source import as_asked

ASPECT_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What was really seen before a dream, and done between; and of a recording what was done and seen next.

    `frames[-1]` is the moment from which it is dreamt; none for a text. Several cameras stand side by side in it: those that `cameras`
    names (empty: all of the run). `actions` are None where nobody knows them. `next_actions[t]` leads to `next_frames[t]`, of all cameras.
    """

    cameras: tuple[str, ...] = ()
    frames: UInt8[np.ndarray, "k h w 3"] | None = None
    actions: Float32[np.ndarray, "m a"] | None = None
    text: str | None = None
    next_actions: Float32[np.ndarray, "n a"] | None = None
    next_frames: UInt8[np.ndarray, "n h vw 3"] | None = None
    about: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_beginning(words: str, loaded: LoadedRun, cameras: Sequence[str] = ()) -> Beginning:
    """The beginning that a person names: a picture's or a video's path, DATASET:EPISODE[@SECONDS], or a text.

    `cameras` are those of the run that it shows (none named: all in a recording, the first in a file). Files of several cameras are
    separated by commas. Pictures are shrunk by area to the size that the world sees, as recordings are before training. ConfigError for
    what this world cannot begin with, DataError for what cannot be read.
    """
    needs, path = loaded.world.spec.prompt, Path(words)
    check_cameras(cameras, loaded)
    dataset, _, rest = words.rpartition(":")
    if dataset and _is_there(Path(dataset), Path.is_dir):
        return _recorded(Path(dataset), rest, loaded, tuple(cameras) or loaded.cameras)
    if _is_there(path, Path.is_dir):
        raise ConfigError(
            f"--prompt {words} is a folder; name a recorded moment of a dataset as DATASET:EPISODE@SECONDS, such as {words}:0@1.5"
        )
    files = [path] if _is_there(path, Path.is_file) else [Path(part) for part in words.split(",")]
    if all(_is_there(file, Path.is_file) for file in files):
        _needs_frames(loaded, "a picture or a video")
        return _of_cameras([_file(file, loaded) for file in files], loaded, tuple(cameras))
    of_text = set(needs) == {"text"} or (isinstance(loaded.world, Imagines) and "text" in loaded.world.imagines_from)
    if of_text and words.strip() and not _looks_like_a_path(words):
        return Beginning(text=words, about={"kind": "text", "text": words})
    can = "give a picture (.png, .jpg), a video, or DATASET:EPISODE@SECONDS" if "frames" in needs else "check the path"
    raise ConfigError(
        f"there is no file {words!r}, and {loaded.path} ({loaded.family}) starts from {', '.join(needs) or 'nothing'}"
        f"{' or from text' if of_text and 'text' not in needs else '' if of_text else ', not from text'}; {can}"
    )


def _is_there(path: Path, check: Callable[[Path], bool]) -> bool:
    """Whether there is such a thing; a long text is the name of none."""
    try:
        return check(path)
    except (OSError, ValueError):
        return False


def _looks_like_a_path(words: str) -> bool:
    """A text that somebody meant as a file: it has a short suffix and no spaces."""
    return re.search(r"\.[A-Za-z0-9]{2,4}\Z", words) is not None and " " not in words


def _file(path: Path, loaded: LoadedRun) -> Beginning:
    return _picture(path, loaded) if is_picture(path) else _without_actions(_video(path, loaded), loaded)


def _of_cameras(found: Sequence[Beginning], loaded: LoadedRun, named: tuple[str, ...]) -> Beginning:
    """What cameras saw at the same moments, side by side. ConfigError for another number of them than the cameras, or of frames."""
    if len(loaded.cameras) == 1 and len(found) == 1:
        return found[0]
    cameras = named or loaded.cameras[: len(found)]
    if len(cameras) != len(found):
        raise ConfigError(
            f"--prompt names {len(found)} file{'s' if len(found) > 1 else ''} for {len(cameras)} camera{'s' if len(cameras) > 1 else ''} "
            f"({', '.join(cameras)}); give a file for each, separated by commas"
        )
    if len({len(one.frames) for one in found}) > 1:
        raise ConfigError(f"--prompt: the files show {' and '.join(str(len(one.frames)) for one in found)} frames; give equally many")
    notes = dict.fromkeys(note for one in found for note in one.notes)
    if not named:
        notes[f"what --prompt shows is taken for {', '.join(cameras)}; --cameras says otherwise"] = None
    return replace(
        found[0],
        cameras=shown_of(cameras, loaded),
        frames=np.concatenate([one.frames for one in found], axis=2),
        about=found[0].about if len(found) == 1 else {"kind": "files of several cameras", "files": [one.about for one in found]},
        notes=tuple(notes),
    )


def _needs_frames(loaded: LoadedRun, what: str) -> None:
    needs = loaded.world.spec.prompt
    if "frames" not in needs or set(needs) - {"frames", "actions"}:
        raise ConfigError(f"{loaded.path} ({loaded.family}) starts from {', '.join(needs) or 'nothing'}, not from {what}")


def _picture(path: Path, loaded: LoadedRun) -> Beginning:
    """One picture is one frame: nothing before it is made up. Worlds are trained to begin from fewer frames than their context holds."""
    frame, size = read_picture(path), loaded.camera_size
    steps = loaded.world.spec.context_steps
    about = {
        "kind": "picture",
        "path": str(path.resolve()),
        "sha256": file_sha256(path),
        "frames": 1,
        "resized": _resized(frame.shape, size),
    }
    notes = [f"the world begins best from {steps} frames and was given one: how things move is not in it"] if steps > 1 else []
    nothing_done = np.empty((0, *loaded.world.spec.action_space.shape), np.float32)
    notes = (*notes, *_other_aspect(frame.shape, loaded))
    return Beginning(frames=area_resize(frame[None], size), actions=nothing_done, about=about, notes=notes)


def _without_actions(beginning: Beginning, loaded: LoadedRun) -> Beginning:
    """The same. ConfigError for a world that must know what was done between the frames."""
    if "actions" in loaded.world.spec.prompt:
        raise ConfigError(
            f"{loaded.path} ({loaded.family}) starts from frames and the actions between them, which a video does not tell; give a "
            "picture, or DATASET:EPISODE@SECONDS"
        )
    return beginning


def _video(path: Path, loaded: LoadedRun) -> Beginning:
    """The last frames of a video at the world's rate; what was done between them is not known."""
    try:
        info = probe_video(path)
        rows = _last_moments(path, info, loaded)
        span_s = (max(0.0, info.last_s - (info.frames - 1 - rows[0] + 0.5) / info.fps), info.last_s + 1.0 / info.fps)
        frames = decode_video(path, size=loaded.camera_size, span_s=span_s)
    except VideoError as error:
        raise VideoError(f"--prompt is neither a picture (png, jpg) nor a sound video: {error}") from error
    if len(frames) < info.frames - rows[0]:
        raise VideoError(f"{path}: its frames are not evenly apart in time; re-encode it at a constant rate")
    frames = frames[[row - info.frames for row in rows]]
    step_s, steps = loaded.world.spec.seconds_per_step, loaded.world.spec.context_steps
    about = {
        "kind": "video",
        "path": str(path.resolve()),
        "sha256": file_sha256(path),
        "frames": len(rows),
        "rows": rows,
        "fps": info.fps,
        "resized": _resized((info.height, info.width), loaded.camera_size),
        "actions_between": "not known: a world that must be told of some takes the mean action of its training",
    }
    notes = ["what was done between the video's frames is not known; a recorded moment begins better"] if len(rows) > 1 else []
    if len(rows) < steps:
        notes.append(f"the video holds {len(rows)} of the {steps} frames, {step_s:g} s apart, from which the world begins best")
    return Beginning(frames=frames, about=about, notes=(*notes, *_other_aspect((info.height, info.width), loaded)))


def _last_moments(path: Path, info: VideoInfo, loaded: LoadedRun) -> list[int]:
    """Which frames of a video the context is: the last, the nearest to one step before it, and so on."""
    step_s, steps = loaded.world.spec.seconds_per_step, loaded.world.spec.context_steps
    apart = step_s * info.fps
    if steps > 1 and info.frames > 1 and apart < 0.99:
        raise ConfigError(
            f"{path} has {info.fps:g} frames a second, the world's context has {1 / step_s:g}: frames would be shown twice; give a video "
            "of that rate or more, or a picture"
        )
    found = {info.frames - 1 - int(back * apart + 0.5) for back in range(steps)}
    return sorted(row for row in found if row >= 0)


def _recorded(root: Path, words: str, loaded: LoadedRun, cameras: tuple[str, ...]) -> Beginning:
    """A moment of an episode (-1: the last): the frames of some cameras and the actions that lead to it, and what was done and seen
    afterwards."""
    _needs_frames(loaded, "a recorded moment")
    index, moment_s = _episode_and_moment(root, words)
    dataset = open_dataset(root)
    record = dataset.episodes[index] if -len(dataset.episodes) <= index < 0 else dataset.record(index)
    _check_fit(dataset, loaded, cameras)
    stride, fps, steps = loaded.stride, dataset.info.fps, loaded.world.spec.context_steps
    row = (steps - 1) * stride if moment_s is None else round(moment_s * fps)
    last = record.length - 2 * stride  # a whole step is left
    if not 0 <= row <= last:
        span = f"from 0 to {last / fps:g} s" if last >= 0 else "at no moment: it is too short"
        raise DataError(f"episode {record.index} of {root} can be dreamt on {span}; --prompt names {row / fps:g} s")
    clips = {camera: dataset.clip(record, camera) for camera in loaded.cameras if camera in dataset.info.camera_keys}
    asked = {"expected_frames": record.length, "size": loaded.camera_size}
    frames = {camera: decode_video(clip.path, span_s=clip.span_s, **asked) for camera, clip in clips.items()}
    episode = as_asked(dataset, dataset.load(record, cameras=()), loaded.camera, loaded.config.data)
    episode = replace(episode, frames=frames).every(stride, row % stride)
    now = row // stride
    first = max(now - steps + 1, 0)
    shown, seen = (beside(episode.frames, which) for which in (cameras, loaded.cameras))
    about = {
        "kind": "recording",
        "path": str(root.resolve()),
        "episode": record.index,
        "moment_s": row / fps,
        "content_hash": record.content_hash,
        "part": _part(loaded, record),
        "frames": now - first + 1,
        "actions_between": "recorded",
    }
    notes = [] if about["part"] not in ("train", "validation") else [f"the run has seen this episode in training ({about['part']})"]
    if now - first + 1 < steps:
        notes.append(f"the recording begins {now - first + 1} frames before; the world begins best from {steps}")
    return Beginning(
        cameras=shown_of(cameras, loaded),
        frames=shown[first : now + 1],
        actions=episode.actions[first:now],
        next_actions=episode.actions[now : len(seen) - 1],
        next_frames=seen[now + 1 :],
        about=about,
        notes=tuple(notes),
    )


def _episode_and_moment(root: Path, words: str) -> tuple[int, float | None]:
    episode, at, moment_s = words.partition("@")
    try:
        found = int(episode), float(moment_s) if at else None
    except ValueError:
        found = None
    if found is None or not math.isfinite(found[1] or 0.0):
        raise ConfigError(f"--prompt {root}:{words} must be DATASET:EPISODE or DATASET:EPISODE@SECONDS, such as {root}:3@1.5")
    return found


def _check_fit(dataset: Dataset, loaded: LoadedRun, cameras: Sequence[str]) -> None:
    """DataError where the dataset's cameras, rate or actions are not those that the run was trained on."""
    info, spec, where = dataset.info, loaded.world.spec, dataset.path
    for camera in cameras:
        if camera not in info.camera_keys:
            which = f"; name with --cameras those of {', '.join(loaded.cameras)} that it has" if len(loaded.cameras) > 1 else ""
            raise DataError(
                f"{where} has no camera {camera}, which the run was trained on; it has {', '.join(info.camera_keys) or 'none'}{which}"
            )
    if not np.isclose(loaded.stride / info.fps, spec.seconds_per_step, rtol=0.02):
        raise DataError(f"{where} has {info.fps:g} frames a second; the run was trained on {loaded.stride / spec.seconds_per_step:g}")
    size = spec.action_space.shape[0] // loaded.stride
    if info.action_size != size and not loaded.config.data.camera_motion:
        raise DataError(f"{where} has actions of {info.action_size} numbers; the run was trained on {size}")


def _part(loaded: LoadedRun, record: EpisodeRecord) -> str:
    """Which part of the run's data an episode was, known by its content."""
    path = loaded.path / "split.json"
    if not path.exists():
        return "unknown"
    split = Split.load(path)
    return next((part for part in ("train", "validation", "test") if record.content_hash in getattr(split, part)), "never seen")


def _resized(shape: tuple[int, ...], size: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} to {size[0]} x {size[1]} (height x width), by area, as in training"


def _other_aspect(shape: tuple[int, ...], loaded: LoadedRun) -> tuple[str, ...]:
    """What to say of pictures that are squeezed otherwise than the recordings were; nothing where those are not known."""
    try:
        height, width = read_json(Path(loaded.data_path) / "meta" / "info.json")["features"][loaded.cameras[0]]["shape"][:2]
        otherwise = abs(shape[1] / shape[0] / (width / height) - 1) > ASPECT_TOLERANCE
    except (ArmillaryError, OSError, LookupError, TypeError, ValueError, ZeroDivisionError):
        return ()
    if not otherwise:
        return ()
    return (
        f"the recordings had pictures of {height} x {width} (height x width), these have {shape[0]} x {shape[1]}: things in them are "
        "squeezed as the world has never seen them; cut the picture to that shape",
    )
