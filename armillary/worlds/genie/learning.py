"""The losses of the phases, on windows of frames. Only `label_loss` is given actions."""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from armillary.core import Loss
from armillary.nn.quantise import Quantiser, perplexity
from armillary.worlds.genie.decoding import recalled_digits, z_of_frames
from armillary.worlds.genie.dynamics import Dynamics, to_digits
from armillary.worlds.genie.labels import ActionMap
from armillary.worlds.genie.latent_actions import LatentActionModel
from armillary.worlds.genie.memory import recall_in_window
from armillary.worlds.genie.tokenizer import STTokenizer

LEAST_HIDDEN = 0.5  # of a frame's codes in training: between this share and all (arXiv:2402.15391, section 2.1)
FORGETFUL = 5
FLOOR = 1e-5  # of the mean squared error under a logarithm: what lies beyond 50 dB is not worth learning


def tokenize_loss(tokenizer: STTokenizer, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Loss:
    """Frames through codes: the logarithm of each frame's squared error, so that every picture's decibels count the same."""
    latents = tokenizer.read(frames)
    quantised = tokenizer.quantiser.quantise(latents)
    tokenizer.quantiser.observe(latents, quantised.codes, rng)
    squared = (tokenizer.draw(quantised.z)[0].float() - frames).square().mean((-3, -2, -1))
    parts = {"frames": (squared + FLOOR).log().mean(), **quantised.losses}
    psnr = -10.0 * squared.detach().clamp(min=FLOOR).log10().mean()
    return Loss(torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()} | {"psnr": psnr})


def action_loss(actions: LatentActionModel, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Loss:
    """The parts of `LatentActionModel.loss`; beside them how far the next frame is from copying, and how many codes are in use."""
    parts, codes = actions.loss(frames, rng)
    report = {name: part.detach() for name, part in parts.items()}
    used = perplexity(codes, actions.quantiser.num_codes).to(torch.float32)
    return Loss(torch.stack(list(parts.values())).sum(), report | {"actions_used": used})


def dynamics_loss(
    dynamics: Dynamics,
    tokenizer: STTokenizer,
    actions: LatentActionModel,
    frames: Float[Tensor, "b t 3 h w"],
    rng: Generator,
    captions: UInt8[Tensor, "b t k"] | None = None,
    earlier: int = 0,
) -> Loss:
    """The hidden codes of every frame but a window's first, in cross-entropy a digit; codes and latent actions are taken as they are.

    A frame is told its own caption, where there are any: what goes on when it is drawn. The first `earlier` frames are there to be
    remembered alone: the window begins after them.
    """
    with torch.no_grad():
        seen, inferred = tokenizer.codes(frames), actions.codes(frames[:, earlier:])
        codes = seen[:, earlier:]
        z = tokenizer.quantiser.codes_to_z(codes)
        before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
        inferred = torch.cat([torch.full_like(inferred[:, :1], dynamics.unknown), inferred], dim=1)
        digits = to_digits(codes.flatten(2), dynamics.levels)
        hidden = hide(codes[:, 1:].flatten(2).shape, rng)
    told = dynamics.told(before, inferred)
    memory, asked, again = dynamics.remember(told, z), told[:, 1:], None
    if captions is not None:
        asked = asked + dynamics.hear(captions[:, earlier + 1 :])[:, :, None]
    if earlier:
        recalled, there = _recalled(dynamics, tokenizer.quantiser, seen, earlier, rng)
        asked = asked + dynamics.recall(z_of_frames(tokenizer.quantiser, recalled.flatten(0, 1)).unflatten(0, there.shape[:2]), there)
        again = tuple(part[hidden] for part in recalled_digits(dynamics, recalled, there))
    outputs = dynamics.guess(asked, z[:, :, 1:], hidden, memory, first=1, allowed=earlier_and_own(dynamics, codes.shape[1]))
    logits, truth = dynamics.logits(outputs[hidden], digits[:, :-1][hidden], again), digits[:, 1:][hidden]
    cross_entropy = functional.cross_entropy(logits.flatten(0, 1), truth.flatten())
    right = (logits.detach().argmax(-1) == truth).float().mean()
    copied = (digits[:, :-1][hidden] == truth).float().mean()
    return Loss(cross_entropy, {"cross_entropy": cross_entropy.detach(), "right": right, "right_by_copying": copied})


@torch.no_grad()
def _recalled(
    dynamics: Dynamics, quantiser: Quantiser, codes: Int[Tensor, "b s r c"], earlier: int, rng: Generator
) -> tuple[Int[Tensor, "b t f r c"], Bool[Tensor, "b t f"]]:
    """What is recalled when each frame of the window but its first is drawn; one window in FORGETFUL remembers nothing."""
    config = dynamics.config
    remembers = torch.rand(len(codes), generator=rng, device=rng.device) >= 1 / FORGETFUL
    sizes = {"context": config.context_steps, "count": config.memory_frames, "length": config.memory_length}
    return recall_in_window(quantiser, codes, first=earlier, remembers=remembers, **sizes)


def label_loss(labels: ActionMap, codes: Tensor, actions: Float[Tensor, "b t a"], *, learns: bool) -> Loss:
    """Standardised actions against the codes of what they did, on the pairs kept so far; where nothing is learned, on these pairs."""
    given, truth = actions[:, : codes.shape[1]].flatten(0, 1), codes.flatten()
    if learns:
        labels.keep(given, truth)
        total = labels.loss()
    else:
        total = functional.cross_entropy(labels.logits(given), truth)
    right = (labels(given) == truth).float().mean()
    return Loss(total, {"labels": total.detach(), "mapped_right": right, "labelled_steps": labels.count.float()})


def hide(shape: torch.Size, rng: Generator) -> Tensor:
    """Which places of each frame (`b t n`) are hidden: each with a chance drawn for its frame between LEAST_HIDDEN and one."""
    chance = LEAST_HIDDEN + (1 - LEAST_HIDDEN) * torch.rand(*shape[:2], 1, generator=rng, device=rng.device)
    return torch.rand(shape, generator=rng, device=rng.device) < chance


def earlier_and_own(dynamics: Dynamics, steps: int) -> Tensor:
    """Masked frames 1 ... `steps` - 1 look at known frames before them and at themselves, never at their own codes (`1 t k`)."""
    moments = torch.arange(steps, device=dynamics.masked.device)
    asking = moments[1:]
    known = dynamics.transformer.band(asking, moments)[0] & (asking[:, None] != moments)
    return torch.cat([known, asking[:, None] == asking], dim=1)[None]
