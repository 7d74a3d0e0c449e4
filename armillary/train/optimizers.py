"""Optimisers by name, and their state as plain named tensors."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from armillary.core import CheckpointError
from armillary.train.config import TrainConfig
from armillary.train.tensors import read_whole, write_whole


class LaProp(Optimizer):
    """Adam that normalises the gradient before it averages it (arXiv:2002.04839, algorithm 1), with decoupled weight decay."""

    def __init__(self, parameters, *, lr: float, betas: tuple[float, float] = (0.9, 0.99), eps: float = 1e-15, weight_decay: float = 0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        momentum, decay = group["betas"]
        state["step"] += 1
        count = state["step"].item()
        state["exp_avg_sq"].mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
        scale = (state["exp_avg_sq"] / (1 - decay**count)).sqrt_().add_(group["eps"])
        state["exp_avg"].mul_(momentum).add_(gradient / scale, alpha=1 - momentum)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(state["exp_avg"], alpha=-group["lr"] / (1 - momentum**count))


def build_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig, peak: float) -> Optimizer:
    """The optimiser of one phase. Weight decay is for matrices and kernels; biases, gains and other vectors go without."""
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=peak)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=peak)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=peak, momentum=0.9)
    return LaProp(groups, lr=peak)


def optimizer_tensors(optimizer: Optimizer, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's memory as whole CPU tensors named `parameter|key`."""
    found = {}
    for name, parameter in named.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                found[f"{name}|{key}"] = read_whole(value)
    return found


def restore_optimizer(optimizer: Optimizer, named: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Give a fresh optimiser the memory that `optimizer_tensors` took. Raises CheckpointError when they do not match."""
    optimised = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for full_name, whole in tensors.items():
        name, key = full_name.rsplit("|", 1)
        parameter = named.get(name)
        if parameter is None or id(parameter) not in optimised:
            raise CheckpointError(
                f"the checkpoint has optimiser memory for {name!r}, which this phase does not train; undo the config's edit"
            )
        if whole.shape == parameter.shape and whole.ndim > 0:
            value = torch.zeros_like(parameter, requires_grad=False)
            write_whole(value, whole)
        else:
            value = whole.clone()
        optimizer.state[parameter][key] = value
