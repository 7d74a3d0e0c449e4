"""Events in dreams: a world that does what it is told is told from one that does not, and onsets are where captions begin."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import ConfigError, DataError, Episode, Prompt, Promptable, Renders, State, World, WorldError, WorldSpec
from armillary.evaluate.events import SETTLED, judge_events, learn_events, onsets, settled

CAMERA, SIDE, EVENTS = "view", 16, ("red", "blue")
COLOURS = {"": (90, 90, 90), "red": (200, 40, 40), "blue": (40, 40, 200)}


def episode(*stretches: tuple[str, int], index: int = 0) -> Episode:
    """Noisy frames in the colour of what is said of them."""
    captions = tuple(text for text, length in stretches for _ in range(length))
    noise = np.random.default_rng(index).integers(0, 40, (len(captions), SIDE, SIDE, 3))
    frames = (np.array([COLOURS[text] for text in captions])[:, None, None] + noise).astype(np.uint8)
    return Episode(
        frames={CAMERA: frames}, actions=np.zeros((len(captions), 1), np.float32), seconds_per_step=0.1, captions=captions, index=index
    )


EPISODES = [episode(("", 10), ("red", 9), ("", 12), ("blue", 9), index=index) for index in range(3)]


@dataclass(frozen=True)
class Told(State):
    """A picture, and the number of what was told."""

    picture: torch.Tensor
    told: torch.Tensor


class Painter(World[Told], Renders, Promptable):
    """Paints the colour that it is told; `deaf`, it never changes; `wilful`, it is always red."""

    spec = WorldSpec(
        observation_space=gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8),
        action_space=gymnasium.spaces.Box(-1, 1, (1,), np.float32),
        seconds_per_step=0.1,
        prompt=("frames",),
        context_steps=2,
    )
    events = EVENTS

    def __init__(self, manner: str = "obeys"):
        self.manner = manner

    def start(self, prompt: Prompt, rng):
        return Told(picture=prompt.frames[:, -1], told=torch.zeros(len(prompt.frames), dtype=torch.long))

    def prompt(self, state, text):
        return replace(state, told=torch.tensor([list(COLOURS).index(one) for one in text]))

    def step(self, state, action, rng):
        if self.manner == "deaf":
            return state
        told = torch.ones_like(state.told) if self.manner == "wilful" else state.told
        colours = torch.tensor(list(COLOURS.values()))[told] / 255 + 0.08
        return replace(state, picture=colours[:, :, None, None].expand_as(state.picture).float())

    def render(self, state):
        return {"rgb": state.picture}


class Deaf(World[Told]):
    """Cannot be told anything."""

    def start(self, prompt: Prompt, rng):
        raise NotImplementedError

    def step(self, state, action, rng):
        raise NotImplementedError


@pytest.fixture(scope="module")
def classifier():
    return learn_events(EPISODES, camera=CAMERA, events=EVENTS, steps=60)


def test_who_obeys_is_told_from_who_does_not(classifier):
    seen = {manner: judge_events(Painter(manner), EPISODES, classifier, camera=CAMERA) for manner in ("obeys", "deaf", "wilful")}
    assert seen["obeys"].events == ("red", "blue") * 3 and all(one.real.all() for one in seen.values())
    assert seen["obeys"].prompted.all() and not seen["obeys"].unprompted.any() and not seen["obeys"].false_alarm.any()
    assert (seen["obeys"].psnr_prompted > seen["obeys"].psnr_unprompted + 5).all()
    assert not seen["deaf"].prompted.any() and (seen["deaf"].psnr_prompted == seen["deaf"].psnr_unprompted).all()
    assert seen["wilful"].prompted.tolist() == seen["wilful"].unprompted.tolist() == [True, False] * 3
    assert seen["wilful"].false_alarm.all()


def test_onsets_follow_quiet_frames_and_leave_room():
    first, second = 10, 31
    assert [(one.first, one.event) for one in onsets(EPISODES[:1], context=2, ahead=8)] == [(first, "red"), (second, "blue")]
    assert [one.first for one in onsets(EPISODES[:1], context=first - SETTLED + 1, ahead=8)] == [second]
    assert [one.first for one in onsets(EPISODES[:1], context=2, ahead=9 + 1)] == [first]
    assert not onsets([episode(("red", 20))], context=2, ahead=2), "it began before the recording"


def test_only_settled_frames_are_learned_from():
    assert settled(EPISODES[:1], "red") == [(0, t) for t in range(10 + SETTLED, 19)]


def test_what_cannot_be_judged_says_why(classifier):
    with pytest.raises(DataError, match="blue"):
        learn_events([episode(("", 10), ("red", 10))], camera=CAMERA, events=EVENTS)
    with pytest.raises(DataError, match="no event begins"):
        judge_events(Painter(), [episode(("", 20))], classifier, camera=CAMERA)
    with pytest.raises(ConfigError, match="not blue"):
        judge_events(Painter(), EPISODES, learn_events(EPISODES, camera=CAMERA, events=("red",), steps=1), camera=CAMERA)
    with pytest.raises(WorldError, match="Promptable"):
        judge_events(Deaf(), EPISODES, classifier, camera=CAMERA)
