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
NEEDS_VIEWS = ("view_to_view",)
FULL_CONTEXT = 0.5  # of the windows; in the others fewer frames are given
PAST_HIDDEN = 0.2  # of the windows with actions: what was done between the given frames is not known
PART_KNOWN = 0.5  # of forward windows where a cell joins frames: actions are known up to some moment only
UNSEEN = 0.3  # of the windows of several cameras: some of those are not seen at all
BEGUN = 0.5  # of the windows in which some cameras are drawn from others: their first frames are given too
TOLD = 0.5  # of the same windows: their actions are known


@dataclass(frozen=True)
class Window:
    """Frames of cells with the actions between frames of video. Where a frame is not `given`, what stands there does not count.

    The `v` cameras stand side by side in `cells`; `given` has the `f` frames of the first, then those of the second, and so on.
    """

    cells: Float[Tensor, "b c f y vx"]
    given: Bool[Tensor, "b vf"]
    augment: Float[Tensor, " b"]  # noise level of the frames given
    actions: Float[Tensor, "b s a"]  # standardised
    acted: Int[Tensor, "b s"]  # HIDDEN, DRAWN or GIVEN
    text: UInt8[Tensor, "b n"]


@dataclass(frozen=True)
class Noise:
    """What a window is drawn from, standard normal."""

    cells: Float[Tensor, "b c f y vx"]
    actions: Float[Tensor, "b s a"]

    @classmethod
    def draw(cls, cells: tuple[int, ...], actions: tuple[int, ...], rng: Generator) -> "Noise":
        """Of these shapes."""
        return cls(*(torch.randn(*shape, generator=rng, device=rng.device) for shape in (cells, actions)))


def views_apart(cells: Float[Tensor, "b c f y vx"], views: int) -> Float[Tensor, "b c vf y x"]:
    """Cameras that stand side by side, one after another: all frames of the first, then those of the second, and so on."""
    return cells if views == 1 else cells.unflatten(4, (views, -1)).permute(0, 1, 4, 2, 3, 5).flatten(2, 3)


def views_beside(cells: Float[Tensor, "b c vf y x"], views: int) -> Float[Tensor, "b c f y vx"]:
    """Side by side again."""
    return cells if views == 1 else cells.unflatten(2, (views, -1)).permute(0, 1, 3, 4, 2, 5).flatten(4)


def window_layout(frames: int, rate: int, seconds_per_step: float, device: torch.device, views: int = 1) -> Layout:
    """Of `frames` frames of cells, `rate` frames of video each after the first, and the actions between those; for each of `views` cameras.

    Time counts frames of cells by their rate in the video (Cosmos' form); an action stands before the frame of video that it leads to.
    """
    step = torch.arange(1, 1 + (frames - 1) * rate, device=device)
    ticks = frame_ticks(frames, 1.0 / seconds_per_step, device=device)
    span = frame_ticks(2, 1.0 / seconds_per_step, device=device)[1]
    seen_by = torch.arange(views, device=device).repeat_interleave(frames) if views > 1 else None
    steps = torch.arange(frames, device=device).repeat(views)
    return Layout(ticks.repeat(views), steps, (step - 0.5) / rate * span, -(-step // rate), seen_by)


def served_modes(weights: ModeWeights, *, has_text: bool, has_actions: bool, views: int = 1) -> tuple[dict[str, float], tuple[str, ...]]:
    """The modes that the data can serve, with their weights (which sum to one), and those that it cannot though they were asked for.

    Nobody asked for modes of several cameras where there is one, but if there is no other mode.
    """
    wanted = {name: getattr(weights, name) for name in MODES if getattr(weights, name) > 0}
    lacking = (*(() if has_text else NEEDS_TEXT), *(() if has_actions else NEEDS_ACTIONS), *(() if views > 1 else NEEDS_VIEWS))
    kept = {name: weight for name, weight in wanted.items() if name not in lacking}
    total = sum(kept.values())
    missing = tuple(name for name in wanted if name in lacking and (name not in NEEDS_VIEWS or not kept))
    return {name: weight / total for name, weight in kept.items()}, missing


def training_masks(
    config: ModelConfig, modes: dict[str, float], *, rows: int, frames: int, actions: int, rng: Generator, views: int = 1
) -> tuple[Bool[Tensor, "b vf"], Int[Tensor, "b s"]]:
    """Which frames of cells are given (as `Window` has them), and what is known of each action, by a mode that each row draws."""
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
    counts = context[:, None] if views == 1 else _given_by_view(context, is_mode("view_to_view"), frames, views, rng)
    given = (torch.arange(frames, device=device) < counts[..., None]).flatten(1)
    moment = torch.arange(actions, device=device)
    between = moment < ((context - 1) * rate)[:, None]  # between frames given
    known_until = torch.where((part_draw < PART_KNOWN) & (rate > 1), (known_draw * (actions + 1)).long(), actions)
    acted = torch.full((rows, actions), HIDDEN, device=device)
    acted = torch.where(is_mode("forward_dynamics")[:, None] & (moment < known_until[:, None]), GIVEN, acted)
    acted = torch.where(is_mode("inverse_dynamics")[:, None], DRAWN, acted)
    acted = torch.where(is_mode("policy")[:, None], torch.where(between, GIVEN, DRAWN), acted)
    acted = torch.where((is_mode("view_to_view") & (known_draw < TOLD))[:, None], GIVEN, acted)
    forgets = (past_draw < PAST_HIDDEN) & is_mode("forward_dynamics", "policy")
    return given, torch.where(forgets[:, None] & between, HIDDEN, acted)


def _given_by_view(context: Int[Tensor, " b"], crosses: Bool[Tensor, " b"], frames: int, views: int, rng: Generator) -> Int[Tensor, "b v"]:
    """How many frames of each camera are given. Of some cameras, at least one and never all, these are all frames where a row `crosses`;
    in other rows the rest is sometimes not seen at all."""
    order, number, begun, unseen = torch.rand(len(context), views + 3, generator=rng, device=rng.device).split((views, 1, 1, 1), dim=1)
    chosen = order.argsort(1).argsort(1) <= (number * (views - 1)).long().clamp(max=views - 2)
    usual = torch.where(chosen | (unseen >= UNSEEN), context[:, None], 0)
    crossing = torch.where(chosen, frames, torch.where(begun < BEGUN, context[:, None], 0))
    return torch.where(crosses[:, None], crossing, usual)
