"""The same held-out episodes in another look: darker, in other colours, before another background, from another camera pose.

Actions and states stay, so a model that knows how the robot moves should still say where it goes. These shifts are held out:
they are fixed (nothing is drawn), and training must not sample them. Augmentation that a family trains with may change colour
by gain, offset and near-identity mixing, blend smooth textures and move the view by whole pixels (see `worlds/vmc/augment.py`).
It must not use what is below: gamma curves, hue rotation, hard-edged tiles put behind what moves, rotation or zoom.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from armillary.core import DataError, Episode, to_disk, to_model
from armillary.evaluate.flow import blur

GAMMA, GAIN = 1.7, 0.85
HUE_DEGREES = 90.0
ROTATION_DEGREES, ZOOM, MOVE_X, MOVE_Y = 3.0, 1.12, 0.03, -0.02
FOREGROUND_FROM, FOREGROUND_FULL = 0.07, 0.16
MEDIAN_FRAMES = 160
TILES_ACROSS = 5
FRAMES_AT_ONCE = 256
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))

Pictures = Float[Tensor, "t 3 h w"]


@dataclass(frozen=True)
class Shift:
    """One change of looks, in words for the report, and the steps that make it; `median` is the set's still background."""

    description: str
    steps: tuple[Callable[[Tensor, Tensor], Tensor], ...]

    def __call__(self, frames: Pictures, median: Float[Tensor, "3 h w"]) -> Pictures:
        for step in self.steps:
            frames = step(frames, median)
        return frames.clamp(0.0, 1.0)


def darken(frames: Pictures, median: Float[Tensor, "3 h w"]) -> Pictures:
    """Evening light: shadows go first (a gamma curve), then everything is a little darker."""
    return GAIN * frames.clamp(0.0, 1.0).pow(GAMMA)


def turn_hue(frames: Pictures, median: Float[Tensor, "3 h w"]) -> Pictures:
    """Colours turned by a quarter circle at the same luma."""
    to_yiq = torch.tensor(YIQ, dtype=torch.float64)
    angle = torch.tensor(HUE_DEGREES * torch.pi / 180, dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64)
    turn[1, 1], turn[1, 2], turn[2, 1], turn[2, 2] = angle.cos(), -angle.sin(), angle.sin(), angle.cos()
    mixing = (torch.linalg.inv(to_yiq) @ turn @ to_yiq).to(frames.dtype)
    return torch.einsum("ij,tjhw->tihw", mixing, frames)


def replace_background(frames: Pictures, median: Float[Tensor, "3 h w"]) -> Pictures:
    """Whatever looks like the set's temporal median is covered by tiles; what differs from it stays, with soft edges.

    A part of the robot that never moves in any episode belongs to the background by this measure and is covered too.
    """
    height, width = frames.shape[-2:]
    smooth = width / 64
    difference = blur((frames - median).abs().amax(dim=1, keepdim=True), 0.7 * smooth)
    certainty = ((difference - FOREGROUND_FROM) / (FOREGROUND_FULL - FOREGROUND_FROM)).clamp(0.0, 1.0)
    grow = 2 * max(round(smooth), 1) + 1
    mask = blur(functional.max_pool2d(certainty, grow, stride=1, padding=grow // 2), 0.8 * smooth)
    return mask * frames + (1 - mask) * tiles(height, width)


def move_camera(frames: Pictures, median: Float[Tensor, "3 h w"]) -> Pictures:
    """The camera rolled by a few degrees, moved aside and brought a little nearer."""
    angle = torch.tensor(ROTATION_DEGREES * torch.pi / 180)
    height, width = frames.shape[-2:]
    aspect = height / width
    pose = torch.tensor(
        [[angle.cos(), -angle.sin() * aspect, 2 * MOVE_X * ZOOM], [angle.sin() / aspect, angle.cos(), 2 * MOVE_Y * ZOOM]],
        dtype=frames.dtype,
    )
    grid = functional.affine_grid((pose / ZOOM).expand(len(frames), -1, -1), list(frames.shape), align_corners=False)
    return functional.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)


def tiles(height: int, width: int) -> Float[Tensor, "3 h w"]:
    """A floor of staggered blue and sand tiles with dark joints: hard edges, drawn four times finer and averaged."""
    fine = 4
    y = torch.arange(height * fine)[:, None] / (width * fine) * TILES_ACROSS
    x = torch.arange(width * fine)[None, :] / (width * fine) * TILES_ACROSS + 0.5 * (y.floor() % 2)
    number = x.floor() * 7 + y.floor() * 13
    blue, sand = torch.tensor([0.16, 0.34, 0.52]), torch.tensor([0.72, 0.62, 0.44])
    colour = torch.where((number % 3 == 0)[..., None], sand, blue) * (0.8 + 0.1 * (number % 5))[..., None]
    joint = ((x % 1) < 0.08) | ((y % 1) < 0.08)
    picture = torch.where(joint[..., None], torch.tensor(0.12), colour).movedim(-1, 0)
    return functional.avg_pool2d(picture, fine).clamp(0.0, 1.0)


SHIFTS: Mapping[str, Shift] = {
    "brightness": Shift("evening light: a gamma curve of 1.7 and a gain of 0.85", (darken,)),
    "hue": Shift("every colour turned by 90 degrees at the same luma", (turn_hue,)),
    "background": Shift("everything that stands still in the recordings covered by tiles", (replace_background,)),
    "camera": Shift("the camera rolled by 3 degrees, moved by 3 % of the picture and 12 % nearer", (move_camera,)),
    "all": Shift("background, hue, brightness and camera together", (replace_background, turn_hue, darken, move_camera)),
}


def shift_episodes(episodes: Sequence[Episode], name: str, *, camera: str) -> list[Episode]:
    """The episodes with one camera's pictures changed; everything else is kept. The same input gives the same pixels."""
    if name not in SHIFTS:
        raise ValueError(f"there is no shift {name!r}; choose one of {', '.join(SHIFTS)}")
    if not episodes:
        raise DataError("a shift needs at least one episode, received none")
    median = still_background([episode.frames[camera] for episode in episodes])
    changed = []
    for episode in episodes:
        pictures = _apply(SHIFTS[name], episode.frames[camera], median)
        content_hash = hashlib.sha256(f"{episode.content_hash} shift {name}".encode()).hexdigest()
        changed.append(replace(episode, frames={**episode.frames, camera: pictures}, content_hash=content_hash))
    return changed


def still_background(videos: Sequence[UInt8[np.ndarray, "_ h w 3"]]) -> Float[Tensor, "3 h w"]:
    """The median over time and episodes of about MEDIAN_FRAMES frames, each episode giving as many: what stands still."""
    each = max(MEDIAN_FRAMES // len(videos), 3)
    frames = [video[np.linspace(0, len(video) - 1, min(each, len(video))).round().astype(int)] for video in videos]
    return to_model(np.median(np.concatenate(frames), axis=0).round().astype(np.uint8))


@torch.no_grad()
def _apply(shift: Shift, frames: UInt8[np.ndarray, "t h w 3"], median: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    parts = [np.asarray(frames[first : first + FRAMES_AT_ONCE]) for first in range(0, len(frames), FRAMES_AT_ONCE)]
    return np.concatenate([to_disk(shift(to_model(part), median)) for part in parts])
