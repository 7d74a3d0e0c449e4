"""Noise whose power falls as 1 / frequency^exponent: 0 is white, 1 pink, 2 brown. Plans drawn from it go somewhere."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def coloured_noise(shape: tuple[int, int, int, int], exponent: float, rng: Generator) -> Float[Tensor, "b n h a"]:
    """Gaussian noise of `b n h a`, coloured along h, each number of mean 0 and variance 1.

    Spectral synthesis (Timmer and Koenig 1995), as arXiv:2008.06389 draws its plans. The lowest frequency, 1 / h, stands in for 0.
    """
    batch, count, horizon, size = shape
    if not batch * count:
        return torch.zeros(shape, device=rng.device)  # a Fourier transform of nothing is an error
    frequency = torch.fft.rfftfreq(horizon, device=rng.device).clamp_min(1.0 / horizon)
    amplitude = frequency.pow(-exponent / 2)
    parts = torch.randn(2, batch, count, size, len(frequency), generator=rng, device=rng.device)
    # The spectrum of a real signal is real at frequency 0 and, for an even length, at the highest one. Every bin has E|S|^2 = 2 s^2.
    real_bins = torch.zeros_like(frequency, dtype=torch.bool)
    real_bins[0] = True
    real_bins[-1] |= horizon % 2 == 0
    real = torch.where(real_bins, 2.0**0.5 * parts[0], parts[0])
    imaginary = torch.where(real_bins, 0.0, parts[1])
    signal = torch.fft.irfft(torch.complex(real, imaginary) * amplitude, n=horizon, dim=-1)
    # irfft counts every other bin twice: var x = (2 sum_real s^2 + 4 sum_rest s^2) / h^2.
    variance = torch.where(real_bins, 2.0, 4.0).mul(amplitude.square()).sum() / horizon**2
    return (signal / variance.sqrt()).movedim(-1, 2)
