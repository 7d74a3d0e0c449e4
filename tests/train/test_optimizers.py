"""LaProp against plain float64 loops, and optimiser memory that goes out and comes back."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from armillary.core import CheckpointError
from armillary.train import TrainConfig
from armillary.train.optimizers import LaProp, build_optimizer, optimizer_tensors, restore_optimizer


def test_laprop_equals_algorithm_1():
    rng = np.random.default_rng(0)
    rate, momentum, decay, eps, weight_decay = 0.01, 0.9, 0.99, 1e-15, 0.1
    start, gradients = rng.normal(size=4), rng.normal(size=(25, 4))
    parameter = nn.Parameter(torch.tensor(start))
    optimizer = LaProp([parameter], lr=rate, betas=(momentum, decay), eps=eps, weight_decay=weight_decay)
    expected, mean, square = list(start), [0.0] * 4, [0.0] * 4
    for count, gradient in enumerate(gradients, start=1):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        for i, g in enumerate(gradient):
            square[i] = decay * square[i] + (1 - decay) * g * g
            mean[i] = momentum * mean[i] + (1 - momentum) * g / (math.sqrt(square[i] / (1 - decay**count)) + eps)
            expected[i] -= rate * weight_decay * expected[i]
            expected[i] -= rate * mean[i] / (1 - momentum**count)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-12)


def model(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Conv1d(4, 4, 1).to(memory_format=torch.contiguous_format), nn.LayerNorm(4))


def one_step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    for index, parameter in enumerate(net.parameters()):
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed + index))
    optimizer.step()


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "laprop"])
def test_memory_that_went_out_and_came_back_takes_the_same_step(name):
    config = TrainConfig(optimizer=name)
    net = model(0)
    optimizer = build_optimizer(net.parameters(), config, 0.01)
    for seed in (10, 20, 30):
        one_step(net, optimizer, seed)
    saved, weights = optimizer_tensors(optimizer, dict(net.named_parameters())), {k: v.clone() for k, v in net.state_dict().items()}
    one_step(net, optimizer, 40)

    other = model(1)
    other.load_state_dict(weights)
    again = build_optimizer(other.parameters(), config, 0.01)
    restore_optimizer(again, dict(other.named_parameters()), saved)
    one_step(other, again, 40)
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_memory_of_a_parameter_that_is_not_trained_is_refused():
    net = model(0)
    optimizer = build_optimizer([net[0].weight], TrainConfig(), 0.01)
    with pytest.raises(CheckpointError, match=r"2\.bias"):
        restore_optimizer(optimizer, dict(net.named_parameters()), {"2.bias|exp_avg": torch.zeros(4)})


def test_only_matrices_and_kernels_decay():
    net = model(0)
    optimizer = build_optimizer(net.parameters(), TrainConfig(weight_decay=0.3), 0.01)
    decay = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {name: decay[id(p)] for name, p in net.named_parameters()} == {
        "0.weight": 0.3, "0.bias": 0.0, "1.weight": 0.3, "1.bias": 0.0, "2.weight": 0.0, "2.bias": 0.0,
    }  # fmt: skip
