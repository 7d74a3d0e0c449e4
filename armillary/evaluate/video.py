"""How close a predicted picture is to the real one: PSNR and SSIM, per frame, and as metrics over episodes."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from armillary.core import Estimate, Metric, bootstrap

HIGHEST_PSNR_DB = 100.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
PICTURES_AT_ONCE = 128  # few enough to stay in a CPU's cache: twice as fast


def psnr(predicted: Float[Tensor, "*lead c h w"], real: Float[Tensor, "*lead c h w"]) -> Float[Tensor, "*lead"]:
    """Peak signal to noise ratio in dB of each frame, peak 1; equal frames give 100 dB instead of infinity.

    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
    tensor([20.])
    """
    squared_error = (predicted - real).square().mean(dim=(-3, -2, -1))
    return -10.0 * torch.log10(squared_error.clamp_min(10.0 ** (-HIGHEST_PSNR_DB / 10.0)))


def mean_absolute_error(predicted: Float[Tensor, "*lead c h w"], real: Float[Tensor, "*lead c h w"]) -> Float[Tensor, "*lead"]:
    """Mean distance of a frame's values from the real ones, in [0, 1]."""
    return (predicted - real).abs().mean(dim=(-3, -2, -1))


def ssim(predicted: Float[Tensor, "*lead c h w"], real: Float[Tensor, "*lead c h w"]) -> Float[Tensor, "*lead"]:
    """Structural similarity of each frame (Wang et al. 2004): 11x11 Gaussian window of sigma 1.5, whole windows only.

    Data range 1, computed per colour channel and averaged over places and channels. Raises ValueError below 11x11 pixels.
    """
    *lead, channels, height, width = predicted.shape
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs frames of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, received {height}x{width}")
    pairs = zip(
        predicted.reshape(-1, height, width).split(PICTURES_AT_ONCE), real.reshape(-1, height, width).split(PICTURES_AT_ONCE), strict=True
    )
    similarity = torch.cat([_ssim_of_planes(x, y) for x, y in pairs])
    return similarity.reshape(*lead, channels).mean(dim=-1)


def laplacian_energy(frames: Float[Tensor, "*lead c h w"]) -> Float[Tensor, "*lead"]:
    """The mean square of each frame's Laplacian (four neighbours, whole windows only): what blur takes away first.

    >>> laplacian_energy(torch.eye(3)[None])
    tensor(16.)
    """
    kernel = frames.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    flat = frames.reshape(-1, 1, *frames.shape[-2:])
    return functional.conv2d(flat, kernel).square().mean(dim=(1, 2, 3)).reshape(frames.shape[:-2]).mean(dim=-1)


def _ssim_of_planes(x: Float[Tensor, "n h w"], y: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Eq. 13 of the paper on every window of single-channel pictures, then the mean over windows."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = _window_mean(x * y) - product
    variances = _window_mean(x * x + y * y) - squares
    similarity = (2 * product + SSIM_C1) * (2 * covariance + SSIM_C2) / ((squares + SSIM_C1) * (variances + SSIM_C2))
    return similarity.mean(dim=(-2, -1))


def _window_mean(pictures: Float[Tensor, "n h w"]) -> Float[Tensor, "n y x"]:
    """The Gaussian-weighted mean around every pixel that has a whole window.

    Two matrix products: on a CPU ten times faster than a one-channel convolution.
    """
    rows, columns = (_window_matrix(size, pictures) for size in pictures.shape[-2:])
    return ((pictures @ columns.T).mT.contiguous() @ rows.T).mT


def _window_matrix(size: int, like: Tensor) -> Float[Tensor, "places size"]:
    """Row `i` weighs the pixels `i ... i + 10` of a line of `size` pixels."""
    offset = torch.arange(size, device=like.device) - torch.arange(size - SSIM_WINDOW + 1, device=like.device)[:, None]
    weights = torch.exp(-(offset - SSIM_WINDOW // 2).to(like.dtype).square() / (2 * SSIM_SIGMA**2))
    weights = weights * ((offset >= 0) & (offset < SSIM_WINDOW))
    return weights / weights.sum(dim=1, keepdim=True)


class _FrameMetric(Metric):
    """One value an episode: the mean of a per-frame measure."""

    def __init__(self, seed: int = 0):
        self._values: list[float] = []
        self._seed = seed

    def _count(self, measured: Float[Tensor, " t"]) -> None:
        self._values.append(float(measured.mean()))

    def compute(self) -> Estimate:
        return bootstrap(self._values, seed=self._seed)


class Psnr(_FrameMetric):
    """Mean PSNR in dB over an episode's frames, then over episodes."""

    def update(self, predicted: Float[Tensor, "t c h w"], real: Float[Tensor, "t c h w"]) -> None:
        self._count(psnr(predicted, real))


class Ssim(_FrameMetric):
    """Mean SSIM over an episode's frames, then over episodes."""

    def update(self, predicted: Float[Tensor, "t c h w"], real: Float[Tensor, "t c h w"]) -> None:
        self._count(ssim(predicted, real))
