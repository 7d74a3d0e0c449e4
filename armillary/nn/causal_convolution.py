"""Convolutions over video that never look ahead, and what they remember between the chunks of a stream.

A 3-D convolution is factorised: over space within each frame, then over time at each place. Videos are `b c t h w`; in memory the channels
of a place lie together (torch.channels_last_3d). Then frames and places can be seen as pictures without a copy, and 2-D convolutions,
which are several times faster on a CPU, do the work.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import State, WorldError
from armillary.nn.wavelet import repeat_first

KERNEL = 3
_FOREIGN = "the state of this stream was made by another network"
_REMEDY = "give the state that the same network gave for the chunk before"


@dataclass(frozen=True)
class StreamState(State):
    """What a causal network must know of the chunks before: what each of its layers remembers, in the order of use.

    It can be branched and saved like every State. `picture` is the height and width of the chunks that made it.
    """

    layers: tuple[Tensor, ...]
    picture: tuple[int, int]

    def map(self, function: Callable[[Tensor], Tensor]) -> "StreamState":
        return replace(self, layers=tuple(function(tensor) for tensor in self.layers))

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        return {f"{prefix}layers.{index}": tensor for index, tensor in enumerate(self.layers)}

    def with_tensors(self, tensors: dict[str, Tensor], prefix: str = "") -> "StreamState":
        missing = [name for name in self.tensors(prefix) if name not in tensors]
        if missing:
            raise WorldError(f"StreamState: tensors {missing} are missing from {sorted(tensors)}")
        return replace(self, layers=tuple(tensors[name] for name in self.tensors(prefix)))


class Memory:
    """One pass of a causal network over one chunk: what its layers read from the chunks before and write for the next.

    Without `state` the chunk begins the video. With `keeps` the layers write, and `state` gives what they wrote.
    """

    def __init__(self, state: StreamState | None = None, *, keeps: bool = False):
        self.begins = state is None
        self._before = iter(() if state is None else state.layers)
        self._keeps, self._kept = keeps, []

    def lengthen(self, video: Float[Tensor, "b c t h w"], count: int) -> Float[Tensor, "b c t2 h w"]:
        """The video with the `count` frames before it; where it begins, with its first frame repeated."""
        longer = repeat_first(video, count) if self.begins else torch.cat([self._previous(video), video], dim=2)
        self._keep(longer[:, :, longer.shape[2] - count :])
        return longer

    def extend(self, tokens: Float[Tensor, "b n t d"]) -> Float[Tensor, "b n t2 d"]:
        """All that was ever given here, with these at the end."""
        longer = tokens if self.begins else torch.cat([self._previous(tokens), tokens], dim=2)
        self._keep(longer)
        return longer

    def state(self, picture: tuple[int, int]) -> StreamState:
        """What the next chunk needs, once the network has run. WorldError where the state before was another network's."""
        if list(self._before):
            raise WorldError(f"{_FOREIGN}: it has more layers; {_REMEDY}")
        return StreamState(layers=tuple(self._kept), picture=picture)

    def _previous(self, chunk: Tensor) -> Tensor:
        """What this layer wrote last: of the chunk's shape, but for the axis of time."""
        before = next(self._before, None)
        if before is None:
            raise WorldError(f"{_FOREIGN}: it has fewer layers; {_REMEDY}")
        if before.shape[:2] + before.shape[3:] != chunk.shape[:2] + chunk.shape[3:]:
            raise WorldError(f"{_FOREIGN}: a layer wrote {tuple(before.shape)} and now sees {tuple(chunk.shape)}; {_REMEDY}")
        return before

    def _keep(self, tensor: Tensor) -> None:
        if self._keeps:
            self._kept.append(tensor.clone())  # a view would keep the whole chunk alive


class SpaceConvolution(nn.Conv3d):
    """A convolution within each frame, `kernel` x `kernel`, zeros around the frame unless `padded` is false."""

    def __init__(self, before: int, after: int, kernel: int = KERNEL, *, stride: int = 1, padded: bool = True):
        super().__init__(before, after, (1, kernel, kernel), stride=(1, stride, stride), padding=(0, *(kernel // 2 * padded,) * 2))

    def forward(self, video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h2 w2"]:
        pictures = functional.conv2d(frames_of(video), self.weight.squeeze(2), self.bias, self.stride[1:], self.padding[1:])
        return video_of(pictures, len(video))


class TimeConvolution(nn.Conv3d):
    """A convolution over KERNEL frames at each place, the last of them its own. Odd frames are left out with `stride` 2."""

    def __init__(self, channels: int, *, stride: int = 1):
        super().__init__(channels, channels, (KERNEL, 1, 1), stride=(stride, 1, 1))

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b c t2 h w"]:
        """With stride 2 the frames of the chunk must be pairs; each pair gives a frame that looks one frame further back."""
        longer = memory.lengthen(video, KERNEL - self.stride[0]).flatten(3)
        # Weights in this order too, or the answer comes with places together, and every convolution after it is a tenth slower.
        weight = self.weight.squeeze(4).contiguous(memory_format=torch.channels_last)
        return functional.conv2d(longer, weight, self.bias, self.stride[:2]).unflatten(3, video.shape[3:])


class FactorisedConvolution(nn.Module):
    """Over space, then (with `in_time`) over time."""

    def __init__(self, before: int, after: int, *, in_time: bool = True):
        super().__init__()
        self.space = SpaceConvolution(before, after)
        self.time = TimeConvolution(after) if in_time else None

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b d t h w"]:
        video = self.space(video)
        return video if self.time is None else self.time(video, memory)


def frames_of(video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "n c h w"]:
    """Every frame as a picture of its own; without a copy where the channels of a place lie together."""
    return video.transpose(1, 2).flatten(0, 1)


def video_of(pictures: Float[Tensor, "n c h w"], count: int) -> Float[Tensor, "b c t h w"]:
    """The reverse of `frames_of` for `count` videos."""
    return pictures.unflatten(0, (count, -1)).transpose(1, 2)
