"""Windows of episodes in an order that depends on the seed and the step alone, and the loader that reads them ahead."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from armillary.core.episode import Batch, Episode
from armillary.core.errors import ConfigError, DataError
from armillary.core.frames import to_model
from armillary.core.text import to_bytes

_AHEAD_PER_WORKER = 2
_EPOCHS_HELD = 2
_OPTIONAL = ("state", "rewards", "terminated")


class WindowSampler:
    """Which windows make up the batch of each step: every window once an epoch, in shuffled order.

    `batch_size` counts the windows of all ranks together; rank r of `world_size` gets its equal share, so that the
    ranks' shares joined are the batch of a single process. Nothing is remembered from step to step: `batch(step)` is
    a pure function of (seed, step), whoever asks and in whatever order.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        num_frames: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        if num_frames < 1 or batch_size < 1:
            raise ConfigError(f"num_frames and batch_size must be >= 1, received {num_frames} and {batch_size}")
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank must be in [0, world_size), received {rank} of {world_size}")
        if batch_size % world_size:
            fitting = -(-batch_size // world_size) * world_size
            raise ConfigError(f"batch_size {batch_size} must be a multiple of the {world_size} processes; use {fitting}")
        if seed < 0:
            raise ConfigError(f"seed must be >= 0, received {seed}")
        self.num_frames, self.batch_size, self.seed = num_frames, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.lengths = tuple(int(length) for length in lengths)
        windows = np.maximum(np.asarray(self.lengths, dtype=np.int64) - num_frames + 1, 0)
        self._first = np.concatenate([[0], np.cumsum(windows)])
        if self.windows_per_epoch == 0:
            longest = max(self.lengths, default=0)
            raise DataError(
                f"no window of {num_frames} steps fits: the longest of the {len(self.lengths)} episodes has {longest}; "
                f"use a smaller stride, ask for at most {longest} steps, or record longer episodes"
            )
        self._orders: dict[int, Int64[np.ndarray, " n"]] = {}

    @property
    def windows_per_epoch(self) -> int:
        """How many windows there are, overlapping ones counted each."""
        return int(self._first[-1])

    def batch(self, step: int) -> Int64[np.ndarray, "batch 2"]:
        """(episode position, start) of every window of this rank's share of the batch of `step`."""
        if step < 0:
            raise ValueError(f"step must be >= 0, received {step}")
        share = self.batch_size // self.world_size
        begin = step * self.batch_size + self.rank * share
        return self._locate([self._nth(place) for place in range(begin, begin + share)])

    def _nth(self, place: int) -> int:
        epoch, offset = divmod(place, self.windows_per_epoch)
        return int(self._order(epoch)[offset])

    def _order(self, epoch: int) -> Int64[np.ndarray, " n"]:
        order = self._orders.get(epoch)
        if order is None:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.windows_per_epoch)
            held = {e: o for e, o in list(self._orders.items())[-(_EPOCHS_HELD - 1) :]}
            self._orders = held | {epoch: order}  # replaced whole, so that threads may read it without a lock
        return order

    def _locate(self, windows: list[int]) -> Int64[np.ndarray, "batch 2"]:
        flat = np.asarray(windows, dtype=np.int64)
        episode = np.searchsorted(self._first, flat, side="right") - 1
        return np.stack([episode, flat - self._first[episode]], axis=1)


class WindowLoader:
    """Batches of windows, step after step without end, read ahead by `workers` threads (0: read when asked).

    The order is the sampler's, whatever the number of workers. Copying frames and turning them into floats releases
    Python's lock, so threads do for this what processes would, without copies between them. Use it in a `with` block
    or call `close`; leaving the iteration closes it too.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        camera: str,
        sampler: WindowSampler,
        *,
        workers: int = 0,
        start_step: int = 0,
    ):
        if workers < 0 or start_step < 0:
            raise ConfigError(f"workers and start_step must be >= 0, received {workers} and {start_step}")
        _check_alike(episodes, camera, sampler)
        self.episodes, self.camera, self.sampler = tuple(episodes), camera, sampler
        self.workers, self.start_step = workers, start_step
        self._columns = ("actions", *(name for name in _OPTIONAL if all(getattr(e, name) is not None for e in episodes)))
        self._text_bytes = max((len(episode.task.encode()) for episode in episodes), default=0)
        captioned = any(episode.captions is not None for episode in episodes)
        said = {text for episode in episodes for text in set(episode.texts)} if captioned else ()
        self._caption_bytes = max((len(text.encode()) for text in said), default=0)
        self._pool: ThreadPoolExecutor | None = None

    def __iter__(self) -> Iterator[Batch]:
        step = self.start_step
        if self.workers == 0:
            while True:
                yield self.read(step)
                step += 1
        self.close()
        pool = self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="armillary-windows")
        waiting: deque[Future] = deque()
        try:
            while True:
                while len(waiting) < self.workers * _AHEAD_PER_WORKER:
                    waiting.append(pool.submit(self.read, step))
                    step += 1
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Stop reading ahead and wait for the threads to end."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> "WindowLoader":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def read(self, step: int) -> Batch:
        """The batch of one step."""
        windows = self.sampler.batch(step)
        try:
            return self._gather(windows)
        except (OSError, ValueError, IndexError) as error:
            names = sorted({self.episodes[position].index for position in windows[:, 0]})
            where = f"the windows of step {step} (episodes {names})"
            raise DataError(f"reading {where} failed: {error}; build the frame cache again") from error

    def _gather(self, windows: Int64[np.ndarray, "batch 2"]) -> Batch:
        span = self.sampler.num_frames
        cuts = [(self.episodes[position], slice(start, start + span)) for position, start in windows.tolist()]
        first = self.episodes[0]
        frames = np.empty((len(cuts), span, *first.frames[self.camera].shape[1:]), dtype=np.uint8)
        for row, (episode, cut) in enumerate(cuts):
            frames[row] = episode.frames[self.camera][cut]

        columns = {name: torch.from_numpy(np.stack([getattr(episode, name)[cut] for episode, cut in cuts])) for name in self._columns}
        return Batch(
            frames=to_model(frames),
            **columns,
            text=to_bytes([episode.task for episode, _ in cuts], self._text_bytes) if self._text_bytes else None,
            captions=self._captions(cuts) if self._caption_bytes else None,
            episode=torch.from_numpy(windows[:, 0].copy()),
            seconds_per_step=first.seconds_per_step,
        )

    def _captions(self, cuts: list[tuple[Episode, slice]]) -> UInt8[Tensor, "b t n"]:
        """What is said of every frame; an episode whose frames have no captions of their own has the same task in each."""
        texts = [text for episode, cut in cuts for text in episode.texts[cut]]
        return to_bytes(texts, self._caption_bytes).unflatten(0, (len(cuts), -1))


def _check_alike(episodes: Sequence[Episode], camera: str, sampler: WindowSampler) -> None:
    lengths = tuple(len(episode) for episode in episodes)
    if lengths != sampler.lengths:
        raise ConfigError(f"the sampler was made for episodes of lengths {sampler.lengths[:5]}..., these have {lengths[:5]}...")
    for episode in episodes:
        if camera not in episode.frames:
            raise DataError(f"episode {episode.index} has no camera {camera!r}; it has {', '.join(sorted(episode.frames)) or 'none'}")

        def kind(e: Episode) -> tuple:
            return e.frames[camera].shape[1:], e.actions.shape[1:], round(e.seconds_per_step, 6)

        if kind(episode) != kind(episodes[0]):
            raise DataError(
                f"episode {episode.index} has pictures, actions and seconds a step {kind(episode)}, episode {episodes[0].index} "
                f"has {kind(episodes[0])}; windows of one batch must be alike: remove one of the two kinds"
            )
