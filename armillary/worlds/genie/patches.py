"""Pictures as a grid of patches, and back."""

from jaxtyping import Float
from torch import Tensor


def to_patches(frames: Float[Tensor, "b t c h w"], side: int) -> Float[Tensor, "b t n p"]:
    """Each patch of `side` x `side` pixels as one row of numbers, places in the order of reading."""
    cells = frames.unflatten(4, (-1, side)).unflatten(3, (-1, side))  # b t c rows y columns x
    return cells.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)


def from_patches(patches: Float[Tensor, "b t n p"], grid: tuple[int, int], side: int) -> Float[Tensor, "b t c h w"]:
    """The frames of a grid of patches."""
    cells = patches.unflatten(3, (-1, side, side)).unflatten(2, grid)  # b t rows columns c y x
    return cells.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)
