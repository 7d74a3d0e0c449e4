"""Dense optical flow: pyramidal Lucas-Kanade (Bouguet 2000) on every pixel. Written for the constant-velocity baseline."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)


def estimate_flow(
    first: Float[Tensor, "b c h w"],
    second: Float[Tensor, "b c h w"],
    *,
    levels: int = 3,
    iterations: int = 4,
    window_sigma: float = 3.0,
    stiffness: float = 1e-3,
) -> Float[Tensor, "b 2 h w"]:
    """Where every pixel of `first` is in `second`: `second(x + flow(x)) = first(x)`; channel 0 is x, 1 is y, in pixels.

    `stiffness` pulls the flow towards the coarser level's where the picture is flat and motion cannot be seen.
    """
    first_pyramid, second_pyramid = _pyramid(_gray(first), levels), _pyramid(_gray(second), levels)
    batch, _, height, width = first_pyramid[-1].shape
    flow = first.new_zeros(batch, 2, height, width)
    for one, two in zip(reversed(first_pyramid), reversed(second_pyramid), strict=True):
        flow = _resize_flow(flow, one.shape[-2], one.shape[-1])
        for _ in range(iterations):
            flow = flow + _lucas_kanade_step(one, two, flow, window_sigma, stiffness)
    return flow


def sample(pictures: Float[Tensor, "b c h w"], displacement: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c h w"]:
    """`pictures(x + displacement(x))`, bilinear, the border repeated outside."""
    _, _, height, width = pictures.shape
    rows = torch.arange(height, dtype=pictures.dtype, device=pictures.device)[:, None]
    columns = torch.arange(width, dtype=pictures.dtype, device=pictures.device)[None, :]
    x = (columns + displacement[:, 0]) * 2 / max(width - 1, 1) - 1
    y = (rows + displacement[:, 1]) * 2 / max(height - 1, 1) - 1
    return functional.grid_sample(pictures, torch.stack([x, y], dim=-1), mode="bilinear", padding_mode="border", align_corners=True)


def blur(pictures: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """Gaussian blur of standard deviation `sigma` pixels, the border repeated outside."""
    radius = max(1, round(3 * sigma))
    offset = torch.arange(-radius, radius + 1, dtype=pictures.dtype, device=pictures.device)
    weights = torch.exp(-offset.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    batch, channels, height, width = pictures.shape
    flat = functional.pad(pictures.reshape(batch * channels, 1, height, width), (radius,) * 4, mode="replicate")
    flat = functional.conv2d(functional.conv2d(flat, weights[None, None, :, None]), weights[None, None, None, :])
    return flat.reshape(pictures.shape)


def _lucas_kanade_step(one: Tensor, two: Tensor, flow: Tensor, window_sigma: float, stiffness: float) -> Tensor:
    """The least-squares correction of the flow in a Gaussian window around every pixel."""
    warped = sample(two, flow)
    visible = _inside(flow)
    gradient_x, gradient_y = (visible * gradient for gradient in _gradient((one + warped) / 2))
    difference = visible * (warped - one)
    moments = torch.cat(
        [gradient_x * gradient_x, gradient_y * gradient_y, gradient_x * gradient_y, gradient_x * difference, gradient_y * difference],
        dim=1,
    )
    xx, yy, xy, xd, yd = blur(moments, window_sigma).unbind(dim=1)
    xx, yy = xx + stiffness, yy + stiffness
    determinant = xx * yy - xy * xy
    step = torch.stack([xy * yd - yy * xd, xy * xd - xx * yd], dim=1) / determinant[:, None]
    return step.clamp(-1.0, 1.0)


def _inside(flow: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b 1 h w"]:
    """One where `x + flow(x)` lies in the picture, zero where it left: there nothing can be compared."""
    _, _, height, width = flow.shape
    x = flow[:, 0] + torch.arange(width, device=flow.device)
    y = flow[:, 1] + torch.arange(height, device=flow.device)[:, None]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside[:, None].to(flow.dtype)


def _gradient(gray: Float[Tensor, "b 1 h w"]) -> tuple[Tensor, Tensor]:
    padded = functional.pad(gray, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _gray(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    if pictures.shape[1] != len(LUMA):
        return pictures.mean(dim=1, keepdim=True)
    return (pictures * pictures.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)


def _pyramid(gray: Float[Tensor, "b 1 h w"], levels: int) -> list[Tensor]:
    """The picture, then halves of it, down to 8 pixels at the least."""
    pyramid = [gray]
    while len(pyramid) < levels and min(pyramid[-1].shape[-2:]) >= 16:
        pyramid.append(functional.avg_pool2d(blur(pyramid[-1], 1.0), 2))
    return pyramid


def _resize_flow(flow: Tensor, height: int, width: int) -> Tensor:
    old_height, old_width = flow.shape[-2:]
    if (old_height, old_width) == (height, width):
        return flow
    resized = functional.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
    return resized * resized.new_tensor([width / old_width, height / old_height])[:, None, None]
