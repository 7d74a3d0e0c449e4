"""A world that costs nothing, and a server of it: a dot on a grid, moved by keys."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import Action, Embeds, Prompt, Renders, Rewards, State, World, WorldError, WorldSpec, seeded
from armillary.serve.controls import Choice, Controls, controls_of
from armillary.serve.launch import Running, Service, serving
from armillary.serve.playable import Beginning, Place, Playable, Truth

SIZE = 32
MOVES = torch.tensor([[0, 0], [0, -1], [0, 1], [-1, 0], [0, 0], [0, 0]])
FAILS, BLINDS = 4, 5  # a step that the world refuses, and one after which its picture is not made of numbers
CHOICES = (
    Choice(name="stay"),
    Choice(name="left", held=("left",)),
    Choice(name="right", held=("right",)),
    Choice(name="up", held=("up",)),
    Choice(name="fail"),
    Choice(name="blind"),
)


@dataclass(frozen=True)
class StubState(State):
    place: Int[Tensor, "b 2"]
    steps: Int[Tensor, " b"]
    blind: Float[Tensor, " b"]


class StubWorld(World[StubState], Renders, Embeds, Rewards):
    """The dot is white on black; it ends at the right edge."""

    def __init__(self, *, seconds_per_step: float = 0.01):
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8),
            action_space=gymnasium.spaces.Discrete(len(MOVES)),
            seconds_per_step=seconds_per_step,
        )

    def start(self, prompt: Prompt, rng: Generator) -> StubState:
        place = torch.randint(8, 24, (prompt.batch_size, 2), generator=rng)
        return StubState(place=place, steps=torch.zeros(len(place), dtype=torch.long), blind=torch.zeros(len(place)))

    def step(self, state: StubState, action: Action, rng: Generator) -> StubState:
        if bool((action == FAILS).any()):
            raise WorldError("this world cannot go there")
        blind = torch.where(action == BLINDS, torch.nan, state.blind)
        return StubState(place=(state.place + MOVES[action]).clamp(0, SIZE - 1), steps=state.steps + 1, blind=blind)

    def render(self, state: StubState) -> dict[str, Tensor]:
        pictures = torch.zeros(state.batch_size, 3, SIZE, SIZE)
        pictures[torch.arange(state.batch_size), :, state.place[:, 0], state.place[:, 1]] = 1.0
        return {"rgb": pictures + state.blind[:, None, None, None]}

    def embed(self, state: StubState) -> Float[Tensor, "b d"]:
        return state.place.float()

    def reward(self, state: StubState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        return state.place[:, 1].float(), (state.place[:, 1] < SIZE - 1).float()


def stub(*, seconds_per_step: float = 0.01, with_truth: bool = False) -> Playable:
    """The dot, alone or beside a second one that obeys twice as fast."""
    world = StubWorld(seconds_per_step=seconds_per_step)
    controls = controls_of(world.spec.action_space, choices=CHOICES)

    def begin(seed: int) -> Beginning:
        state = world.start(Prompt(), seeded(seed))
        return Beginning(place=Place(state=state, truth=state if with_truth else None), value=0)

    return Playable(
        name="stub",
        world=world,
        controls=controls,
        begin=begin,
        act=controls.tensor,
        truth=Truth(world=world, stride=2, resize=lambda frames: frames) if with_truth else None,
        exact=True,
    )


def sliders() -> Controls:
    """Two axes, one of which has another range."""
    return controls_of(gymnasium.spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 4.0], np.float32)), names=("turn", "grip"))


@contextmanager
def served(folder: Path, playable: Playable | None = None, **settings) -> Iterator[Running]:
    """A server of the stub on a free port; `limits` and `on_key` are the server's."""
    options = {name: settings.pop(name) for name in ("limits", "on_key") if name in settings}
    with serving(Service(playable=playable or stub(), port=0, folder=folder / "played", **settings), **options) as running:
        yield running


async def until(what: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until something holds; fail when it never does."""
    for _ in range(int(seconds / 0.005)):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came about")
