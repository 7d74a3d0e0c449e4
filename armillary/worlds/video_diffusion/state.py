"""Where a dream is: a chunk, how far it was stepped, and what it looks like so far."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from armillary.core import State
from armillary.worlds.video_diffusion.chunks import Asked, Chunks
from armillary.worlds.video_diffusion.window import GIVEN, HIDDEN, Noise


@dataclass(frozen=True)
class VideoState(State):
    """The chunk that is being dreamt: what it began from, what was done in it, and the noise that it is drawn from.

    Of the `k` frames before the chunk the last `count` are there, of those cameras that `seen` names; as many of them are used as cells
    allow. Actions are standardised; `known` says of those between the frames whether anyone told them. `augment` is the noise level of
    the frames: zero for real ones.
    """

    context: Float[Tensor, "b k 3 h vw"]
    count: Int[Tensor, " b"]
    seen: Bool[Tensor, "b v"]
    between: Float[Tensor, "b m a"]
    known: Bool[Tensor, "b m"]
    augment: Float[Tensor, " b"]
    done: Float[Tensor, "b t a"]
    position: Int[Tensor, " b"]  # steps since the last of those frames
    text: UInt8[Tensor, "b n"]
    noise: Float[Tensor, "b c f y x"]
    action_noise: Float[Tensor, "b s a"]


def begin(chunks: Chunks, rng: Generator, /, **known: Tensor) -> VideoState:
    """The first state of a chunk."""
    rows, size = len(known["context"]), len(chunks.denoiser.standardise.mean)
    noise = chunks.noise(rows, chunks.config.context_steps + chunks.config.chunk_steps, rng)
    done = known["between"].new_zeros(rows, chunks.config.chunk_steps, size)
    return VideoState(**known, done=done, position=torch.zeros_like(known["count"]), noise=noise.cells, action_noise=noise.actions)


def film(chunks: Chunks, state: VideoState, count: int, position: int) -> Float[Tensor, "b t 3 h vw"]:
    """The chunk so far, from the first frame used to the picture at `position`. All rows have the same `count` and `position`.

    What a camera that was not seen would have shown of those frames is drawn as well.
    """
    config, used = chunks.config, chunks.longest(count)
    first = config.context_steps - used
    frames = state.context[:, first:]
    if position == 0 and bool(state.seen.all()):
        return frames
    whole = chunks.shortest(used + position)
    acted = torch.where(state.known[:, first:], GIVEN, HIDDEN)
    asked = Asked(
        frames=frames,
        shown=used * state.seen.long(),
        actions=padded(torch.cat([state.between[:, first:], state.done[:, :position]], dim=1), whole - 1),
        acted=padded(torch.cat([acted, acted.new_full((len(acted), position), GIVEN)], dim=1), whole - 1),
        augment=state.augment,
        text=state.text,
    )
    cell, rate = first // config.frames_per_cell, config.frames_per_cell
    cells = state.noise[:, :, cell : cell + 1 + (whole - 1) // rate]
    return chunks.draw(asked, Noise(cells, state.action_noise[:, first : first + whole - 1]))[0][:, : used + position]


def next_chunk(chunks: Chunks, state: VideoState, rng: Generator) -> VideoState:
    """The state, where its chunk has ended at the beginning of the next, whose noise is fresh."""
    noise = chunks.noise(state.batch_size, chunks.config.context_steps + chunks.config.chunk_steps, rng)
    ended = (state.position >= chunks.config.chunk_steps).nonzero()[:, 0]
    if not len(ended):
        return state
    old = state.rows(ended)
    frames, count, augment = recent(chunks, old)
    between, known = past(old)
    new = replace(old, context=frames, count=count, between=between, known=known, augment=augment, done=torch.zeros_like(old.done))
    new = replace(
        new,
        seen=torch.ones_like(old.seen),
        position=torch.zeros_like(old.position),
        noise=noise.cells[ended],
        action_noise=noise.actions[ended],
    ).tensors()
    return state.with_tensors({name: tensor.index_copy(0, ended, new[name]) for name, tensor in state.tensors().items()})


def recent(chunks: Chunks, state: VideoState) -> tuple[Float[Tensor, "b k 3 h vw"], Int[Tensor, " b"], Float[Tensor, " b"]]:
    """The last pictures of all cameras, given or drawn, how many there are, and their noise level as a context."""
    most, frames, count = chunks.config.context_steps, torch.zeros_like(state.context), torch.zeros_like(state.count)
    for rows, had, position in alike(state):
        drawn = film(chunks, state.rows(rows), had, position)
        unused = state.context[rows, most - had : most - chunks.longest(had)]
        shown = torch.cat([unused, drawn], dim=1) if bool(state.seen[rows].all()) else drawn
        kept = min(shown.shape[1], most)
        frames[rows] = filled(shown[:, -kept:], most)
        count[rows] = kept
    dreamt = torch.where((state.position > 0) | ~state.seen.all(1), chunks.config.context_noise, state.augment)
    return frames, count, dreamt


def past(state: VideoState) -> tuple[Float[Tensor, "b m a"], Bool[Tensor, "b m"]]:
    """The actions between the last frames, and which of them are known."""
    actions = torch.cat([state.between, state.done], dim=1)
    known = torch.cat([state.known, torch.ones_like(state.done[..., 0], dtype=torch.bool)], dim=1)
    index = state.position[:, None] + torch.arange(state.between.shape[1], device=actions.device)
    return actions.gather(1, index[..., None].expand(-1, -1, actions.shape[2])), known.gather(1, index)


def alike(state: VideoState) -> list[tuple[Int[Tensor, " n"], int, int]]:
    """Rows whose chunks have as many frames given and as many drawn, of all cameras or not: (rows, given, drawn)."""
    kinds, which = torch.stack([state.count, state.position, state.seen.all(1)], dim=1).unique(dim=0, return_inverse=True)
    return [((which == index).nonzero()[:, 0], *kind[:2]) for index, kind in enumerate(kinds.tolist())]


def filled(values: Tensor, steps: int) -> Tensor:
    """The last `steps`, with zeros before where there are fewer."""
    values = values[:, values.shape[1] - min(steps, values.shape[1]) :]
    return torch.cat([values.new_zeros(len(values), steps - values.shape[1], *values.shape[2:]), values], dim=1)


def padded(values: Tensor, steps: int) -> Tensor:
    """The first `steps`, with zeros after where there are fewer (of what is known of actions: hidden)."""
    values = values[:, :steps]
    return torch.cat([values, values.new_zeros(len(values), steps - values.shape[1], *values.shape[2:])], dim=1)
