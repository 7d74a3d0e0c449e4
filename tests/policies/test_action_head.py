"""What a policy's numbers mean: continuous actions in the data's units, or one of several."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Episode
from armillary.data.shape import DataConfig, DataShape
from armillary.data.splits import measure
from armillary.policies.action_head import Classification, Regression, build_head, count_one_hot
from armillary.worlds.catalog import build_small

SHAPE = DataShape(height=8, width=8, action_size=2, action_mean=(1.0, -2.0), action_std=(0.5, 4.0), seconds_per_step=0.1, has_rewards=False)


def shape_of(actions: np.ndarray) -> DataShape:
    frames = np.zeros((len(actions), 8, 8, 3), np.uint8)
    return measure([Episode(frames={"view": frames}, actions=actions.astype(np.float32), seconds_per_step=0.1)], DataConfig())


@pytest.mark.parametrize(
    ("loss", "expected"),
    # told (0.5, 1.0) for the standardised (0.0, -2.0): errors 0.5 and 3.0
    [("l1", (0.5 + 3.0) / 2), ("mse", (0.25 + 9.0) / 2), ("huber", (0.125 + 2.5) / 2)],
)
def test_regression_in_closed_form(loss, expected):
    head = Regression(SHAPE, loss)
    told, actions = torch.tensor([[0.5, 1.0]]), torch.tensor([[1.0, -10.0]])
    assert head.loss(told, actions).item() == pytest.approx(expected)
    torch.testing.assert_close(head.act(told), torch.tensor([[1.25, 2.0]]))
    watched = head.watch(told, actions)
    assert watched["squared_error"].item() == pytest.approx(4.625) and watched["mean_action"].item() == pytest.approx(2.0)
    torch.testing.assert_close(head.act(head.standardise(actions)), actions)
    assert all(head.space.contains(action.numpy()) for action in head.act(torch.tensor([[99.0, -99.0]])))


def test_classification_in_closed_form():
    head = Classification(3)
    told, actions = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    assert head.loss(told, actions).item() == pytest.approx(float(np.log(np.exp([0, 1, 2]).sum()) - 1.0), rel=1e-5)
    assert head.act(told).tolist() == [2] and head.watch(told, actions)["accuracy"].item() == 0.0
    assert head.space == gymnasium.spaces.Discrete(3)


def test_recordings_of_discrete_actions_are_known_by_their_columns():
    space = build_small("platformer", size=16).spec.action_space
    chosen = np.random.default_rng(0).integers(0, int(space.n) - 1, size=120)  # the last one is never done
    one_hot = np.eye(int(space.n))[chosen]
    assert count_one_hot(shape_of(one_hot)) == 1
    assert isinstance(build_head(shape_of(one_hot), "huber"), Classification)
    strided = shape_of(one_hot.reshape(60, -1))
    assert count_one_hot(strided) == 2
    with pytest.raises(ConfigError, match=r"joins 2 discrete actions .* set data.stride 1"):
        build_head(strided, "huber")


@pytest.mark.parametrize(
    "actions",
    [
        np.random.default_rng(0).uniform(-1, 1, size=(50, 2)),
        np.random.default_rng(0).dirichlet((1.0, 1.0, 1.0), size=50),  # shares: they sum to one, and are not one-hot
        np.random.default_rng(0).integers(0, 2, size=(50, 3)),  # switches: binary, and do not sum to one
        np.ones((50, 1)),
    ],
)
def test_other_actions_are_continuous(actions):
    assert count_one_hot(shape_of(actions)) == 0 and isinstance(build_head(shape_of(actions), "l1"), Regression)


def test_the_head_of_a_shape_is_the_same_after_json():
    shape = shape_of(np.eye(4)[[0, 1, 2, 3, 0]])
    assert count_one_hot(replace(shape, action_mean=tuple(float(repr(value)) for value in shape.action_mean))) == 1
