"""What the recipe of the G1's latent actions reads from, and what it counts commands from."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recipes.g1_latent_actions import around, commanded, read


def test_neighbours_stand_beside_each_step_and_the_ends_are_held():
    values = torch.arange(4.0)[:, None]
    assert around(values, 1).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    assert torch.equal(around(values, 0), values)


def test_commands_are_counted_from_the_pose_at_the_step_s_begin():
    """A step's action is all its commands in a row; the last one is what the arm is to reach."""
    state = np.random.default_rng(0).normal(size=(5, 26)).astype(np.float32)
    beyond = np.arange(5, dtype=np.float32)[:, None] + 10 * np.arange(26, dtype=np.float32)
    early, late = state + 9.0, state + beyond
    told = commanded([SimpleNamespace(index=7, state=state, actions=np.concatenate([early, early, late], axis=1))])[7]
    assert np.allclose(told.numpy(), beyond[:4, 7:14], atol=1e-4)  # the right arm's joints, as the dataset orders them


def test_a_linear_relation_is_read_and_noise_is_not():
    rng = torch.Generator().manual_seed(0)
    training, test = ([SimpleNamespace(index=index) for index in some] for some in (range(8), range(8, 10)))
    features = {index: torch.randn(200, 3, generator=rng, dtype=torch.float64) for index in range(10)}
    linear = {index: one @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + 4.0 for index, one in features.items()}
    noise = {index: torch.randn(200, 1, generator=rng, dtype=torch.float64) for index in range(10)}
    errors, spread = read(features, linear, training, test)
    assert sum(errors) < 1e-3 * sum(spread)
    errors, spread = read(features, noise, training, test)
    assert sum(errors) == pytest.approx(sum(spread), rel=0.05)
