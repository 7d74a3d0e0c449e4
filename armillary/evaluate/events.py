"""Does what a world was told in words happen in its dreams? A classifier that learned from true frames says.

Judged at every onset of recordings whose frames have captions: the moment from which a caption holds, after enough frames without one.
From the frames before it the world dreams on under the recorded actions, told the caption, and beside it told nothing. An event is
recognised in a dream when the classifier finds it in any of the dream's frames; PSNR is against what really followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError, DataError, Episode, Prompt, Promptable, Renders, World, WorldError, seeded, to_model
from armillary.evaluate.video import psnr

SETTLED = 4  # frames that a caption must have held for what it says to be in full view
LEARNING_RATE, BATCH = 2e-3, 48
ONSETS_AT_ONCE = 16


@dataclass(frozen=True)
class Onset:
    """`event` holds from frame `first` of an episode on."""

    episode: int
    first: int
    event: str


class EventClassifier(nn.Module):
    """A picture to which of `events` it shows, or none (the first of the answers)."""

    def __init__(self, events: Sequence[str]):
        super().__init__()
        self.events = tuple(events)
        sizes = (3, 16, 32, 64)
        layers = [(nn.Conv2d(size, wider, 3, stride=2, padding=1), nn.GELU()) for size, wider in pairwise(sizes)]
        self.layers = nn.Sequential(*(part for layer in layers for part in layer), nn.AdaptiveMaxPool2d(4), nn.Flatten())
        self.head = nn.Linear(sizes[-1] * 16, len(self.events) + 1)

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        return self.head(self.layers(2 * frames - 1))

    @torch.no_grad()
    def recognise(self, frames: Float[Tensor, "b t 3 h w"]) -> Bool[Tensor, "b k"]:
        """Which of `events` some frame of each video shows."""
        found = self(frames.flatten(0, 1)).argmax(dim=-1).unflatten(0, frames.shape[:2])
        return (found[..., None] == torch.arange(1, len(self.events) + 1, device=frames.device)).any(dim=1)


@dataclass(frozen=True, kw_only=True)
class EventDreams:
    """Of `n` onsets (of `events`): recognised in dreams told so, which others were seen there; the same where nothing was told; in truth.

    `false_alarm` is whether any event at all is seen in the dream that was told nothing. PSNR in dB, mean over the dream.
    """

    events: tuple[str, ...]
    prompted: Bool[np.ndarray, " n"]
    unprompted: Bool[np.ndarray, " n"]
    false_alarm: Bool[np.ndarray, " n"]
    real: Bool[np.ndarray, " n"]
    psnr_prompted: Float[np.ndarray, " n"]
    psnr_unprompted: Float[np.ndarray, " n"]


def learn_events(episodes: Sequence[Episode], *, camera: str, events: Sequence[str], steps: int = 400, seed: int = 0) -> EventClassifier:
    """A classifier of true frames whose caption has held for SETTLED frames, every answer as often, half of them blurred.

    DataError for an answer without frames.
    """
    answers = ("", *events)
    places = [settled(episodes, text) for text in answers]
    if missing := [text or "no event" for text, found in zip(answers, places, strict=True) if not found]:
        raise DataError(f"no frame of these {len(episodes)} episodes shows {', '.join(missing)} for {SETTLED} frames; record more")
    rng = seeded(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = EventClassifier(events)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    for step in range(steps):
        answer = torch.randint(len(answers), (BATCH,), generator=rng)
        drawn = [places[which][int(torch.randint(len(places[which]), (1,), generator=rng))] for which in answer.tolist()]
        frames = to_model(np.stack([episodes[episode].frames[camera][t] for episode, t in drawn]))
        if step % 2:  # dreams are less sharp than what was recorded
            frames = functional.interpolate(functional.avg_pool2d(frames, 2), scale_factor=2.0)
        loss = functional.cross_entropy(model(frames), answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def settled(episodes: Sequence[Episode], text: str) -> list[tuple[int, int]]:
    """(position, frame) of every frame before which `text` has held for SETTLED frames."""
    return [
        (position, t)
        for position, episode in enumerate(episodes)
        for t in range(SETTLED, len(episode))
        if all(said == text for said in episode.texts[t - SETTLED : t + 1])
    ]


def onsets(episodes: Sequence[Episode], *, context: int, ahead: int) -> list[Onset]:
    """The moments from which a caption holds, with `context` quiet frames before them, nothing fading in those, and `ahead` after."""
    found = []
    for position, episode in enumerate(episodes):
        texts = episode.texts
        for t in range(max(context + SETTLED, 1), len(texts) - ahead + 1):
            if texts[t] and not any(texts[t - context - SETTLED : t]):
                found.append(Onset(position, t, texts[t]))
    return found


@torch.no_grad()
def judge_events(
    world: World, episodes: Sequence[Episode], classifier: EventClassifier, *, camera: str, within: int = 8, seed: int = 0
) -> EventDreams:
    """Dream `within` steps from every onset, told the event and told nothing, with the same noise.

    WorldError for a world that cannot be told, ConfigError for a classifier that does not know an event, DataError without an onset.
    """
    if not (isinstance(world, Promptable) and isinstance(world, Renders)):
        raise WorldError(f"{type(world).__name__} cannot be told of events; give a world that is Promptable and Renders")
    context = world.spec.context_steps
    moments = onsets(episodes, context=context, ahead=within)
    if not moments:
        raise DataError(f"no event begins after {context + SETTLED} quiet frames and {within} frames before an episode's end; record more")
    if unknown := {one.event for one in moments} - set(classifier.events):
        raise ConfigError(f"the classifier knows {', '.join(classifier.events)}, not {', '.join(sorted(unknown))}")
    columns: dict[str, list[Tensor]] = {}
    for begin in range(0, len(moments), ONSETS_AT_ONCE):
        part = moments[begin : begin + ONSETS_AT_ONCE]
        cut = [slice(one.first - context, one.first + within) for one in part]
        frames = to_model(np.stack([episodes[one.episode].frames[camera][span] for one, span in zip(part, cut, strict=True)]))
        actions = torch.from_numpy(np.stack([episodes[one.episode].actions[span] for one, span in zip(part, cut, strict=True)]))
        start = world.start(
            Prompt(batch_size=len(part), frames=frames[:, :context], actions=actions[:, : context - 1]), seeded(seed + begin)
        )
        futures = {
            "prompted": _dream(world, world.prompt(start, [one.event for one in part]), actions[:, context - 1 : -1], seed + begin),
            "unprompted": _dream(world, world.prompt(start, [""] * len(part)), actions[:, context - 1 : -1], seed + begin),
            "real": frames[:, context:],
        }
        asked = torch.tensor([classifier.events.index(one.event) for one in part])
        seen = {name: classifier.recognise(video) for name, video in futures.items()}
        found = {name: told.gather(1, asked[:, None])[:, 0] for name, told in seen.items()}
        found |= {f"psnr_{name}": psnr(futures[name], futures["real"]).mean(dim=1) for name in ("prompted", "unprompted")}
        for name, values in (found | {"false_alarm": seen["unprompted"].any(dim=1)}).items():
            columns.setdefault(name, []).append(values)
    joined = {name: torch.cat(parts).numpy() for name, parts in columns.items()}
    return EventDreams(events=tuple(one.event for one in moments), **joined)


def _dream(world: World, state, actions: Float[Tensor, "b t a"] | Int[Tensor, "b t"], seed: int) -> Float[Tensor, "b t 3 h w"]:
    return torch.stack([world.render(one)["rgb"] for one in world.rollout(state, actions, seeded(seed))], dim=1)
