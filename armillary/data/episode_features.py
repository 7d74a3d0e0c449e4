"""Which features an episode in memory has on disk, and whether it fits those of a dataset."""

from collections.abc import Mapping, Sequence

import numpy as np

from armillary.core.episode import Episode
from armillary.core.errors import DataError
from armillary.data.meta_files import with_bookkeeping
from armillary.data.schema import ACTION, BOOKKEEPING, DONE, NUMERIC, REWARD, STATE, Feature


def features_of(episode: Episode, action_names: Sequence[str] = (), state_names: Sequence[str] = ()) -> dict[str, Feature]:
    """The LeRobot features of an episode. Labels keep their own keys, types and shapes."""
    features = {key: Feature(key=key, dtype="video", shape=tuple(frames.shape[1:])) for key, frames in episode.frames.items()}
    columns = {STATE: episode.state, ACTION: episode.actions, REWARD: episode.rewards, DONE: episode.terminated}
    names = {ACTION: tuple(action_names), STATE: tuple(state_names)}
    for key, column in {**columns, **episode.labels}.items():
        if column is None:
            continue
        if key in features or key in BOOKKEEPING or (key in columns and column is not columns[key]):
            raise DataError(f"episode {episode.index}: the label {key!r} has the name of another column; rename it")
        if column.dtype.name not in NUMERIC:
            raise DataError(f"episode {episode.index}: label {key!r} has the type {column.dtype}; known are {', '.join(NUMERIC)}")
        features[key] = Feature(key=key, dtype=column.dtype.name, shape=tuple(column.shape[1:]) or (1,), names=names.get(key, ()))
    return with_bookkeeping(features)


def check_episode(
    episode: Episode, features: Mapping[str, Feature], fps: float, expected: Mapping[str, Feature], expected_fps: float
) -> None:
    """Raise DataError, listing everything, when an episode cannot join a dataset of these features."""
    problems = []
    if len(episode) == 0:
        problems.append("it has no rows")
    if abs(fps - expected_fps) > 1e-3:
        problems.append(f"it has {fps:g} rows a second, the dataset {expected_fps:g}")
    for key in sorted(set(features) | set(expected)):
        ours, theirs = features.get(key), expected.get(key)
        if ours is None or theirs is None:
            problems.append(f"{key!r} is {'missing from it' if ours is None else 'not in the dataset'}")
        elif (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
            problems.append(f"{key!r} is {ours.dtype} {list(ours.shape)}, in the dataset {theirs.dtype} {list(theirs.shape)}")
        elif ours.dtype == "video" and ours.shape[2] != 3:
            problems.append(f"{key!r} has {ours.shape[2]} channels, 3 are needed")
    for key, column in ((ACTION, episode.actions), (STATE, episode.state), (REWARD, episode.rewards)):
        if column is not None and not np.isfinite(column).all():
            row = int(np.argwhere(~np.isfinite(column))[0][0])
            problems.append(f"{key!r} is not finite in row {row}")
    if problems:
        raise DataError(f"episode {episode.index} was not saved: " + "; ".join(problems) + ". Correct it and save it again")
