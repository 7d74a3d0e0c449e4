"""The losses of the phases, on windows of frames. Only `label_loss` is given actions."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

from armillary.core import Loss
from armillary.nn.quantise import perplexity
from armillary.worlds.genie.dynamics import Dynamics, to_digits
from armillary.worlds.genie.labels import ActionMap
from armillary.worlds.genie.latent_actions import LatentActionModel
from armillary.worlds.genie.tokenizer import STTokenizer

LEAST_HIDDEN = 0.5  # of a frame's codes in training: between this share and all (arXiv:2402.15391, section 2.1)
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
    dynamics: Dynamics, tokenizer: STTokenizer, actions: LatentActionModel, frames: Float[Tensor, "b t 3 h w"], rng: Generator
) -> Loss:
    """The hidden codes of every frame but a window's first, in cross-entropy a digit; codes and latent actions are taken as they are."""
    with torch.no_grad():
        codes, inferred = tokenizer.codes(frames), actions.codes(frames)
        z = tokenizer.quantiser.codes_to_z(codes)
        before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
        inferred = torch.cat([torch.full_like(inferred[:, :1], dynamics.unknown), inferred], dim=1)
        digits = to_digits(codes.flatten(2), dynamics.levels)
        hidden = hide(codes[:, 1:].flatten(2).shape, rng)
    told = dynamics.told(before, inferred)
    memory = dynamics.remember(told, z)
    outputs = dynamics.guess(told[:, 1:], z[:, :, 1:], hidden, memory, first=1, allowed=earlier_and_own(dynamics, frames.shape[1]))
    logits, truth = dynamics.logits(outputs[hidden], digits[:, :-1][hidden]), digits[:, 1:][hidden]
    cross_entropy = functional.cross_entropy(logits.flatten(0, 1), truth.flatten())
    right = (logits.detach().argmax(-1) == truth).float().mean()
    copied = (digits[:, :-1][hidden] == truth).float().mean()
    return Loss(cross_entropy, {"cross_entropy": cross_entropy.detach(), "right": right, "right_by_copying": copied})


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
