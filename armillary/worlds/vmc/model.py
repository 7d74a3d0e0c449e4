"""The networks of V-M-C and their maths.

Shape suffixes: B batch, T time, Z latent, K mixture components, H hidden, A action.
V and M of arXiv:1803.10122 (appendix A.1, A.2); the context-conditioned decoder is ours, see README.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

LEAST_CONTRAST = 0.02
LOG_SQRT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian over latents."""

    mean: Float[Tensor, "*lead z"]
    log_variance: Float[Tensor, "*lead z"]

    def sample(self, noise: Float[Tensor, "*lead z"]) -> Float[Tensor, "*lead z"]:
        """The point that standard normal `noise` stands for."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Float[Tensor, "*lead"]:
        """KL divergence from the standard normal, in nats, summed over latents (closed form)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1.0 - self.log_variance).sum(-1)


@dataclass(frozen=True)
class Tone:
    """Mean and deviation of a picture's colour channels: what changes when the light does, and nothing that moves."""

    mean: Float[Tensor, "n 3 1 1"]
    deviation: Float[Tensor, "n 3 1 1"]

    @staticmethod
    def of(frames: Float[Tensor, "n 3 h w"]) -> "Tone":
        """The tone of each picture; a picture of one colour counts as having a little contrast."""
        variance, mean = torch.var_mean(frames, dim=(-2, -1), keepdim=True)
        return Tone(mean, variance.sqrt().clamp(min=LEAST_CONTRAST))

    def repeat(self, count: int) -> "Tone":
        """Each tone `count` times in a row."""
        return Tone(_repeat(self.mean, count), _repeat(self.deviation, count))

    def remove(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Pictures of mean zero and unit deviation."""
        return (frames - self.mean) / self.deviation

    def give(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """The reverse of `remove`."""
        return frames * self.deviation + self.mean


class Encoder(nn.Module):
    """V's encoder: four convolutions, kernel 4, stride 2, then a Gaussian over the latent. `toneless`: of the picture without its tone."""

    def __init__(self, *, height: int, width: int, latent_size: int, toneless: bool = False, channels: Sequence[int] = (32, 64, 128, 256)):
        super().__init__()
        self.toneless = toneless
        sizes = (3, *channels)
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 4, stride=2) for i, o in pairwise(sizes))
        rows, columns = height, width
        for _ in channels:
            rows, columns = (rows - 4) // 2 + 1, (columns - 4) // 2 + 1
        if min(rows, columns) < 1:
            raise ValueError(f"V needs pictures of at least 64 x 64 pixels, received {height} x {width}; set data.height and data.width")
        self.head = nn.Linear(channels[-1] * rows * columns, 2 * latent_size)

    def forward(self, frames: Float[Tensor, "n 3 h w"]) -> Gaussian:
        x = Tone.of(frames).remove(frames) if self.toneless else frames
        for layer in self.layers:
            x = functional.relu(layer(x))
        mean, log_variance = self.head(x.flatten(1)).chunk(2, dim=-1)
        return Gaussian(mean, log_variance.clamp(-12.0, 6.0))


class GlobalDecoder(nn.Module):
    """V's decoder as published: the whole picture from the latent alone. 64 x 64 only."""

    def __init__(self, *, height: int, width: int, latent_size: int):
        super().__init__()
        if (height, width) != (64, 64):
            raise ValueError(f"the published decoder draws 64 x 64 pixels, received {height} x {width}; use model.decoding=context")
        self.expand = nn.Linear(latent_size, 1024)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(1024, 128, 5, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 5, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 6, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 6, stride=2),
            nn.Sigmoid(),
        )

    def forward(
        self, latent: Float[Tensor, "n z"], context: Float[Tensor, "b 3 h w"], hidden: Float[Tensor, "n m"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Pictures of the latents; the context and what M knows are not looked at."""
        return self.layers(self.expand(latent)[..., None, None])


class ConvBlock(nn.Module):
    """Convolution, group norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.norm(self.conv(x)))


class Spots(nn.Module):
    """Soft discs on a `rows x columns` grid, whose middles are read from what steers them: where the small things are that move.

    Each has a width of its own; the first are wide, so that a middle that is far off is still drawn to its thing.
    """

    def __init__(self, *, steering_size: int, count: int, rows: int, columns: int):
        super().__init__()
        self.middle = nn.Linear(steering_size, 2 * count)
        self.log_width = nn.Parameter(torch.linspace(math.log(0.6), math.log(0.08), count)[:, None])  # in halves of the picture
        self.register_buffer("x", torch.linspace(-1.0, 1.0, columns), persistent=False)
        self.register_buffer("y", torch.linspace(-1.0, 1.0, rows), persistent=False)

    def forward(self, steering: Float[Tensor, "n s"]) -> Float[Tensor, "n k rows columns"]:
        x, y = torch.tanh(self.middle(steering)).chunk(2, dim=-1)
        narrow = torch.exp(-self.log_width)
        across, up = (torch.exp(-0.5 * ((axis - at[..., None]) * narrow).square()) for axis, at in ((self.x, x), (self.y, y)))
        return up[..., None] * across[:, :, None]


class ContextDecoder(nn.Module):
    """Draws a picture as a change of the last one really seen, so that what the latent never saw is not forgotten.

    A U-Net over the context frame (half resolution by pixel unshuffling), steered by the latent and by what M knows, gives a flow
    that moves the context's pixels, a mask, and new pixels: picture = mask * moved + (1 - mask) * new. All of it happens in
    the context's own tone, so that a darker or redder context gives a darker or redder dream, exactly.
    """

    def __init__(
        self,
        *,
        height: int,
        width: int,
        latent_size: int,
        memory_size: int = 0,
        spots: int = 0,
        channels: Sequence[int] = (24, 48, 96, 128),
    ):
        super().__init__()
        self.memory_size = memory_size
        depth = 2 ** len(channels)
        if height % depth or width % depth:
            raise ValueError(f"picture sides must be multiples of {depth}, received {height} x {width}; set data.height and data.width")
        self.rows, self.columns = height // depth, width // depth
        self.entry = ConvBlock(12, channels[0])
        self.down = nn.ModuleList(ConvBlock(i, o, stride=2) for i, o in pairwise(channels))
        steering = latent_size + memory_size
        self.expand = nn.Linear(steering, channels[-1] * self.rows * self.columns)
        self.bottom = nn.Sequential(ConvBlock(2 * channels[-1], channels[-1]), ConvBlock(channels[-1], channels[-1]))
        steps = list(zip(reversed(channels[1:]), reversed(channels[:-1]), strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in steps)
        self.spots = Spots(steering_size=steering, count=spots, rows=height // 2, columns=width // 2) if spots else None
        self.up = nn.ModuleList(ConvBlock(2 * o + (spots if o == channels[0] else 0), o) for _, o in steps)
        self.steer = nn.ModuleList(nn.Linear(steering, 2 * o) for _, o in steps)
        self.refine = nn.ModuleList(ConvBlock(o, o) for _, o in (steps if spots else steps[:-1]))
        self.exit = nn.Conv2d(channels[0], 12 + 4 + 2, 3, padding=1)
        nn.init.zeros_(self.exit.bias)
        nn.init.normal_(self.exit.weight, std=1e-3)

    def forward(
        self, latent: Float[Tensor, "n z"], context: Float[Tensor, "b 3 h w"], hidden: Float[Tensor, "n m"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Pictures of `n` latents and M's hidden states (None: M knows nothing); each of the `b` contexts belongs to `n / b` in a row."""
        steering = torch.cat([latent, latent.new_zeros(len(latent), self.memory_size) if hidden is None else hidden], dim=-1)
        tone = Tone.of(context)
        context = tone.remove(context)
        skips = [self.entry(functional.pixel_unshuffle(context, 2))]
        for block in self.down:
            skips.append(block(skips[-1]))
        count = len(latent) // len(context)
        context, *skips = (_repeat(x, count) for x in (context, *skips))
        x = self.expand(steering).unflatten(1, (-1, self.rows, self.columns))
        x = self.bottom(torch.cat([x, skips.pop()], dim=1))
        for level, (narrow, block, steer) in enumerate(zip(self.narrow, self.up, self.steer, strict=True)):
            x = functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            scale, shift = steer(steering)[..., None, None].chunk(2, dim=1)
            seen = [x, skips.pop()] if skips[1:] or self.spots is None else [x, skips.pop(), self.spots(steering)]
            x = block(torch.cat(seen, dim=1)) * (1.0 + scale) + shift
            if level < len(self.refine):
                x = x + self.refine[level](x)
        return tone.repeat(count).give(self._compose(self.exit(x), context))

    def _compose(self, raw: Float[Tensor, "n 18 h2 w2"], context: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        new = functional.pixel_shuffle(raw[:, :12], 2)
        mask = torch.sigmoid(functional.pixel_shuffle(raw[:, 12:16], 2) + 2.0)  # starts as a copy: sigmoid(2) = 0.88
        flow = functional.interpolate(raw[:, 16:], scale_factor=2.0, mode="bilinear", align_corners=False)
        return mask * warp(context, flow) + (1.0 - mask) * new


def _repeat(x: Float[Tensor, "b *rest"], count: int) -> Float[Tensor, "n *rest"]:
    """Each row `count` times in a row. (Unlike `repeat_interleave` it can be exported for any number of rows.)"""
    return x[:, None].expand(-1, count, *x.shape[1:]).flatten(0, 1)


def warp(frames: Float[Tensor, "n c h w"], flow: Float[Tensor, "n 2 h w"]) -> Float[Tensor, "n c h w"]:
    """The pictures with pixel (y, x) taken from (y, x) + flow, flow in units of half the picture (x first)."""
    identity = torch.eye(2, 3, device=frames.device, dtype=frames.dtype)[None]
    grid = functional.affine_grid(identity, [1, *frames.shape[1:]], align_corners=False) + flow.movedim(1, -1)
    return functional.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Mixture:
    """For each latent dimension its own mixture of K Gaussians (eq. in A.2: a factored mixture density)."""

    log_weight: Float[Tensor, "*lead z k"]
    mean: Float[Tensor, "*lead z k"]
    log_scale: Float[Tensor, "*lead z k"]

    def negative_log_likelihood(self, latent: Float[Tensor, "*lead z"]) -> Float[Tensor, "*lead z"]:
        """In nats, per dimension."""
        standard = (latent[..., None] - self.mean) * torch.exp(-self.log_scale)
        log_density = -0.5 * standard.square() - self.log_scale - LOG_SQRT_TWO_PI
        return -torch.logsumexp(self.log_weight + log_density, dim=-1)

    def expected(self) -> Float[Tensor, "*lead z"]:
        """The mean of the mixture."""
        return (self.log_weight.exp() * self.mean).sum(-1)

    def sample(self, temperature: float, uniform: Float[Tensor, "*lead z"], normal: Float[Tensor, "*lead z"]) -> Float[Tensor, "*lead z"]:
        """A draw at temperature tau: weights softened by 1 / tau, scales multiplied by sqrt(tau). tau = 0: `expected`.

        `uniform` in [0, 1) picks the component, standard `normal` the point.
        """
        if temperature == 0.0:
            return self.expected()
        cumulative = torch.softmax(self.log_weight / temperature, dim=-1).cumsum(-1)
        last = cumulative.shape[-1] - 1
        component = (uniform[..., None] >= cumulative).sum(-1, keepdim=True).clamp(max=last)
        mean = self.mean.gather(-1, component)[..., 0]
        scale = self.log_scale.gather(-1, component)[..., 0].exp()
        return mean + math.sqrt(temperature) * scale * normal


class Memory(nn.Module):
    """M: an LSTM over (latent, action) with a mixture density head for the next latent, and reward and done heads."""

    def __init__(self, *, latent_size: int, action_size: int, hidden_size: int, num_mixtures: int, residual: bool):
        super().__init__()
        self.num_mixtures, self.latent_size, self.residual = num_mixtures, latent_size, residual
        self.cell = nn.LSTMCell(latent_size + action_size, hidden_size)
        self.density = nn.Linear(hidden_size, 3 * latent_size * num_mixtures)
        self.reward = nn.Linear(hidden_size, 1)
        self.done = nn.Linear(hidden_size, 1)

    def forward(
        self, latent: Float[Tensor, "b z"], action: Float[Tensor, "b a"], carry: tuple[Float[Tensor, "b h"], Float[Tensor, "b h"]]
    ) -> tuple[tuple[Float[Tensor, "b h"], Float[Tensor, "b h"]], Mixture]:
        """The LSTM's next (hidden, cell) and the density of the next latent."""
        hidden, cell = self.cell(torch.cat([latent, action], dim=-1), carry)
        return (hidden, cell), self.mixture(hidden, latent)

    def mixture(self, hidden: Float[Tensor, "*lead h"], latent: Float[Tensor, "*lead z"]) -> Mixture:
        """The density of the next latent; with `residual` its means are changes of this one."""
        raw = self.density(hidden).unflatten(-1, (self.latent_size, self.num_mixtures, 3))
        weight, mean, log_scale = raw.unbind(-1)
        if self.residual:
            mean = mean + latent[..., None]
        return Mixture(torch.log_softmax(weight, dim=-1), mean, log_scale.clamp(-7.0, 4.0))


def draw_noise(shape: Sequence[int], rng: Generator) -> tuple[Tensor, Tensor]:
    """The (uniform, normal) noise that one step of a dream takes."""
    uniform = torch.rand(shape, generator=rng, device=rng.device)
    return uniform, torch.randn(shape, generator=rng, device=rng.device)
