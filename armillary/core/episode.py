"""Episode: one recording. Batch: windows of several recordings, ready for a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from armillary.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One recording at a fixed rate. Row `t` of every array belongs to the same instant.

    `actions[t]` is what was commanded after `frames[t]` was seen: it leads from frame `t` to frame `t + 1`.
    `rewards[t]` and `terminated[t]` are the outcome of `actions[t]`, that is of arriving at frame `t + 1`.
    `captions[t]` says in words what goes on in frame `t`, empty where nothing does; None where nobody said anything of single frames.
    """

    frames: Mapping[str, UInt8[np.ndarray, "t h w c"]]
    actions: Float32[np.ndarray, "t a"]
    seconds_per_step: float
    state: Float32[np.ndarray, "t s"] | None = None
    rewards: Float32[np.ndarray, " t"] | None = None
    terminated: Bool[np.ndarray, " t"] | None = None
    task: str = ""
    captions: tuple[str, ...] | None = None
    index: int = 0
    content_hash: str = ""
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        columns = {"actions": self.actions, **{f"frames[{k}]": v for k, v in self.frames.items()}}
        columns |= {k: v for k in ("state", "rewards", "terminated", "captions") if (v := getattr(self, k)) is not None}
        columns |= {f"labels[{k}]": v for k, v in self.labels.items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"episode {self.index}: columns differ in length: {lengths}; every row must be one instant")
        if not self.seconds_per_step > 0:
            raise DataError(f"episode {self.index}: seconds_per_step must be > 0, received {self.seconds_per_step}")

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def texts(self) -> tuple[str, ...]:
        """What is said of every frame: its caption, or the task where frames have none. On disk it is the row's `task_index`."""
        return (self.task,) * len(self) if self.captions is None else self.captions

    def every(self, stride: int, offset: int = 0) -> "Episode":
        """The same recording seen every `stride` frames, from frame `offset` on.

        The `stride` actions between two kept frames are concatenated into one of size `stride * a`, rewards are
        summed, terminations are joined by or. Frames after the last whole group are dropped.
        """
        if stride < 1 or offset < 0:
            raise ValueError(f"stride must be >= 1 and offset >= 0, received {stride} and {offset}")
        if stride == 1 and offset == 0:
            return self
        count = (len(self) - offset) // stride
        if count <= 0:
            raise DataError(f"episode {self.index}: {len(self)} frames are fewer than offset {offset} + stride {stride}")
        used = slice(offset, offset + count * stride)

        def keep(column):
            return None if column is None else column[used][::stride]

        def group(column):
            return None if column is None else column[used].reshape(count, stride, *column.shape[1:])

        rewards, terminated = group(self.rewards), group(self.terminated)
        return replace(
            self,
            frames={key: keep(value) for key, value in self.frames.items()},
            actions=group(self.actions).reshape(count, -1),
            state=keep(self.state),
            captions=keep(self.captions),
            rewards=None if rewards is None else rewards.sum(axis=1),
            terminated=None if terminated is None else terminated.any(axis=1),
            labels={key: keep(value) for key, value in self.labels.items()},
            seconds_per_step=self.seconds_per_step * stride,
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Windows of `t` instants from `b` recordings; same alignment as `Episode`. Frames are float in [0, 1].

    `text` is what each recording says its task is (core/text.py), `captions` what it says of each instant; None where none says anything.
    """

    frames: Float[Tensor, "b t c h w"]
    actions: Float[Tensor, "b t a"]
    state: Float[Tensor, "b t s"] | None = None
    rewards: Float[Tensor, "b t"] | None = None
    terminated: Bool[Tensor, "b t"] | None = None
    text: UInt8[Tensor, "b n"] | None = None
    captions: UInt8[Tensor, "b t n"] | None = None
    episode: Int[Tensor, " b"] | None = None
    seconds_per_step: float = 0.0

    def __len__(self) -> int:
        return len(self.frames)

    def map(self, function) -> "Batch":
        """The batch with `function` applied to every tensor in it."""
        changed = {k: function(v) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **changed)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def rows(self, index) -> "Batch":
        """Some of the windows, by anything that indexes a tensor's first axis."""
        return self.map(lambda tensor: tensor[index])
