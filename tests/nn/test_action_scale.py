"""Actions in units of the training data, and what a prompt's actions must be."""

import pytest
import torch

from armillary.core import Prompt, WorldError
from armillary.nn.action_scale import LIMIT_STD, ActionScale

SCALE = ActionScale((1.0, -2.0), (0.5, 4.0))


def test_standardises_and_cuts_off_at_the_ends_of_its_space():
    space = SCALE.space()
    ends = torch.stack([torch.as_tensor(space.low), torch.as_tensor(space.high)])
    assert torch.equal(SCALE(torch.tensor([[1.5, 2.0]])), torch.tensor([[1.0, 1.0]]))
    assert torch.equal(SCALE(ends), torch.tensor([[-LIMIT_STD] * 2, [LIMIT_STD] * 2]))
    assert torch.equal(SCALE(10 * ends), SCALE(ends))


def test_actions_between_frames_are_the_mean_where_none_are_given():
    frames = torch.zeros(2, 3, 3, 8, 8)
    assert torch.equal(SCALE.between_frames(Prompt(frames=frames), (3, 8, 8)), torch.zeros(2, 2, 2))
    given = torch.full((2, 2, 2), 1.0)
    assert torch.equal(SCALE.between_frames(Prompt(frames=frames, actions=given), (3, 8, 8)), SCALE(given))


@pytest.mark.parametrize(
    ("frames", "actions", "said"), [((2, 3, 3, 9, 8), (2, 2, 2), "9, 8"), ((2, 3, 3, 8, 8), (2, 3, 2), "need 2 actions of size 2")]
)
def test_another_shape_is_refused(frames, actions, said):
    with pytest.raises(WorldError, match=said):
        SCALE.between_frames(Prompt(frames=torch.zeros(frames), actions=torch.zeros(actions)), (3, 8, 8))


def test_one_step_needs_an_action_for_each_world():
    with pytest.raises(WorldError, match=r"must be \(3, 2\), received \(2, 2\)"):
        SCALE.one_step(torch.zeros(2, 2), 3)
