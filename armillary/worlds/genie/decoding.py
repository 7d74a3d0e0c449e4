"""The codes of the next frame in a few passes (MaskGIT, arXiv:2202.04200, section 3.2).

At first every code is hidden. Each pass guesses all that are; the surest of them stay and the others are hidden again, fewer each time by a
cosine schedule. With one pass all guesses stay.
"""

import math

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from armillary.nn.quantise import Quantiser
from armillary.nn.token_sampling import choose, gumbel_noise
from armillary.worlds.genie.config import ModelConfig
from armillary.worlds.genie.dynamics import Dynamics, from_digits, to_digits


def draw_frame(
    dynamics: Dynamics,
    quantiser: Quantiser,
    config: ModelConfig,
    before: Int[Tensor, "b r c"],
    action: Int[Tensor, " b"],
    memory: Float[Tensor, "b l 2 m n w"],
    there: Bool[Tensor, "b k"],
    text: UInt8[Tensor, "b e"] | None,
    recalled: tuple[Int[Tensor, "b f r c"], Bool[Tensor, "b f"]] | None,
    rng: Generator,
) -> tuple[Int[Tensor, "b r c"], Float[Tensor, "b l 2 1 n w"]]:
    """(codes of the frame after `before`, its keys and values). `there`: which remembered frames are, then itself.

    `text` says what goes on, of a world that hears; `recalled` are the codes of frames that it looks back at, and which of them are.
    """
    told = dynamics.told(quantiser.codes_to_z(before[:, None]), action[:, None])
    asked = told if text is None else told + dynamics.hear(text)[:, None, None]
    again = None
    if recalled is not None:
        looks, seen = recalled
        asked = asked + dynamics.recall(z_of_frames(quantiser, looks)[:, None], seen[:, None])
        again = recalled_digits(dynamics, looks[:, None], seen[:, None])
    copied = to_digits(before[:, None].flatten(2), dynamics.levels)
    hidden = torch.ones_like(copied[..., 0], dtype=torch.bool)
    codes = before[:, None].flatten(2)
    count = hidden.shape[2]
    for done in range(1, config.passes + 1):
        z = quantiser.codes_to_z(codes.unflatten(2, dynamics.grid))
        outputs = dynamics.guess(asked, z, hidden, memory, there=there)
        guessed, sure = _choose(dynamics.logits(outputs, copied, again), config, rng)
        codes = torch.where(hidden, from_digits(guessed, dynamics.levels), codes)
        left = math.floor(count * math.cos(math.pi / 2 * done / config.passes)) if done < config.passes else 0
        if left:
            least = sure.masked_fill(~hidden, torch.inf).topk(left, dim=2, largest=False).indices
            hidden = torch.zeros_like(hidden).scatter(2, least, True)
    z = quantiser.codes_to_z(codes.unflatten(2, dynamics.grid))
    return codes[:, 0].unflatten(1, dynamics.grid), dynamics.remember(told, z, memory, there)


def z_of_frames(quantiser: Quantiser, codes: Int[Tensor, "b f r c"]) -> Float[Tensor, "b f d r c"]:
    """The latents of frames, each by itself."""
    return quantiser.codes_to_z(codes).transpose(1, 2)


def recalled_digits(
    dynamics: Dynamics, codes: Int[Tensor, "b t f r c"], there: Bool[Tensor, "b t f"]
) -> tuple[Int[Tensor, "b t n f g"], Bool[Tensor, "b t n f"]]:
    """For every place of `t` frames: the digits there in the frames recalled for each, and which of these are."""
    digits = to_digits(codes.flatten(3), dynamics.levels).transpose(2, 3)
    return digits, there[:, :, None].expand(*digits.shape[:4])


def _choose(
    logits: Float[Tensor, "b 1 n g k"], config: ModelConfig, rng: Generator
) -> tuple[Int[Tensor, "b 1 n g"], Float[Tensor, "b 1 n"]]:
    """(a value for every digit, the log probability of all digits of a code together)."""
    noise = gumbel_noise(tuple(logits.shape), rng) if config.temperature > 0 else None
    digits = choose(logits, noise, temperature=config.temperature, top_p=config.top_p)
    return digits, logits.log_softmax(dim=-1).gather(-1, digits[..., None]).sum(dim=(-2, -1))
