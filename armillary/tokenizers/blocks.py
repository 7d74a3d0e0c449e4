"""What the encoder and the decoder of a video tokenizer are made of: normalisation, residual blocks, attention, halving and doubling."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from armillary.nn.attend import attend
from armillary.nn.attention import Attention
from armillary.nn.causal_convolution import KERNEL, FactorisedConvolution, Memory, SpaceConvolution, TimeConvolution, frames_of, video_of
from armillary.nn.wavelet import repeat_first

NORM_EPSILON = 1e-6


class FrameNorm(nn.GroupNorm):
    """Zero mean and unit variance over each frame, all channels together; so a frame's norm knows no other frame."""

    def __init__(self, channels: int):
        super().__init__(1, channels, eps=NORM_EPSILON)

    def forward(self, video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        return video_of(super().forward(frames_of(video)), len(video))


class ResidualBlock(nn.Module):
    """x + f(x), f twice: norm, SiLU, factorised convolution. Where the number of channels changes, x goes through a 1 x 1 convolution."""

    def __init__(self, before: int, after: int, *, in_time: bool):
        super().__init__()
        self.first_norm = FrameNorm(before)
        self.first = FactorisedConvolution(before, after, in_time=in_time)
        self.second_norm = FrameNorm(after)
        self.second = FactorisedConvolution(after, after, in_time=in_time)
        self.shortcut = None if before == after else SpaceConvolution(before, after, 1)

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b d t h w"]:
        inner = self.first(functional.silu(self.first_norm(video)), memory)
        inner = self.second(functional.silu(self.second_norm(inner)), memory)
        return inner + (video if self.shortcut is None else self.shortcut(video))


class SpaceAttention(nn.Module):
    """Every place of a frame looks at every place of that frame; one head."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = FrameNorm(channels)
        self.attention = Attention(channels, 1)

    def forward(self, video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        pictures = frames_of(self.norm(video))
        seen = self.attention(pictures.flatten(2).mT)
        return video + video_of(seen.mT.unflatten(2, pictures.shape[2:]), len(video))


class TimeAttention(nn.Module):
    """Every place looks at itself in its own and all earlier frames; one head. Keys and values of a stream are remembered."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = FrameNorm(channels)
        self.attention = Attention(channels, 1)

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b c t h w"]:
        channels, steps, *picture = video.shape[1:]
        mixed = self.attention.queries_keys_values(self.norm(video).permute(0, 3, 4, 2, 1).flatten(1, 2))  # b places t 3c
        query, keys_values = mixed.split([channels, 2 * channels], dim=-1)
        key, value = memory.extend(keys_values).chunk(2, dim=-1)
        past = key.shape[2] - steps
        allowed = torch.ones(steps, past + steps, dtype=torch.bool, device=video.device).tril(past)
        seen = self.attention.join(attend(query, key, value, allowed))
        return video + seen.unflatten(1, picture).permute(0, 4, 3, 1, 2)


class Attentions(nn.Module):
    """Attention over space, then (with `in_time`) over time."""

    def __init__(self, channels: int, *, in_time: bool):
        super().__init__()
        self.space = SpaceAttention(channels)
        self.time = TimeAttention(channels) if in_time else None

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b c t h w"]:
        video = self.space(video)
        return video if self.time is None else self.time(video, memory)


class Halving(nn.Module):
    """Half of space, then (with `time`) half of time: a strided convolution beside the mean of what it replaces."""

    def __init__(self, channels: int, *, time: bool):
        super().__init__()
        self.space = SpaceConvolution(channels, channels, KERNEL, stride=2, padded=False)
        self.time = TimeConvolution(channels, stride=2) if time else None
        self.mix = SpaceConvolution(channels, channels, 1)

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b c t2 h2 w2"]:
        means = functional.avg_pool2d(frames_of(video), 2)
        video = self.space(functional.pad(video, (0, 1, 0, 1))) + video_of(means, len(video))
        if self.time is not None:
            pairs = repeat_first(video, 1) if memory.begins else video
            video = self.time(pairs, memory) + (pairs[:, :, ::2] + pairs[:, :, 1::2]) / 2
        return self.mix(video)


class Doubling(nn.Module):
    """Twice the frames (with `time`; the first of a video stays one), then twice the sides: repeats, and a convolution added to them."""

    def __init__(self, channels: int, *, time: bool):
        super().__init__()
        self.time = TimeConvolution(channels) if time else None
        self.space = SpaceConvolution(channels, channels)
        self.mix = SpaceConvolution(channels, channels, 1)

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b c t2 h2 w2"]:
        if self.time is not None:
            single = int(memory.begins)
            frames = video.movedim(1, -1)  # repeated in the order of memory: channels stay together
            frames = torch.cat([frames[:, :single], frames[:, single:].repeat_interleave(2, dim=1)], dim=1)
            video = frames.movedim(-1, 1)
            video = video + self.time(video, memory)
        video = video_of(functional.interpolate(frames_of(video), scale_factor=2.0), len(video))
        return self.mix(video + self.space(video))


class Level(nn.Module):
    """Residual blocks, each with attention behind it where the level has it; then the step to the next level.

    With `recompute`, gradients are had by computing each block again: a third more time, and the memory of one block instead of all.
    """

    recompute = False

    def __init__(self, before: int, after: int, *, blocks: int, in_time: bool, attends: bool, step: nn.Module | None):
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(after if index else before, after, in_time=in_time) for index in range(blocks))
        self.attentions = nn.ModuleList(Attentions(after, in_time=in_time) for _ in range(blocks if attends else 0))
        self.step = step

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b d t2 h2 w2"]:
        for index in range(len(self.blocks)):
            if self.recompute and torch.is_grad_enabled():
                video = checkpoint(self._block, video, memory, index, use_reentrant=False)
            else:
                video = self._block(video, memory, index)
        return video if self.step is None else self.step(video, memory)

    def _block(self, video: Float[Tensor, "b c t h w"], memory: Memory, index: int) -> Float[Tensor, "b d t h w"]:
        video = self.blocks[index](video, memory)
        return self.attentions[index](video, memory) if self.attentions else video


class Middle(nn.Module):
    """A residual block, attention, a residual block: at the coarsest places."""

    def __init__(self, channels: int, *, in_time: bool):
        super().__init__()
        self.first = ResidualBlock(channels, channels, in_time=in_time)
        self.attentions = Attentions(channels, in_time=in_time)
        self.second = ResidualBlock(channels, channels, in_time=in_time)

    def forward(self, video: Float[Tensor, "b c t h w"], memory: Memory) -> Float[Tensor, "b c t h w"]:
        return self.second(self.attentions(self.first(video, memory), memory), memory)
