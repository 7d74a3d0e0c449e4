"""The losses of the two phases, on windows of frames."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn

from armillary.core import Loss
from armillary.nn.causal_convolution import Memory
from armillary.nn.token_sampling import choose, gumbel_noise
from armillary.tokenizers.network import VideoAutoencoder
from armillary.worlds.autoregressive.config import ModelConfig
from armillary.worlds.autoregressive.losses import decibel_loss, next_code_loss
from armillary.worlds.autoregressive.model import CodePredictor, Known


def tokenize_loss(
    tokenizer: VideoAutoencoder, detail: nn.Module, config: ModelConfig, frames: Float[Tensor, "b t 3 h w"], rng: Generator, *, learns: bool
) -> Loss:
    """Each window's last context frame and one later frame: both through codes, and the later one repaired with the first."""
    count, now = len(frames), config.context_steps - 1
    later = torch.randint(now + 1, frames.shape[1], (count,), generator=rng, device=rng.device)
    real = torch.stack([frames[:, now], frames[torch.arange(count, device=later.device), later]], dim=1)
    parts = {}
    with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
        encoded = tokenizer.read(real, Memory())
        quantised = tokenizer.discrete().quantise(encoded)
        drawn = tokenizer.decode(quantised.z)
    if learns:
        tokenizer.discrete().observe(encoded, quantised.codes, rng)
        parts |= quantised.losses
        parts["codes"], told = decibel_loss(drawn, real)
    repaired = detail(drawn[:, 1], drawn[:, 0], real[:, 0])
    parts["repaired"], told_repaired = decibel_loss(repaired, real[:, 1])
    report = {name: part.detach() for name, part in parts.items()} | {"psnr_repaired": told_repaired}
    if learns:
        report["psnr_codes"] = told
    return Loss(torch.stack(list(parts.values())).sum(), report)


def predict_loss(
    predictor: CodePredictor,
    tokenizer: VideoAutoencoder,
    config: ModelConfig,
    frames: Float[Tensor, "b t 3 h w"],
    actions: Float[Tensor, "b t a"],
    rng: Generator,
    *,
    corrupt: bool,
) -> Loss:
    """The next codes of a few frames in a row, drawn from each window; only frames after the last real one count."""
    known, codes, counts = _segment(tokenizer, config, frames, actions, rng, corrupt=corrupt)
    table = predictor.codes(tokenizer.discrete())
    if corrupt and config.own_codes:
        seen = _with_own(predictor, table.detach(), config, known, codes, counts, rng)
        known = Known(**(vars(known) | {"before": torch.cat([known.before[:, :1], seen[:, :-1]], dim=1)}))
    else:
        seen = codes
    logits = predictor.logits(table, predictor.follow(table, known, seen)[counts].flatten(0, 1))
    truth = codes.flatten(2)[counts].flatten()
    cross_entropy, z_loss = next_code_loss(logits, truth)
    right = (logits.detach().argmax(-1) == truth).float().mean()
    return Loss(
        cross_entropy + config.z_weight * z_loss, {"cross_entropy": cross_entropy.detach(), "z_loss": z_loss.detach(), "right": right}
    )


@torch.no_grad()
def _segment(
    tokenizer: VideoAutoencoder, config: ModelConfig, frames: Tensor, actions: Tensor, rng: Generator, *, corrupt: bool
) -> tuple[Known, Int[Tensor, "b s r c"], Bool[Tensor, "b s"]]:
    """(what is known, codes, which frames count) of `context_steps` + 1 frames in a row, from anywhere in each window."""
    count, now, length = len(frames), config.context_steps - 1, config.context_steps + 1
    rows = torch.arange(count, device=rng.device)[:, None]
    first = torch.randint(0, frames.shape[1] - length + 1, (count, 1), generator=rng, device=rng.device)
    index = first + torch.arange(length, device=rng.device)
    before = (index - 1).clamp_min(0)
    picked = torch.cat([before[:, :1], index, torch.full_like(first, now)], dim=1)
    codes = tokenizer.codes(frames[rows, picked])
    hidden = torch.rand(2, count, 1, generator=rng, device=rng.device) < (config.hidden_share if corrupt else 0.0)
    has_past = (index > 0) & ~(hidden[0] & (index == first))
    known = Known(
        before=codes[:, :length],
        has_before=has_past,
        action=actions[rows, before],
        has_action=has_past,
        real=codes[:, -1],
        origin=actions[:, max(now - 1, 0)],
        has_origin=~hidden[1][:, 0] & (now > 0),
    )
    return known, codes[:, 1:-1], index > now


@torch.no_grad()
def _with_own(
    predictor: CodePredictor,
    table: Float[Tensor, "k w"],
    config: ModelConfig,
    known: Known,
    codes: Int[Tensor, "b s r c"],
    counts: Bool[Tensor, "b s"],
    rng: Generator,
) -> Int[Tensor, "b s r c"]:
    """Codes, a random share of which in each window are those that the model itself would have drawn there (arXiv:1906.07651)."""
    flat = codes.flatten(2)
    share, chance = torch.rand(len(flat), 1, 1, generator=rng, device=rng.device), torch.rand(flat.shape, generator=rng, device=rng.device)
    replaced = (chance < config.own_codes * share) & counts[..., None]
    logits = predictor.logits(table, predictor.follow(table, known, codes)[replaced])
    own = choose(logits, gumbel_noise(tuple(logits.shape), rng), temperature=1.0, top_p=config.top_p)
    return flat.masked_scatter(replaced, own).reshape(codes.shape)
