"""From a network's numbers to an action, and how far they are from the one that was recorded: continuous, or one of several."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import gymnasium
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError
from armillary.data.shape import DataShape
from armillary.nn.action_scale import LIMIT_STD, ActionScale

LOSSES = {"huber": functional.smooth_l1_loss, "l1": functional.l1_loss, "mse": functional.mse_loss}
ONE_HOT_TOLERANCE = 1e-6


class ActionHead(nn.Module, ABC):
    """What `size` numbers mean as an action. `space` is where the actions are."""

    size: int
    space: gymnasium.Space

    @abstractmethod
    def loss(self, told: Float[Tensor, "*lead a"], actions: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead"]:
        """What to make small, for each recorded action."""

    @abstractmethod
    def watch(self, told: Float[Tensor, "*lead a"], actions: Float[Tensor, "*lead a"]) -> Mapping[str, Float[Tensor, "*lead"]]:
        """What is logged beside the loss."""

    @abstractmethod
    def act(self, told: Float[Tensor, "*lead a"]) -> Shaped[Tensor, "..."]:
        """The action, in `space`."""


class Regression(ActionHead):
    """Continuous actions: standardised ones are told, "huber" (quadratic below one deviation), "l1" or "mse"."""

    def __init__(self, shape: DataShape, loss: str):
        super().__init__()
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        self.size, self.space, self.kind = shape.action_size, self.standardise.space(), loss

    def loss(self, told: Float[Tensor, "*lead a"], actions: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead"]:
        return LOSSES[self.kind](told, self.standardise(actions), reduction="none").mean(dim=-1)

    def watch(self, told: Float[Tensor, "*lead a"], actions: Float[Tensor, "*lead a"]) -> Mapping[str, Float[Tensor, "*lead"]]:
        """Squared errors in deviations of the data: of what is told, and of answering the mean action everywhere."""
        truth = self.standardise(actions)
        return {"squared_error": (told - truth).square().mean(dim=-1), "mean_action": truth.square().mean(dim=-1)}

    def act(self, told: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead a"]:
        """In the data's units, within LIMIT_STD deviations of its mean."""
        return self.standardise.mean + self.standardise.std * told.clamp(-LIMIT_STD, LIMIT_STD)


class Classification(ActionHead):
    """One of `size` actions, recorded as one-hot columns: softmax and cross-entropy. An action is its index."""

    def __init__(self, size: int):
        super().__init__()
        self.size, self.space = size, gymnasium.spaces.Discrete(size)

    def loss(self, told: Float[Tensor, "*lead a"], actions: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead"]:
        return -(told.log_softmax(dim=-1) * actions).sum(dim=-1)

    def watch(self, told: Float[Tensor, "*lead a"], actions: Float[Tensor, "*lead a"]) -> Mapping[str, Float[Tensor, "*lead"]]:
        return {"accuracy": (told.argmax(dim=-1) == actions.argmax(dim=-1)).float()}

    def act(self, told: Float[Tensor, "*lead a"]) -> Shaped[Tensor, "..."]:
        """The likeliest."""
        return told.argmax(dim=-1)


def build_head(shape: DataShape, loss: str) -> ActionHead:
    """What suits the recorded actions. Raises ConfigError for several one-hot actions in one step."""
    count = count_one_hot(shape)
    if count > 1:
        raise ConfigError(
            f"a step of the data joins {count} discrete actions (one-hot columns), and a policy chooses one at a time; set data.stride 1"
        )
    return Classification(shape.action_size) if count else Regression(shape, loss)


def count_one_hot(shape: DataShape) -> int:
    """How many one-hot actions the columns are, side by side (a stride joins several); 0 for continuous ones.

    Numbers from 0 to 1 of mean m have the variance m (1 - m) only where each is 0 or 1, and the means of one-hot columns sum to 1.
    """
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (shape.action_mean, shape.action_std))
    count = round(float(mean.sum()))
    if count < 1 or shape.action_size % count or shape.action_size == count or bool((mean < 0).any()):
        return 0
    binary = (std.square() - mean * (1 - mean)).abs() < ONE_HOT_TOLERANCE
    whole = (mean.unflatten(0, (count, -1)).sum(dim=1) - 1).abs() < ONE_HOT_TOLERANCE
    return count if bool(binary.all() and whole.all()) else 0
