"""Leave and return: is what was there still there? And what becomes of a dream many times as long as the windows of training.

A world is shown a recording up to a moment shortly before a place comes into view again that was out of view for a while, and dreams on
under the recorded actions. Once the place is in view, its pictures are compared with the true ones. Beside them stand the last frame that
was shown, and the last true frame of that place from before it was left: what a perfect memory that moves nothing would show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import ConfigError, DataError, Episode, Prompt, Renders, World, WorldError, seeded, to_model
from armillary.evaluate.video import psnr

Count = Callable[[Tensor], Tensor]  # frames "t 3 h w" to how many things of a kind each shows, "t"


@dataclass(frozen=True)
class Return:
    """From frame `first` of an episode on a place is in view that was last seen in frame `before`."""

    episode: int
    first: int
    before: int


@dataclass(frozen=True, kw_only=True)
class Dreamed:
    """PSNR in dB and, by what was counted, how far counts are off, by whose pictures: `n` dreams, `t` frames each."""

    psnr: Mapping[str, Float[np.ndarray, "n t"]]
    miscounted: Mapping[str, Mapping[str, Float[np.ndarray, "n t"]]]


def find_returns(places: Sequence[Int[np.ndarray, "_"]], *, away: int, context: int, lead: int, ahead: int) -> list[Return]:
    """The moments at which a place is in view again, after `away` frames of others at least.

    `places` says of each frame which place it shows. `lead` frames before the moment there are `context` frames, after it `ahead`, all
    of which show the place.

    >>> find_returns([np.array([0, 0, 1, 1, 1, 0, 0])], away=3, context=2, lead=1, ahead=2)
    [Return(episode=0, first=5, before=1)]
    """
    found = []
    for episode, seen in enumerate(places):
        for first in range(context + lead, len(seen) - ahead + 1):
            earlier = np.flatnonzero(seen[:first] == seen[first])
            new = seen[first] != seen[first - 1] and (seen[first : first + ahead] == seen[first]).all()
            if new and len(earlier) and first - 1 - earlier[-1] >= away:
                found.append(Return(episode, first, int(earlier[-1])))
    return found


@torch.no_grad()
def judge_returns(
    world: World,
    episodes: Sequence[Episode],
    moments: Sequence[Return],
    *,
    camera: str,
    lead: int,
    ahead: int,
    counts: Mapping[str, Count],
    seed: int = 0,
) -> Dreamed:
    """Dream from `lead` frames before each moment; judged are the `ahead` frames from the moment on.

    Subjects: `model`, `copy_last` (the last frame shown) and `seen_before` (the last frame of the place before it was left).
    """
    _check(world, moments)
    judged = []
    for number, one in enumerate(moments):
        frames = to_model(episodes[one.episode].frames[camera][: one.first + ahead])
        shown = one.first - lead
        dreamed = dream_on(world, frames[:shown], episodes[one.episode].actions[: one.first + ahead - 1], seed + number)
        still = {"copy_last": frames[shown - 1], "seen_before": frames[one.before]}
        told = {"model": dreamed[lead:], **{name: picture.expand(ahead, -1, -1, -1) for name, picture in still.items()}}
        judged.append(_measured(told, frames[one.first :], counts))
    return _joined(judged)


@torch.no_grad()
def judge_long_play(
    world: World, episodes: Sequence[Episode], *, camera: str, shown: int, ahead: int, counts: Mapping[str, Count], seed: int = 0
) -> Dreamed:
    """Dream `ahead` frames after the first `shown` of every episode. Subjects: `model` and `copy_last`."""
    _check(world, episodes)
    judged = []
    for number, episode in enumerate(episodes):
        if len(episode) < shown + ahead:
            raise DataError(
                f"episode {episode.index} has {len(episode)} frames, fewer than {shown} to show and {ahead} to dream; leave it out"
            )
        frames = to_model(episode.frames[camera][: shown + ahead])
        dreamed = dream_on(world, frames[:shown], episode.actions[: shown + ahead - 1], seed + number)
        told = {"model": dreamed, "copy_last": frames[shown - 1].expand(ahead, -1, -1, -1)}
        judged.append(_measured(told, frames[shown:], counts))
    return _joined(judged)


def dream_on(world: World, frames: Float[Tensor, "t 3 h w"], actions: Float[np.ndarray, "s a"], seed: int) -> Float[Tensor, "n 3 h w"]:
    """What the world draws after `t` frames that it is shown all of, under the actions after those between them."""
    between, ahead = torch.from_numpy(actions)[None].split([len(frames) - 1, len(actions) - len(frames) + 1], dim=1)
    rng = seeded(seed)
    state = world.start(Prompt(frames=frames[None], actions=between), rng)
    return torch.cat([world.render(one)["rgb"] for one in world.rollout(state, ahead, rng)])


def _check(world: World, moments: Sequence) -> None:
    if not isinstance(world, Renders):
        raise WorldError(f"{type(world).__name__} shows nothing to be compared; give a world that Renders")
    if not moments:
        raise ConfigError("there is nothing to judge: no place comes into view again; record longer episodes that go to and fro")


def _measured(
    told: Mapping[str, Float[Tensor, "t 3 h w"]], real: Float[Tensor, "t 3 h w"], counts: Mapping[str, Count]
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    off = {what: {name: (count(video) - count(real)).abs() for name, video in told.items()} for what, count in counts.items()}
    return {name: psnr(video[None], real[None])[0] for name, video in told.items()}, off


def _joined(judged: Sequence[tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]]) -> Dreamed:
    first_psnr, first_off = judged[0]
    return Dreamed(
        psnr={name: torch.stack([one[0][name] for one in judged]).double().numpy() for name in first_psnr},
        miscounted={
            what: {name: torch.stack([one[1][what][name] for one in judged]).double().numpy() for name in by}
            for what, by in first_off.items()
        },
    )
