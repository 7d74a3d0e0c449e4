"""A world as a person plays it: how it is steered, where it begins, and the simulator that it was learned from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator, Tensor

from armillary.core import Embeds, Renders, Rewards, State, World, WorldError, events_of, to_disk
from armillary.serve.controls import Controls, Value

WORLD, TRUTH = "world", "truth"  # the two pictures


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where worlds are (`b` rows), and where the simulator is that they are held against."""

    state: State
    truth: State | None = None


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The place of one world at its start, and what is held there until a person does something."""

    place: Place
    value: Value


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A simulator under the same keys: `stride` of its steps are one of the world, and its pictures are made `size` (height, width)."""

    world: World
    stride: int
    resize: Callable[[UInt8[np.ndarray, "b h w 3"]], UInt8[np.ndarray, "b h w 3"]]


@dataclass(frozen=True, kw_only=True)
class Playable:
    """Any World that renders, and what a person needs to play it.

    `begin` makes the start of one world from a seed. `act` makes actions of `world` of what people hold. `robot_type`, `task`,
    `camera` and `column_names` are what recordings of it say; `exact` means that `embed` is its true state, worth recording.
    """

    name: str
    world: World
    controls: Controls
    begin: Callable[[int], Beginning]
    act: Callable[[Sequence[Value]], Tensor]
    truth: Truth | None = None
    robot_type: str = "armillary-play"
    task: str = "Play."
    camera: str = "observation.images.view"
    exact: bool = False

    def __post_init__(self):
        if not isinstance(self.world, Renders):
            raise WorldError(f"{self.name} cannot be played: a {type(self.world).__name__} draws no pictures")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its pictures."""
        return self.world.spec.observation_space.shape[:2]

    def step(self, place: Place, values: Sequence[Value], rng: Generator) -> Place:
        """One step of every row by what each person holds."""
        state, truth = self.world.step(place.state, self.act(values), rng), place.truth
        if self.truth is not None and truth is not None:
            action = self.controls.tensor(values)
            for _ in range(self.truth.stride):
                truth = self.truth.world.step(truth, action, rng)
        return Place(state=state, truth=truth)

    @property
    def events(self) -> tuple[str, ...]:
        """What it can be told to let happen; nothing where it hears no words."""
        return events_of(self.world)

    def tell(self, place: Place, text: str) -> Place:
        """The same place of one world, where what the text says goes on from now on; in the simulator too, if that hears words."""
        truth = place.truth
        if self.truth is not None and truth is not None and events_of(self.truth.world):
            truth = self.truth.world.prompt(truth, [text])
        return Place(state=self.world.prompt(place.state, [text]), truth=truth)

    def show(self, place: Place) -> dict[str, UInt8[np.ndarray, "b h w 3"]]:
        """What is seen, by name. WorldError where a picture is not made of finite numbers."""
        pictures = self.world.render(place.state)["rgb"]
        if not bool(torch.isfinite(pictures).all()):
            raise WorldError(f"{self.name} drew a picture that is not made of finite numbers; start it again")
        found = {WORLD: to_disk(pictures)}
        if self.truth is not None and place.truth is not None:
            found[TRUTH] = self.truth.resize(to_disk(self.truth.world.render(place.truth)["rgb"]))
        return found

    def outcome(self, place: Place) -> tuple[list[float], list[bool]] | None:
        """Rewards, and which rows ended, where the world knows."""
        if not isinstance(self.world, Rewards):
            return None
        reward, going = self.world.reward(place.state)
        return reward.tolist(), (going < 0.5).tolist()

    def true_state(self, state: State) -> np.ndarray | None:
        """The exact state as recordings hold it, `b s`; None for a learned world, whose latents say nothing to others."""
        return self.world.embed(state).numpy() if self.exact and isinstance(self.world, Embeds) else None
