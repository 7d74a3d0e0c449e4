"""A world that learned from a small one, and that simulator beside it under the same keys."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from armillary.core import Prompt, World, seeded, to_disk, to_model
from armillary.data.resize import area_resize
from armillary.serve.controls import Choice, Controls, Value, controls_of
from armillary.serve.playable import Beginning, Place, Playable, Truth
from armillary.worlds.small.exact import SmallWorld
from armillary.worlds.small.record import TASKS

CHOICES = {
    "platformer": (
        Choice(name="stand"),
        Choice(name="left", held=("left",)),
        Choice(name="right", held=("right",)),
        Choice(name="jump", held=("up",)),
        Choice(name="left and jump", held=("left", "up")),
        Choice(name="right and jump", held=("right", "up")),
    )
}
NAMES = ("right", "up")  # the axes of the small worlds that have two


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A learned world, what it is called, how many recorded steps make one of its own, and the camera that it saw through."""

    name: str
    world: World
    stride: int
    camera: str


def beside_truth(learned: Learned, name: str, simulator: SmallWorld) -> Playable:
    """The learned world with the small world `name`, from whose starts it begins."""
    world, stride = learned.world, learned.stride
    height, width = world.spec.sees
    controls = small_controls(name, simulator)

    def begin(seed: int) -> Beginning:
        """The simulator's own start, watched for as many pictures as the world wants to see, while nothing is done."""
        rng, frames = seeded(seed), []
        state = simulator.start(Prompt(), rng)
        still = controls.tensor([controls.neutral])
        for last in reversed(range(world.spec.context_steps)):
            frames.append(area_resize(to_disk(simulator.render(state)["rgb"]), (height, width))[0])
            for _ in range(stride if last else 0):
                state = simulator.step(state, still, rng)
        actions = repeated(controls, [controls.neutral], stride)[:, None].expand(-1, len(frames) - 1, -1)
        prompt = Prompt(frames=to_model(np.stack(frames))[None], actions=actions)
        return Beginning(place=Place(state=world.start(prompt, rng), truth=state), value=controls.neutral)

    return Playable(
        name=learned.name,
        world=world,
        controls=controls,
        begin=begin,
        act=lambda values: repeated(controls, values, stride),
        truth=Truth(world=simulator, stride=stride, resize=lambda frames: area_resize(frames, (height, width))),
        robot_type=f"dream-{name}",
        task=TASKS[name],
        camera=learned.camera,
    )


def small_controls(name: str, world: SmallWorld) -> Controls:
    """How a small world is steered."""
    return controls_of(world.spec.action_space, choices=CHOICES.get(name, ()), names=NAMES, hold=True)


def repeated(controls: Controls, values: Sequence[Value], stride: int) -> torch.Tensor:
    """What is held, for each of the recorded steps that make one of the world's."""
    return controls.columns(values).repeat(1, stride)
