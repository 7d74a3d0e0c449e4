"""Haar wavelet patching: a block of pixels becomes the channels of one place, the first of them its mean.

The transform is Haar's full packet: every level splits every band of the level before, along time, rows and columns. On a block that is
an orthonormal matrix of size^3 numbers, so the inverse is its transpose. Coefficients are divided by the root of the block's size
(Cosmos does so too), which makes the first one the mean of the block.

Patching is causal: the first frame of a video is repeated until it fills a block of its own, so that an image is a video of one frame,
and no later block knows more than its own frames.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_STEP = ((1.0, 1.0), (1.0, -1.0))  # Haar's step for one pair: sum and difference


class HaarPatching(nn.Module):
    """Video to patches of `size` pixels a side, and with `in_time` (else 1) as many frames; and back.

    `channels` is how many a patch of three colours has. ValueError for a size that is no power of two.

    >>> HaarPatching(2)(torch.full((1, 3, 5, 4, 4), 0.5)).shape
    torch.Size([1, 24, 3, 2, 2])
    """

    def __init__(self, size: int, *, in_time: bool = True):
        super().__init__()
        if size < 1 or size & (size - 1):
            raise ValueError(f"the side of a wavelet patch must be a power of two, received {size}")
        self.sides = (size if in_time else 1, size, size)
        self.channels = 3 * size ** (3 if in_time else 2)
        self.register_buffer("matrix", haar_matrix(size.bit_length() - 1, 3 if in_time else 2), persistent=False)

    def forward(self, video: Float[Tensor, "b c t h w"], *, begins: bool = True) -> Float[Tensor, "b k t2 h2 w2"]:
        """The patches, `k = c * size^3` coefficients each; channel `band * c + colour`.

        `begins` says that the first frame is the video's first; then `t` is 1 more than whole blocks, else whole blocks.
        """
        time, rows, columns = self.sides
        if begins:
            video = repeat_first(video, time - 1)
        blocks = video.unflatten(4, (-1, columns)).unflatten(3, (-1, rows)).unflatten(2, (-1, time))
        pixels = blocks.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(5)  # b t h w c, pixels of the block
        coefficients = functional.linear(pixels, self.matrix) / len(self.matrix) ** 0.5
        return coefficients.mT.flatten(4).movedim(4, 1)

    def inverse(self, patches: Float[Tensor, "b k t2 h2 w2"], *, begins: bool = True) -> Float[Tensor, "b c t h w"]:
        """The video whose patches these are; with `begins` the repeats of the first frame are left out."""
        coefficients = patches.movedim(1, 4).unflatten(4, (len(self.matrix), -1)).mT.contiguous()
        pixels = functional.linear(coefficients, self.matrix.T) * len(self.matrix) ** 0.5
        blocks = pixels.unflatten(5, self.sides)  # b t h w c, pixels of the block
        video = blocks.permute(0, 4, 1, 5, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)
        return video[:, :, self.sides[0] - 1 :] if begins else video


def repeat_first(video: Float[Tensor, "b c t h w"], times: int) -> Float[Tensor, "b c t2 h w"]:
    """The video with its first frame so many times more before it."""
    return torch.cat([video[:, :, :1]] * times + [video], dim=2)


def haar_matrix(levels: int, axes: int) -> Float[Tensor, "n n"]:
    """The orthonormal Haar packet of blocks with `axes` axes of 2^levels pixels: a row a band, a column a pixel.

    Bands are ordered by their digits from the last level to the first, and within a level by axis; pixels in reading order.

    >>> (haar_matrix(1, 2) * 2).int().tolist()
    [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    signs, digits = torch.ones(1, 1), levels * axes
    for _ in range(digits):
        signs = torch.kron(signs, torch.tensor(_STEP))
    # columns so far are pixels by level, then axis; a pixel's place on one axis has its levels side by side
    by_axis = [1 + level * axes + axis for axis in range(axes) for level in range(levels)]
    return signs.reshape(-1, *(2,) * digits).permute(0, *by_axis).reshape(2**digits, 2**digits) / 2 ** (digits / 2)
