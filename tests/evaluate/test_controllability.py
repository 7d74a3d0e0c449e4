"""Controllability: a world that obeys is told from one that does not, and codes that mean something from those that do not."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import DataError, Episode, InfersActions, Prompt, Renders, State, World, WorldError, WorldSpec, seeded
from armillary.evaluate.controllability import action_r2, agreement, alike_actions, infer_codes, random_codes, steer
from armillary.worlds.catalog import build_small

CAMERA, SIDE, SHADES = "view", 16, 4


@dataclass(frozen=True)
class ShadeState(State):
    """A picture of one shade of grey."""

    shade: torch.Tensor


class Shades(World[ShadeState], Renders, InfersActions):
    """The latent action is the next picture's shade; with `obeys` False nothing ever changes."""

    spec = WorldSpec(
        observation_space=gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8),
        action_space=gymnasium.spaces.Box(-1, 1, (1,), np.float32),
        seconds_per_step=0.1,
        prompt=("frames",),
        context_steps=2,
    )

    def __init__(self, obeys: bool = True):
        self.obeys = obeys

    @property
    def latent_actions(self):
        return torch.eye(SHADES)

    def infer(self, frames):
        return (frames[:, 1:].mean((2, 3, 4)) * (SHADES - 1)).round().long()

    def start(self, prompt: Prompt, rng):
        return ShadeState(shade=prompt.frames[:, -1].mean((1, 2, 3)))

    def step(self, state, action, rng):
        raise NotImplementedError

    def step_latent(self, state, action, rng):
        return ShadeState(shade=action / (SHADES - 1)) if self.obeys else state

    def render(self, state):
        return {"rgb": state.shade[:, None, None, None].expand(-1, 3, SIDE, SIDE)}


def episode(index: int, length: int = 30) -> Episode:
    """Random shades; the true action says the next one."""
    shades = np.random.default_rng(index).integers(SHADES, size=length + 1)
    frames = np.repeat(shades[:-1] * (255 // (SHADES - 1)), SIDE * SIDE * 3).reshape(length, SIDE, SIDE, 3).astype(np.uint8)
    return Episode(frames={CAMERA: frames}, actions=shades[1:, None].astype(np.float32), seconds_per_step=0.1, index=index)


EPISODES = [episode(index) for index in range(6)]


def test_a_world_that_obeys_gains_and_one_that_does_not_gains_nothing():
    obeying, deaf = (steer(Shades(obeys), EPISODES, camera=CAMERA) for obeys in (True, False))
    assert (obeying.inferred > 50).all() and (obeying.delta(4) > 10).all() and obeying.delta(1).shape == (6,)
    assert (deaf.delta(4) == 0).all() and np.array_equal(deaf.inferred, deaf.copy_last)


def test_codes_that_are_the_action_agree_and_random_ones_do_not():
    codes = infer_codes(Shades(), EPISODES, camera=CAMERA)
    actions = [one.actions[:-1, 0].astype(int) for one in EPISODES]
    swapped = [(code + 1) % SHADES for code in codes]
    assert (agreement((swapped[:3], actions[:3]), (swapped[3:], actions[3:])) == 1).all()
    drawn = random_codes(codes, SHADES)
    assert agreement((drawn[:3], actions[:3]), (drawn[3:], actions[3:])).mean() < 0.5


def test_agreement_is_fitted_on_other_episodes():
    """Judged where codes mean something else, nothing agrees; a code that was never seen means the commonest action."""
    fitted = ([np.array([0, 0, 1])], [np.array([2, 2, 1])])
    assert agreement(fitted, ([np.array([0, 1])], [np.array([1, 2])])).tolist() == [0.0]
    assert agreement(fitted, ([np.array([3, 3])], [np.array([2, 0])])).tolist() == [0.5]


def test_actions_that_show_the_same_are_all_right():
    """The code means the action that is right most often, exact or not."""
    either, second = np.array([[True, True], [True, False]]), np.array([[False, True], [True, True]])
    fitted = ([np.array([0, 0])], [either])
    assert agreement(fitted, ([np.array([0, 0])], [second])).tolist() == [0.5]
    assert agreement(fitted, ([np.array([0, 0])], [np.array([0, 1])])).tolist() == [0.5]


def test_actions_are_alike_where_the_next_picture_is():
    """The platformer: standing, every key shows something of its own; in the air a jump changes nothing."""
    world = build_small("platformer", size=32)
    state = world.start(Prompt(batch_size=1, layout={"level": 3}), seeded(0))
    on_ground = world.rollout(state, torch.zeros(1, 4, dtype=torch.long), seeded(0))[-1]
    assert np.array_equal(alike_actions(world, on_ground, torch.tensor([2])), np.eye(6, dtype=bool)[[2]])
    in_the_air = world.rollout(on_ground, torch.tensor([[3, 0]]), seeded(0))[-1]
    assert alike_actions(world, in_the_air, torch.tensor([2])).tolist() == [[False, False, True, False, False, True]]
    with pytest.raises(WorldError, match="no finite number of actions"):
        alike_actions(build_small("pusher", size=32), state, torch.zeros(1, dtype=torch.long))


def test_actions_are_read_linearly_from_vectors():
    codes = infer_codes(Shades(), EPISODES, camera=CAMERA)
    actions = [one.actions[:-1] for one in EPISODES]
    vectors = torch.eye(SHADES)
    assert action_r2(vectors, (codes[:4], actions[:4]), (codes[4:], actions[4:])) > 0.99
    drawn = random_codes(codes, SHADES)
    assert action_r2(vectors, (drawn[:4], actions[:4]), (drawn[4:], actions[4:])) < 0.1
    with pytest.raises(DataError, match="at least 2 episodes"):
        action_r2(vectors, (codes[:1], actions[:1]), (codes[4:], actions[4:]))


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="episode 9 has 5 frames"):
        steer(Shades(), [episode(9, length=5)], camera=CAMERA)

    class Plain(World):
        spec = Shades.spec

        def start(self, prompt, rng):
            raise NotImplementedError

        def step(self, state, action, rng):
            raise NotImplementedError

    with pytest.raises(WorldError, match="Plain has no latent actions"):
        steer(Plain(), EPISODES, camera=CAMERA)
