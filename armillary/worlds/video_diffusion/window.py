"""A stretch of video and actions, and what of it is known: the modes of one model are masks."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor

from armillary.worlds.video_diffusion.config import ModelConfig, ModeWeights
from armillary.worlds.video_diffusion.model import Layout
from armillary.worlds.video_diffusion.rotary import frame_ticks

HIDDEN, DRAWN, GIVEN = 0, 1, 2  # an action: nobody knows or asks, is asked for, is known
MODES = tuple(one.name for one in fields(ModeWeights))
NEEDS_TEXT = ("text_to_world",)
NEEDS_ACTIONS = ("forward_dynamics", "inverse_dynamics", "policy")
FULL_CONTEXT = 0.5  # of the windows; in the others fewer frames are given
PAST_HIDDEN = 0.2  # of the windows with actions: what was done between the given frames is not known
PART_KNOWN = 0.5  # of forward windows where a cell joins frames: actions are known up to some moment only


@dataclass(frozen=True)
class Window:
    """Frames of cells with the actions between frames of video. Where a frame is not `given`, what stands there does not count."""

    cells: Float[Tensor, "b c f y x"]
    given: Bool[Tensor, "b f"]
    augment: Float[Tensor, " b"]  # noise level of the frames given
    actions: Float[Tensor, "b s a"]  # standardised
    acted: Int[Tensor, "b s"]  # HIDDEN, DRAWN or GIVEN
    text: UInt8[Tensor, "b n"]


@dataclass(frozen=True)
class Noise:
    """What a window is drawn from, standard normal."""

    cells: Float[Tensor, "b c f y x"]
    actions: Float[Tensor, "b s a"]

    @classmethod
    def draw(cls, cells: tuple[int, ...], actions: tuple[int, ...], rng: Generator) -> "Noise":
        """Of these shapes."""
        return cls(*(torch.randn(*shape, generator=rng, device=rng.device) for shape in (cells, actions)))


def window_layout(frames: int, rate: int, seconds_per_step: float, device: torch.device) -> Layout:
    """Of `frames` frames of cells, `rate` frames of video each after the first, and the actions between those.

    Time counts frames of cells by their rate in the video (Cosmos' form); an action stands before the frame of video that it leads to.
    """
    step = torch.arange(1, 1 + (frames - 1) * rate, device=device)
    ticks = frame_ticks(frames, 1.0 / seconds_per_step, device=device)
    span = frame_ticks(2, 1.0 / seconds_per_step, device=device)[1]
    return Layout(ticks, torch.arange(frames, device=device), (step - 0.5) / rate * span, -(-step // rate))


def served_modes(weights: ModeWeights, *, has_text: bool, has_actions: bool) -> tuple[dict[str, float], tuple[str, ...]]:
    """The modes that the data can serve, with their weights (which sum to one), and those that it cannot though they were asked for."""
    wanted = {name: getattr(weights, name) for name in MODES if getattr(weights, name) > 0}
    lacking = (*(() if has_text else NEEDS_TEXT), *(() if has_actions else NEEDS_ACTIONS))
    kept = {name: weight for name, weight in wanted.items() if name not in lacking}
    total = sum(kept.values())
    return {name: weight / total for name, weight in kept.items()}, tuple(name for name in wanted if name in lacking)


def training_masks(
    config: ModelConfig, modes: dict[str, float], *, rows: int, frames: int, actions: int, rng: Generator
) -> tuple[Bool[Tensor, "b f"], Int[Tensor, "b s"]]:
    """Which frames of cells are given, and what is known of each action, by a mode that each row draws."""
    device, rate = rng.device, config.frames_per_cell
    mode_draw, count_draw, full_draw, past_draw, part_draw, known_draw = torch.rand(rows, 6, generator=rng, device=device).unbind(1)
    edges = torch.tensor(list(modes.values()), device=device).cumsum(0)
    chosen = torch.searchsorted(edges, mode_draw * edges[-1], right=True).clamp(max=len(modes) - 1)
    names = list(modes)

    def is_mode(*wanted: str) -> Bool[Tensor, " b"]:
        return sum((chosen == names.index(name) for name in wanted if name in names), torch.zeros_like(chosen)).bool()

    context = 1 + (count_draw * config.context_cells).long().clamp(max=config.context_cells - 1)
    context = torch.where(full_draw < FULL_CONTEXT, config.context_cells, context)
    context = torch.where(is_mode("text_to_world"), 0, torch.where(is_mode("image_to_world"), 1, context))
    context = torch.where(is_mode("inverse_dynamics"), frames, context.clamp(max=frames - 1))
    given = torch.arange(frames, device=device) < context[:, None]
    moment = torch.arange(actions, device=device)
    between = moment < ((context - 1) * rate)[:, None]  # between frames given
    known_until = torch.where((part_draw < PART_KNOWN) & (rate > 1), (known_draw * (actions + 1)).long(), actions)
    acted = torch.full((rows, actions), HIDDEN, device=device)
    acted = torch.where(is_mode("forward_dynamics")[:, None] & (moment < known_until[:, None]), GIVEN, acted)
    acted = torch.where(is_mode("inverse_dynamics")[:, None], DRAWN, acted)
    acted = torch.where(is_mode("policy")[:, None], torch.where(between, GIVEN, DRAWN), acted)
    forgets = (past_draw < PAST_HIDDEN) & is_mode("forward_dynamics", "policy")
    return given, torch.where(forgets[:, None] & between, HIDDEN, acted)
