"""A trained baseline without a world in it: a conditional U-Net from the last frame and the actions straight to a future frame.

It keeps no state and dreams no path; each horizon is drawn afresh. A world model that does not beat it has learned nothing by
being a world. Actions are read by a GRU, whose hidden state after `h` of them modulates the U-Net's decoder (FiLM,
arXiv:1709.07871).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from armillary.core import DataError, Episode, to_model

SHUFFLE = 2  # the network works on blocks of 2x2 pixels: four times the steps in the same time


@dataclass(frozen=True, kw_only=True)
class DirectUnetConfig:
    """How the baseline is built and trained; it stops at `steps` or after `seconds`, whichever comes first.

    With `seconds` the outcome depends on the machine's speed; leave it at infinity for a result that repeats.
    """

    steps: int = 1500
    seconds: float = math.inf
    batch_size: int = 32
    horizons_per_window: int = 1
    learning_rate: float = 1e-3
    widths: tuple[int, ...] = (32, 64, 128)
    condition_size: int = 192


class DirectUnet(nn.Module):
    """A predictor like the others: call it with (context, context actions, future actions, rng)."""

    def __init__(self, config: DirectUnetConfig, channels: int, action_mean: Tensor, action_std: Tensor, num_future: int):
        super().__init__()
        widths = config.widths
        self.register_buffer("action_mean", action_mean)
        self.register_buffer("action_std", action_std)
        self.num_future = num_future
        self.reader = nn.GRU(len(action_mean) + 1, config.condition_size, batch_first=True)
        self.stem = nn.Conv2d(channels * SHUFFLE**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_Block(a, b, None) for a, b in zip((widths[0], *widths[:-1]), widths, strict=True))
        self.middle = _Block(widths[-1], widths[-1], config.condition_size)
        pairs = list(zip(widths[::-1], (*widths[-2::-1], widths[0]), strict=True))
        self.up = nn.ModuleList(_Block(2 * a, b, config.condition_size) for a, b in pairs)
        self.head = nn.Conv2d(widths[0], channels * SHUFFLE**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def read(self, future_actions: Float[Tensor, "b t a"]) -> Float[Tensor, "b t d"]:
        """What the first `h` actions mean, for every `h`."""
        scaled = (future_actions - self.action_mean) / self.action_std
        ahead = torch.arange(1, scaled.shape[1] + 1, device=scaled.device, dtype=scaled.dtype) / self.num_future
        return self.reader(torch.cat([scaled, ahead[None, :, None].expand(len(scaled), -1, 1)], dim=-1))[0]

    def forward(
        self,
        context: Float[Tensor, "b k c h w"],
        context_actions: Float[Tensor, "b m a"],
        future_actions: Float[Tensor, "b t a"],
        rng: Generator,
    ) -> Float[Tensor, "b t c h w"]:
        """Every horizon's frame, straight from the last one seen."""
        return self.draw(context[:, -1], self.read(future_actions)).clamp(0.0, 1.0)

    def draw(self, last: Float[Tensor, "b c h w"], condition: Float[Tensor, "b n d"]) -> Float[Tensor, "b n c h w"]:
        """The future frames for `n` conditions of each last frame, not yet clamped to [0, 1]."""
        count = condition.shape[1]
        skips, features = [], self.stem(functional.pixel_unshuffle(_padded(last), SHUFFLE) - 0.5)
        for block in self.down:
            features = block(features)
            skips.append(features)
            features = functional.avg_pool2d(features, 2, ceil_mode=True)
        flat = condition.flatten(0, 1)
        features = self.middle(features.repeat_interleave(count, dim=0), flat)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            features = functional.interpolate(features, size=skip.shape[-2:], mode="nearest")
            features = block(torch.cat([features, skip.repeat_interleave(count, dim=0)], dim=1), flat)
        change = functional.pixel_shuffle(self.head(features), SHUFFLE)[..., : last.shape[-2], : last.shape[-1]]
        return last[:, None] + change.unflatten(0, (-1, count))


def fit_direct_unet(
    train_episodes: Sequence[Episode],
    *,
    camera: str,
    num_future: int,
    config: DirectUnetConfig | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_step: Callable[[int, float], None] | None = None,
) -> DirectUnet:
    """Train the baseline on random (last frame, actions, future frame) triples at most `num_future` steps apart.

    Squared error, so that it is as good at PSNR as it can be. `on_step` receives the step and the loss. Raises DataError
    when no episode has `num_future + 1` steps.
    """
    config = config or DirectUnetConfig()
    usable = [episode for episode in train_episodes if len(episode) > num_future]
    if not usable:
        raise DataError(f"direct_unet needs a training episode of at least {num_future + 1} steps, received none of {len(train_episodes)}")
    frames = [np.asarray(episode.frames[camera]) for episode in usable]
    actions = np.concatenate([episode.actions for episode in usable])
    std = torch.from_numpy(actions.std(axis=0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DirectUnet(
            config, frames[0].shape[-1], torch.from_numpy(actions.mean(axis=0)), std.clamp_min(1e-3 * float(std.max()) + 1e-6), num_future
        ).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-2)
    draw, started = np.random.default_rng(seed), time.monotonic()
    for step in range(config.steps):
        progress = max(step / config.steps, (time.monotonic() - started) / config.seconds)
        if progress >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * progress))
        last, commands, targets, horizons = (part.to(device) for part in _draw(frames, usable, num_future, config, draw))
        condition = network.read(commands).gather(1, (horizons - 1)[..., None].expand(-1, -1, config.condition_size))
        loss = (network.draw(last, condition) - targets).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return network.eval().requires_grad_(False)


def _draw(
    frames: Sequence[np.ndarray], episodes: Sequence[Episode], num_future: int, config: DirectUnetConfig, draw: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Last frames `b c h w`, actions `b t a`, target frames `b n c h w` and their horizons `b n` (1 ... t)."""
    room = np.array([len(episode) - num_future for episode in episodes])
    places = np.searchsorted(np.cumsum(room), draw.integers(room.sum(), size=config.batch_size), side="right")
    starts = draw.integers(room[places])
    horizons = draw.integers(1, num_future + 1, size=(config.batch_size, config.horizons_per_window))
    last = np.stack([frames[place][start] for place, start in zip(places, starts, strict=True)])
    targets = np.stack([frames[place][start + ahead] for place, start, ahead in zip(places, starts, horizons, strict=True)])
    commands = np.stack([episodes[place].actions[start : start + num_future] for place, start in zip(places, starts, strict=True)])
    return to_model(last), torch.from_numpy(commands), to_model(targets), torch.from_numpy(horizons)


def _padded(pictures: Tensor) -> Tensor:
    """The pictures with their border repeated until `SHUFFLE` divides height and width."""
    height, width = pictures.shape[-2:]
    return functional.pad(pictures, (0, -width % SHUFFLE, 0, -height % SHUFFLE), mode="replicate")


class _Block(nn.Module):
    """Two convolutions with a shortcut, normalised by groups, modulated by a condition where there is one."""

    def __init__(self, inputs: int, outputs: int, condition_size: int | None):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.normalise = nn.GroupNorm(math.gcd(8, outputs), outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.modulate = nn.Linear(condition_size, 2 * outputs) if condition_size is not None else None

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        inner = self.normalise(self.first(features))
        if self.modulate is not None and condition is not None:
            scale, shift = self.modulate(condition)[..., None, None].chunk(2, dim=1)
            inner = inner * (1 + scale) + shift
        return self.shortcut(features) + self.second(functional.silu(inner))
