"""Task: what is to be done in a scene, how near a moment is to it, and when it is done."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, Prompt, Rewards
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.tasks.truth import Truth
from armillary.worlds.twin.world import TwinState, TwinWorld


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """One thing to do, as it was drawn for an episode: the scene it begins in, what is to be done in words, and for how long one may try.

    A task names things of its scene and keeps places in metres, so that the scene may be randomised under it: `replace(task, scene=...)`.
    `layout`: where joints start that do not start at 0, as in `Prompt.layout`.
    """

    scene: Scene
    words: str
    time_limit_s: float
    layout: Mapping[str, float] = field(default_factory=dict)

    @abstractmethod
    def progress(self, truth: Truth) -> float:
        """How near this moment is to being done, 0 to 1; the reward of the step that led here."""

    @abstractmethod
    def done(self, truth: Truth) -> bool:
        """Whether it is done at this moment."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a task in which the hand acts on one thing; `over` says of a moment whether that part is done."""

    thing: str
    over: Callable[[Truth], bool]


class Staged(ABC):
    """A task whose demonstrations can be carried over to other places, because what the hand does is about one thing after another."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """In order; the last is over when the task is done."""

    @abstractmethod
    def rearranged(self, rng: np.random.Generator) -> Task:
        """The same task with the same things, standing elsewhere."""


class TaskWorld(TwinWorld, Rewards):
    """A twin in which something is to be done; the other words are those of TwinWorld.

    ConfigError if `scene` in them is another one than the task's.
    """

    def __init__(self, task: Task, **settings):
        if settings.pop("scene", task.scene) is not task.scene:
            raise ConfigError("a task's world has the task's scene; leave `scene` out, or replace it in the task")
        super().__init__(task.scene, **settings)
        self.task = task

    def start(self, prompt: Prompt, rng: Generator) -> TwinState:
        """The task's layout, changed by the prompt's."""
        return super().start(replace(prompt, layout={**self.task.layout, **(prompt.layout or {})}), rng)

    def reward(self, state: TwinState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """The task's progress, 0 to 1; 0 as continuation where it is done."""
        truths = [Truth(self, state, row) for row in range(state.batch_size)]
        progress = torch.tensor([self.task.progress(truth) for truth in truths], dtype=torch.float32)
        return progress, torch.tensor([0.0 if self.task.done(truth) else 1.0 for truth in truths])
