"""Which episodes are learned from, which choose the checkpoint, and which are held out; and the scales of the first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import floor
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError
from armillary.core.storage import read_json, write_json
from armillary.data.shape import MOST_CAPTIONS, DataConfig, DataShape

T = TypeVar("T")
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Content hashes of the episodes of each part, in the order of the dataset."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def choose(self, part: str, episodes: Sequence[T]) -> list[T]:
        """The episodes of one part ("train", "validation" or "test"). DataError when one is no longer there."""
        if part not in _PARTS:
            raise ConfigError(f"a split has the parts {', '.join(_PARTS)}, received {part!r}")
        found = {episode.content_hash: episode for episode in episodes}
        wanted = getattr(self, part)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise DataError(
                f"{len(missing)} of the {len(wanted)} {part} episodes of this split are not in the dataset "
                f"(content hash {missing[0][:16]}... first): the dataset changed; use the one that the split was made from"
            )
        return [found[name] for name in wanted]

    def save(self, path: Path) -> None:
        """Write the split as JSON, atomically."""
        write_json(path, {key: list(value) for key, value in asdict(self).items()})

    @staticmethod
    def load(path: Path) -> "Split":
        """Read a split that `save` wrote; DataError when the file is not one."""
        value = read_json(path)
        if not isinstance(value, dict) or sorted(value) != sorted(_PARTS):
            raise DataError(f"{path} is not a split: it must be an object with the keys {', '.join(_PARTS)}")
        if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value.values()):
            raise DataError(f"{path} is not a split: every part must be a list of content hashes")
        return Split(**{part: tuple(value[part]) for part in _PARTS})


def split_episodes(episodes: Sequence, config: DataConfig) -> Split:
    """Cut episodes (or their records) in recorded order: first train, then validation, last test.

    test is the last floor(test_fraction * n), at least one when there are two; validation the last
    max(1, floor(validation_fraction * rest)) of the rest. A part may be empty only when its fraction is 0 or n is too small.
    Episodes of equal content are refused: the same recording must not be learned from and judged on.
    """
    hashes = [episode.content_hash for episode in episodes]
    _check_hashes(episodes, hashes)
    for name in ("test_fraction", "validation_fraction"):
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(f"{name} must be in [0, 1), received {getattr(config, name)}")
    count = len(hashes)
    test = 0 if config.test_fraction == 0 or count < 2 else max(1, floor(config.test_fraction * count))
    rest = count - test
    validation = 0 if config.validation_fraction == 0 or rest < 2 else max(1, floor(config.validation_fraction * rest))
    train = rest - validation
    return Split(train=tuple(hashes[:train]), validation=tuple(hashes[train:rest]), test=tuple(hashes[rest:]))


def _check_hashes(episodes: Sequence, hashes: list[str]) -> None:
    if not hashes:
        raise DataError("there is no usable episode to split; see which were quarantined and why with `armillary data info`")
    first_with: dict[str, int] = {}
    for episode, name in zip(episodes, hashes, strict=True):
        if not name:
            raise DataError(f"episode {episode.index} has no content hash; open it through a dataset or set one")
        if name in first_with:
            raise DataError(f"episodes {first_with[name]} and {episode.index} hold the same recording; remove one of them")
        first_with[name] = episode.index


def measure(episodes: Sequence[Episode], config: DataConfig) -> DataShape:
    """Sizes, and scales of actions and states, of the training episodes, which already have the model's stride.

    Standard deviations are floored at a thousandth of the largest one (and 1e-6), so that a joint that never moves
    does not amplify its noise. Episodes that do not all hold a state have states of size 0.
    """
    if not episodes:
        raise DataError("there is no training episode to measure; lower test_fraction or record more")
    first = episodes[0]
    for episode in episodes:
        if episode.actions.shape[1] != first.actions.shape[1] or not np.isclose(episode.seconds_per_step, first.seconds_per_step):
            this, that = (f"{e.actions.shape[1]} action values every {e.seconds_per_step:.4f} s" for e in (episode, first))
            raise DataError(f"episode {episode.index} has {this}, episode {first.index} has {that}; keep one kind of robot in a dataset")
    action_mean, action_std = _scale([episode.actions for episode in episodes], "actions")
    state_mean, state_std = (), ()
    if all(episode.state is not None for episode in episodes):
        for episode in episodes:
            if episode.state.shape[1] != first.state.shape[1]:
                this, that = (f"states of {e.state.shape[1]} values" for e in (episode, first))
                raise DataError(f"episode {episode.index} has {this}, episode {first.index} {that}; keep one kind of robot in a dataset")
        state_mean, state_std = _scale([episode.state for episode in episodes], "states")
    return DataShape(
        height=config.height,
        width=config.width * max(len(config.cameras), 1),
        action_size=len(action_mean),
        action_mean=action_mean,
        action_std=action_std,
        seconds_per_step=first.seconds_per_step,
        has_rewards=all(episode.rewards is not None for episode in episodes),
        state_size=len(state_mean),
        state_mean=state_mean,
        state_std=state_std,
        has_text=any(episode.task for episode in episodes),
        cameras=config.cameras if len(config.cameras) > 1 else (),
        captions=_captions(episodes),
    )


def _captions(episodes: Sequence[Episode]) -> tuple[str, ...]:
    """The texts of single frames, most frequent first; none where all frames of each episode have the same."""
    if all(episode.captions is None for episode in episodes):
        return ()
    counts = Counter(text for episode in episodes for text in episode.texts if text)
    return tuple(text for text, _ in counts.most_common(MOST_CAPTIONS))


def _scale(columns: Sequence[Float32[np.ndarray, "_ d"]], what: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and the floored deviation of every value over all episodes."""
    values = np.concatenate(columns).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"the training episodes hold {what} that are not finite; run `armillary data doctor` on the dataset")
    std = values.std(axis=0)
    floor_std = max(1e-6, 1e-3 * float(std.max(initial=0.0)))
    return tuple(values.mean(axis=0).tolist()), tuple(np.maximum(std, floor_std).tolist())
