"""Leave and return: a world that remembers is told from one that does not, and moments are those at which a place comes back."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import ConfigError, DataError, Episode, Prompt, Renders, State, World, WorldSpec
from armillary.evaluate.returns import Return, find_returns, judge_long_play, judge_returns

CAMERA, SIDE = "view", 8
PLACES = np.array([0] * 6 + [1] * 6 + [0] * 6)
COUNTS = {"bright": lambda frames: (frames.mean(dim=(1, 2, 3)) > 0.5).float()}


def episode(index: int, length: int = 18) -> Episode:
    """Place 0 has a shade of its own in every episode, place 1 is white; the action says in which the next frame is."""
    shades = np.where(PLACES == 0, 40 + 10 * index, 255)
    frames = np.broadcast_to(shades[:, None, None, None], (18, SIDE, SIDE, 3)).astype(np.uint8)
    actions = np.append(PLACES[1:], 0)[:, None].astype(np.float32)
    return Episode(frames={CAMERA: frames[:length]}, actions=actions[:length], seconds_per_step=0.1, index=index)


@dataclass(frozen=True)
class Shades(State):
    """The shade in view, and that of place 0 as far as it is known."""

    shade: torch.Tensor
    home: torch.Tensor


class Rooms(World[Shades], Renders):
    """Knows place 0 from its whole prompt, or (`remembers` False) from the last frame alone."""

    spec = WorldSpec(
        observation_space=gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8),
        action_space=gymnasium.spaces.Box(-1, 1, (1,), np.float32),
        seconds_per_step=0.1,
        prompt=("frames",),
    )

    def __init__(self, remembers: bool):
        self.remembers = remembers

    def start(self, prompt: Prompt, rng):
        assert prompt.actions.shape[1] == prompt.frames.shape[1] - 1
        shades = prompt.frames.mean((2, 3, 4))
        return Shades(shade=shades[:, -1], home=shades[:, 0] if self.remembers else torch.zeros(len(shades)))

    def step(self, state, action, rng):
        return Shades(shade=torch.where(action[:, 0] > 0.5, 1.0, state.home), home=state.home)

    def render(self, state):
        return {"rgb": state.shade[:, None, None, None].expand(-1, 3, SIDE, SIDE)}


def test_who_remembers_is_told_from_who_does_not():
    episodes = [episode(index) for index in range(3)]
    moments = find_returns([PLACES] * 3, away=4, context=1, lead=2, ahead=4)
    assert moments == [Return(index, 12, 5) for index in range(3)]
    found = {name: judge_returns(Rooms(name), episodes, moments, camera=CAMERA, lead=2, ahead=4, counts=COUNTS) for name in (True, False)}
    assert found[True].psnr["model"].shape == (3, 4)
    assert (found[True].psnr["model"] > 60).all() and (found[False].psnr["model"] < 20).all()
    assert np.allclose(found[True].psnr["seen_before"], found[True].psnr["model"], atol=1.0), "nothing moves here"
    assert (found[True].psnr["copy_last"] < 5).all() and (found[True].miscounted["bright"]["copy_last"] == 1).all()
    assert not found[True].miscounted["bright"]["model"].any()


def test_a_long_dream_is_compared_all_along():
    found = judge_long_play(Rooms(False), [episode(0)], camera=CAMERA, shown=8, ahead=8, counts={})
    assert (found.psnr["model"][0, :4] > 60).all() and (found.psnr["model"][0, 4:] < 20).all()
    with pytest.raises(DataError, match="fewer than 8"):
        judge_long_play(Rooms(True), [episode(0, 10)], camera=CAMERA, shown=8, ahead=8, counts={})


@pytest.mark.parametrize(("changes", "count"), [({}, 1), ({"away": 7}, 0), ({"ahead": 7}, 0), ({"context": 11}, 0), ({"away": 6}, 1)])
def test_a_return_needs_time_away_room_before_and_after(changes, count):
    assert len(find_returns([PLACES], **({"away": 2, "context": 2, "lead": 2, "ahead": 6} | changes))) == count


def test_nothing_to_judge_is_said():
    with pytest.raises(ConfigError, match="to and fro"):
        judge_returns(Rooms(True), [episode(0)], [], camera=CAMERA, lead=1, ahead=1, counts={})
