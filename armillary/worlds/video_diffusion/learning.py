"""The loss of one batch: every row draws a mode, a level and noise; some rows are single frames."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from armillary.core import Batch, Loss
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.denoiser import Denoiser
from armillary.worlds.video_diffusion.space import Space
from armillary.worlds.video_diffusion.text import TextReader
from armillary.worlds.video_diffusion.window import HIDDEN, Noise, Window, training_masks

AUGMENTED = 0.5  # of the windows: the frames given are noisy, up to twice the level of dreamt context


def batch_loss(
    config: ModelConfig,
    modes: Mapping[str, float],
    denoiser: Denoiser,
    space: Space,
    reader: TextReader | None,
    batch: Batch,
    actions: Float[Tensor, "b t a"],
    rng: Generator,
) -> Loss:
    """The loss of windows of video and of single frames, each by its share of the rows. `actions` are the batch's, standardised."""
    text = batch_text(batch, config.text_bytes, reader)
    if reader is not None:
        dropped = torch.rand(len(batch), 1, generator=rng, device=rng.device) < config.text_dropout
        text = text.masked_fill(dropped, 0)
    count = len(batch)
    images = _num_images(config, count)
    videos = slice(images, count)
    level = denoiser.noising.draw(count, rng)  # like all that is drawn, for the whole batch: then several processes draw what one would
    frames = batch.frames[:, : _length(config, rng)]
    steps = frames.shape[1] - 1
    cells = space.to_cells(frames[videos])
    given, acted = training_masks(config, dict(modes), rows=count, frames=cells.shape[2], actions=steps, rng=rng, views=denoiser.views)
    draw = torch.rand(count, 2, generator=rng, device=rng.device)
    augment = torch.where(draw[:, 0] < AUGMENTED, 2.0 * config.context_noise * draw[:, 1], 0.0)
    window = Window(cells, given[videos], augment[videos], actions[videos, :steps], acted[videos], text[videos])
    noise = Noise.draw((count, *cells.shape[1:]), (count, *window.actions.shape[1:]), rng)
    noise = Noise(noise.cells[videos], noise.actions[videos])
    parts = denoiser.loss(window, noise, level[videos], None if reader is None else reader(window.text))
    if images:
        moment = (torch.rand(count, generator=rng, device=rng.device) * batch.frames.shape[1]).long()[:images]
        cells = space.to_cells(batch.frames[torch.arange(images, device=moment.device), moment][:, None])
        nothing = torch.zeros(images, denoiser.views, dtype=torch.bool, device=rng.device)
        acted = torch.full((images, 0), HIDDEN, device=rng.device)
        window = Window(cells, nothing, torch.zeros(images, device=rng.device), actions[:images, :0], acted, text[:images])
        noise = Noise.draw((count, *cells.shape[1:]), (count, *window.actions.shape[1:]), rng)
        noise = Noise(noise.cells[:images], noise.actions[:images])
        image = denoiser.loss(window, noise, level[:images], None if reader is None else reader(window.text))
        parts["image"] = image["video"]
    share = {"video": 1 - images / count, "actions": config.action_weight * (1 - images / count), "image": images / count}
    total = sum((share[name] * part for name, part in parts.items()), torch.zeros((), device=rng.device))
    return Loss(total, {name: part.detach() for name, part in parts.items()})


def batch_text(batch: Batch, length: int, reader: TextReader | None) -> UInt8[Tensor, "b n"]:
    """The batch's text in `length` bytes; of no length where nothing reads it."""
    if reader is None:
        return torch.zeros(len(batch), 0, dtype=torch.uint8, device=batch.frames.device)
    text = torch.zeros(len(batch), length, dtype=torch.uint8, device=batch.frames.device)
    if batch.text is not None:
        kept = min(length, batch.text.shape[1])
        text[:, :kept] = batch.text[:, :kept]
    return text


def _num_images(config: ModelConfig, rows: int) -> int:
    """Of a batch: at least one where there are to be any, but never all."""
    return min(max(1, round(config.image_share * rows)), rows - 1) if config.image_share else 0


def _length(config: ModelConfig, rng: Generator) -> int:
    """Frames of a window. All of them where the order is causal; else any number, for chunks that are drawn as far as actions are known."""
    if config.causal:
        return config.context_steps + config.chunk_steps
    cells = config.chunk_steps // config.frames_per_cell
    drawn = 1 + int(torch.rand(1, generator=rng, device=rng.device) * cells)
    return config.context_steps + min(drawn, cells) * config.frames_per_cell
