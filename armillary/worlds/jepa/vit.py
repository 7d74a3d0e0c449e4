"""The encoder: a vision transformer over tubelets (a patch of a few frames) with rotary positions in time, rows and columns.

A token's number is (time * rows + row) * columns + column. It computes only the tokens that it is asked for.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from armillary.core import ConfigError, WorldError
from armillary.nn.rope3d import RotaryTable, rotary_table
from armillary.nn.transformer import NORM_EPSILON, Block, initialise


@dataclass(frozen=True, kw_only=True)
class EncoderSizes:
    """How large the encoder is. `rotary` is the convention of `armillary.nn.rope3d`: released weights need "released"."""

    width: int = 96
    depth: int = 6
    heads: int = 3
    mlp_ratio: float = 4.0
    patch_size: int = 8
    tubelet_size: int = 2
    rotary: str = "released"
    bias: bool = True

    def __post_init__(self):
        for name in ("width", "depth", "heads", "patch_size", "tubelet_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be >= 1, received {getattr(self, name)}")
        if self.width % self.heads:
            raise ConfigError(f"model.width must be a multiple of model.heads, received {self.width} and {self.heads}")


@dataclass(frozen=True, kw_only=True)
class TokenGrid:
    """How many tokens a video has along each axis."""

    times: int
    rows: int
    columns: int

    @property
    def count(self) -> int:
        """All tokens."""
        return self.times * self.rows * self.columns

    def positions(self, device: torch.device | str = "cpu") -> Int[Tensor, "1 n 3"]:
        """(time, row, column) of each token in order of its number."""
        axes = (torch.arange(size, device=device) for size in (self.times, self.rows, self.columns))
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(1, -1, 3)


def choose(tokens: Float[Tensor, "b n w"], index: Int[Tensor, "b m"]) -> Float[Tensor, "b m w"]:
    """The tokens of these numbers, row by row."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))


class VisionTransformer(nn.Module):
    """Video to tokens (V-JEPA 2, arXiv:2506.09985, section 2.1). A still picture is repeated to one tubelet."""

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        tubelet_size: int = 2,
        channels: int = 3,
        rotary: str = "released",
        bias: bool = True,
    ):
        super().__init__()
        self.patch_size, self.tubelet_size, self.channels, self.rotary = patch_size, tubelet_size, channels, rotary
        self.width, self.head_size = width, width // heads
        self.embed = nn.Linear(channels * tubelet_size * patch_size**2, width)
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio=mlp_ratio, bias=bias) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        initialise(self, self.blocks)
        rotary_table(TokenGrid(times=1, rows=1, columns=1).positions(), self.head_size, convention=rotary)  # refuse bad sizes now

    def grid(self, shape: tuple[int, ...] | torch.Size) -> TokenGrid:
        """The tokens of frames of shape (b, t, c, h, w). WorldError when they cannot be cut into whole tubelets."""
        _, steps, channels, height, width = shape
        if channels != self.channels:
            raise WorldError(f"the encoder sees {self.channels} channels, received frames of shape {tuple(shape)} (b t c h w)")
        check_picture(height, width, self.patch_size)
        if steps < 1 or (steps > 1 and steps % self.tubelet_size):
            raise WorldError(
                f"a video must have a multiple of {self.tubelet_size} frames (a tubelet), or be one still picture; received {steps} frames"
            )
        times = max(steps // self.tubelet_size, 1)
        return TokenGrid(times=times, rows=height // self.patch_size, columns=width // self.patch_size)

    def table(self, grid: TokenGrid, device: torch.device) -> RotaryTable:
        """Rotary positions of every token."""
        return rotary_table(grid.positions(device), self.head_size, convention=self.rotary)

    def patches(self, frames: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b n p"]:
        """Every token's pixels in the order channel, frame, row, column."""
        grid, patch = self.grid(frames.shape), self.patch_size
        if frames.shape[1] < self.tubelet_size:
            frames = frames.expand(-1, self.tubelet_size, -1, -1, -1)
        cut = frames.reshape(len(frames), grid.times, self.tubelet_size, self.channels, grid.rows, patch, grid.columns, patch)
        return cut.permute(0, 1, 4, 6, 3, 2, 5, 7).reshape(len(frames), grid.count, -1)

    def forward(self, frames: Float[Tensor, "b t c h w"], visible: Int[Tensor, "b v"] | None = None) -> Float[Tensor, "b m d"]:
        """The tokens of `frames` (already normalised), or of the `visible` ones alone, which then see only one another."""
        patches, table = self.patches(frames), self.table(self.grid(frames.shape), frames.device)
        if visible is not None:
            patches, table = choose(patches, visible), table.take(visible)
        tokens = self.embed(patches)
        for block in self.blocks:
            tokens = block(tokens, table)
        return self.norm(tokens)


def check_picture(height: int, width: int, patch_size: int) -> None:
    """WorldError unless pictures can be cut into whole patches."""
    if height % patch_size or width % patch_size or min(height, width) < patch_size:
        down = tuple(max(side // patch_size, 1) * patch_size for side in (height, width))
        raise WorldError(
            f"picture sides must be multiples of the patch of {patch_size} pixels, received {height} x {width}; "
            f"set data.height and data.width to {down[0]} and {down[1]}, say, or model.patch_size to a divisor of both"
        )
