"""The losses of the phases, on windows of frames. Only `label_loss` is given actions."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from armillary.core import Loss
from armillary.nn.quantise import Quantiser, perplexity
from armillary.worlds.genie.decoding import recalled_digits, z_of_frames
from armillary.worlds.genie.dynamics import Dynamics, from_digits, to_digits
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
    frames: Float[Tensor, "b t 3 h w"],
    inferred: Int[Tensor, "b s"],
    rng: Generator,
    captions: UInt8[Tensor, "b t k"] | None = None,
    earlier: int = 0,
) -> Loss:
    """The hidden codes of every frame but a window's first, in cross-entropy a digit, those that differ from a frame before counting
    `happens_weight` times more; codes are taken as they are, and so are the latent actions `inferred` between a window's frames.

    A frame is told its own caption, where there are any: what goes on when it is drawn. The first `earlier` frames are there to be
    remembered alone: the window begins after them. In training some latent actions are swapped (`swap_actions`), and a share
    `guessed_share` of the windows is known as the dynamics itself draws it.
    """
    quantiser, said, again = tokenizer.quantiser, [], None
    with torch.no_grad():
        seen = tokenizer.codes(frames)
        codes = seen[:, earlier:]
        if captions is not None and dynamics.training:
            inferred = swap_actions(inferred, captions[:, earlier:], dynamics.config.swapped_share, rng)
        inferred = torch.cat([torch.full_like(inferred[:, :1], dynamics.unknown), inferred], dim=1)
        hidden = hide(codes[:, 1:].flatten(2).shape, dynamics.config.passes, rng)
    if captions is not None:
        said.append(dynamics.hear(captions[:, earlier + 1 :])[:, :, None])
    if earlier:
        recalled, there = _recalled(dynamics, quantiser, seen, earlier, rng)
        said.append(dynamics.recall(z_of_frames(quantiser, recalled.flatten(0, 1)).unflatten(0, there.shape[:2]), there))
        again = recalled_digits(dynamics, recalled, there)
    logits_of = partial(_hidden_logits, dynamics, quantiser, inferred=inferred, said=said, again=again)
    known = codes
    if dynamics.training and dynamics.config.guessed_share:
        known = _partly_guessed(dynamics, codes, logits_of, rng)
    logits = logits_of(known, codes[:, 1:], hidden=hidden)
    truth, before = (to_digits(some.flatten(2), dynamics.levels)[hidden] for some in (codes[:, 1:], known[:, :-1]))
    each = functional.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view_as(truth).mean(dim=-1)
    weight = 1 + dynamics.config.happens_weight * (before != truth).any(dim=-1)
    cross_entropy = (each * weight).sum() / weight.sum()
    right = (logits.detach().argmax(-1) == truth).float().mean()
    copied = (before == truth).float().mean()
    return Loss(cross_entropy, {"cross_entropy": cross_entropy.detach(), "right": right, "right_by_copying": copied})


def _hidden_logits(
    dynamics: Dynamics,
    quantiser: Quantiser,
    known: Int[Tensor, "b t r c"],
    drawn: Int[Tensor, "b s r c"],
    *,
    hidden: Bool[Tensor, "b s n"],
    inferred: Int[Tensor, "b t"],
    said: Sequence[Float[Tensor, "b s #n w"]],
    again: tuple[Tensor, Tensor] | None,
) -> Float[Tensor, "m g k"]:
    """The digits' logits at the `hidden` places of the frames after the first (`s` is `t` - 1), of which the others show `drawn`.

    `known` are all frames as later ones see them. `said` is what else the frames are told, `again` the digits that they recall.
    """
    z, shown = quantiser.codes_to_z(known), quantiser.codes_to_z(drawn)
    told = dynamics.told(torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2), inferred)
    memory, asked = dynamics.remember(told, z), sum(said, start=told[:, 1:])
    outputs = dynamics.guess(asked, shown, hidden, memory, first=1, allowed=earlier_and_own(dynamics, known.shape[1]))
    before = to_digits(known[:, :-1].flatten(2), dynamics.levels)
    return dynamics.logits(outputs[hidden], before[hidden], None if again is None else tuple(part[hidden] for part in again))


@torch.no_grad()
def _partly_guessed(
    dynamics: Dynamics, codes: Int[Tensor, "b t r c"], logits_of: Callable[..., Float[Tensor, "m g k"]], rng: Generator
) -> Int[Tensor, "b t r c"]:
    """Windows of codes; of a share `guessed_share` every frame but the first is the likeliest one after the true ones before it, all
    guessed at once: later frames learn to follow what they will follow in play (arXiv:1906.04331)."""
    everything = torch.ones_like(codes[:, 1:].flatten(2), dtype=torch.bool)
    digits = logits_of(codes, codes[:, 1:], hidden=everything).argmax(-1)
    guessed = torch.cat([codes[:, :1], from_digits(digits, dynamics.levels).view_as(codes[:, 1:])], dim=1)
    chosen = torch.rand(len(codes), generator=rng, device=rng.device) < dynamics.config.guessed_share
    return torch.where(chosen[:, None, None, None], guessed, codes)


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


def hide(shape: torch.Size, passes: int, rng: Generator) -> Tensor:
    """Which places of each frame (`b t n`) are hidden: all, as in the first of `passes`, in one frame of so many, else each with a chance
    drawn for its frame between LEAST_HIDDEN and one. Where some are shown they tell what happens; only where none are must actions and
    texts."""
    chance = LEAST_HIDDEN + (1 - LEAST_HIDDEN) * torch.rand(*shape[:2], 1, generator=rng, device=rng.device)
    first = torch.rand(*shape[:2], 1, generator=rng, device=rng.device) * passes < 1
    return (torch.rand(shape, generator=rng, device=rng.device) < chance) | first


def swap_actions(inferred: Int[Tensor, "b s"], captions: UInt8[Tensor, "b t k"], share: float, rng: Generator) -> Int[Tensor, "b s"]:
    """Latent actions, of which in windows where anything is said a `share` is another window's, at the same step.

    What a text says changes pictures as an action does, and its latent action tells so. In play a key's does not: a dynamics that had read
    the event there would not listen to the text."""
    if not share:
        return inferred
    other = inferred[torch.randperm(len(inferred), generator=rng, device=rng.device)]
    swapped = torch.rand(inferred.shape, generator=rng, device=rng.device) < share
    said = (captions != 0).flatten(1).any(dim=1)
    return torch.where(swapped & said[:, None], other, inferred)


def earlier_and_own(dynamics: Dynamics, steps: int) -> Tensor:
    """Masked frames 1 ... `steps` - 1 look at known frames before them and at themselves, never at their own codes (`1 t k`)."""
    moments = torch.arange(steps, device=dynamics.masked.device)
    asking = moments[1:]
    known = dynamics.transformer.band(asking, moments)[0] & (asking[:, None] != moments)
    return torch.cat([known, asking[:, None] == asking], dim=1)[None]
