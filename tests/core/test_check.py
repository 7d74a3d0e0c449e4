"""check_world passes worlds that keep the contract and names the rule that each broken one breaks."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

from armillary.core import Prompt, Promptable, WorldError, check_world, require, seeded
from tests.core.counting import Count, CountingWorld, NoisyWorld


class FromFrames(NoisyWorld):
    """Starts from two pictures and the action between them."""

    def __init__(self):
        super().__init__()
        self.spec = replace(self.spec, prompt=("frames", "actions"), context_steps=2)

    def start(self, prompt, rng):
        require(prompt, "frames", "actions")
        return Count(value=prompt.frames.mean(dim=(1, 2, 3, 4)), last=prompt.actions[:, -1, 0].clone())


class Told(NoisyWorld, Promptable):
    """Counts to one side when told so."""

    events = ("up",)

    def prompt(self, state, text):
        if len(text) != state.batch_size:
            raise WorldError(f"needs {state.batch_size} texts, received {len(text)}")
        return replace(state, last=torch.tensor([float(one == "up") for one in text]))


@pytest.mark.parametrize("world", [CountingWorld(), NoisyWorld(), FromFrames(), Told()], ids=lambda world: type(world).__name__)
@pytest.mark.parametrize("seed", [0, 7])
def test_good_worlds_pass(world, seed):
    check_world(world, seed=seed)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_prompt_of_any_size_will_do(batch_size):
    frames = torch.rand(batch_size, 2, 3, 4, 6)
    check_world(FromFrames(), Prompt(batch_size=batch_size, frames=frames, actions=torch.zeros(batch_size, 1, 1)))


def test_a_prompt_that_cannot_be_made_up_is_asked_for():
    world = CountingWorld()
    world.spec = replace(world.spec, prompt=("text",))
    with pytest.raises(WorldError, match="text"):
        check_world(world)


class FromUnseenFrames(CountingWorld):
    """Starts from a picture and shows none."""

    def start(self, prompt, rng):
        require(prompt, "frames")
        return super().start(prompt, rng)


def test_a_world_without_pictures_that_starts_from_frames_must_say_their_size():
    world = FromUnseenFrames()
    world.spec = replace(world.spec, prompt=("frames",))
    with pytest.raises(WorldError, match="frame_size"):
        check_world(world)
    world.spec = replace(world.spec, frame_size=(4, 6))
    check_world(world)


class WritesIntoItsState(CountingWorld):
    def step(self, state, action, rng):
        state.value.add_(action[:, 0])
        return Count(value=state.value, last=action[:, 0])


class RendersIntoItsState(NoisyWorld):
    def render(self, state):
        state.value.mul_(0.5)
        return super().render(state)


class ForgetsTheSeed(NoisyWorld):
    calls = 0

    def step(self, state, action, rng):
        self.calls += 1
        return super().step(state, action, seeded(self.calls))


class UsesGlobalChance(NoisyWorld):
    def step(self, state, action, rng):
        torch.rand(1)
        return super().step(state, action, rng)


class RemembersThePosition(CountingWorld):
    position = 0.0

    def step(self, state, action, rng):
        self.position += 1.0
        return replace(super().step(state, action, rng), value=state.value + self.position)


class RemembersInAWeight(torch.nn.Module, CountingWorld):
    def __init__(self):
        torch.nn.Module.__init__(self)
        CountingWorld.__init__(self)
        self.steps = torch.nn.Buffer(torch.zeros(1))

    def step(self, state, action, rng):
        self.steps += 1
        return super().step(state, action, rng)


class SharesTheMean(CountingWorld):
    def step(self, state, action, rng):
        moved = super().step(state, action, rng)
        return replace(moved, value=moved.value + 0.1 * action.mean())


class EmbedsTheMean(CountingWorld):
    def embed(self, state):
        return super().embed(state) - state.value.mean()


class DrawsByState(NoisyWorld):
    def step(self, state, action, rng):
        if action[0, 0] > 0:
            torch.rand(1, generator=rng)
        return super().step(state, action, rng)


class GrowsItsState(CountingWorld):
    def step(self, state, action, rng):
        moved = super().step(state, action, rng)
        return replace(moved, last=torch.cat([state.last.reshape(len(state.last), -1), action], dim=1).squeeze(-1))


class ChangesItsKind(CountingWorld):
    def step(self, state, action, rng):
        moved = super().step(state, action, rng)
        return replace(moved, last=moved.last.double())


class StepsTooFewRows(CountingWorld):
    def step(self, state, action, rng):
        return super().step(state, action, rng).rows(slice(0, 1))


class NeedsThreeRows(CountingWorld):
    def step(self, state, action, rng):
        if len(action) != 3:
            action = torch.zeros_like(action)
        return super().step(state, action, rng)


class GivesNotANumber(CountingWorld):
    def step(self, state, action, rng):
        return replace(super().step(state, action, rng), value=state.value * float("nan"))


class RollsOutItsOwnWay(CountingWorld):
    def rollout(self, state, actions, rng):
        return [self.step(state, actions[:, 0], rng)] * actions.shape[1]


class RollsOutTooShort(CountingWorld):
    def rollout(self, state, actions, rng):
        return super().rollout(state, actions, rng)[:-1]


class PaintsTooBright(NoisyWorld):
    def render(self, state):
        return {"rgb": super().render(state)["rgb"] * 255.0}


class PaintsAnotherSize(NoisyWorld):
    def render(self, state):
        return {"rgb": super().render(state)["rgb"][..., :-1]}


class PaintsNoColour(NoisyWorld):
    def render(self, state):
        return {"depth": super().render(state)["rgb"]}


class EmbedsOneAxis(CountingWorld):
    def embed(self, state):
        return state.value


class RewardsTheBatch(CountingWorld):
    def reward(self, state):
        return state.last.sum(), torch.ones_like(state.last)


class GoesOnTwice(CountingWorld):
    def reward(self, state):
        return state.last, torch.full_like(state.last, 2.0)


class HappensAtOnce(Told):
    def prompt(self, state, text):
        return replace(super().prompt(state, text), value=state.value + 1)


class TellsTheStateItself(Told):
    def prompt(self, state, text):
        state.last.fill_(1.0)
        return state


class TakesAnyNumber(Told):
    def prompt(self, state, text):
        return state


class StartsFromNothing(FromFrames):
    def start(self, prompt, rng):
        return super().start(prompt, rng) if prompt.frames is not None else CountingWorld.start(self, prompt, rng)


class MixesPrompts(FromFrames):
    def start(self, prompt, rng):
        started = super().start(prompt, rng)
        return replace(started, value=started.value.mean().expand(len(started.value)).clone())


class StartsTooFew(CountingWorld):
    def start(self, prompt, rng):
        return super().start(replace(prompt, batch_size=2), rng)


class ObservesTooFew(NoisyWorld):
    def observe(self, state, action, observation, rng):
        return self.step(state, action, rng).rows([0])


@dataclass
class Thawed:
    value: Tensor


class HoldsNoState(CountingWorld):
    def start(self, prompt, rng):
        return Thawed(torch.zeros(prompt.batch_size))


class HidesAList(CountingWorld):
    """Keeps part of its position outside the tensors, where saving loses it."""

    notes: dict

    def start(self, prompt, rng):
        self.notes = {}
        return super().start(prompt, rng)

    def step(self, state, action, rng):
        secret = self.notes.setdefault(state.value.data_ptr(), len(self.notes))
        return replace(super().step(state, action, rng), value=state.value + secret)


@pytest.mark.parametrize(
    ("world", "rule"),
    [
        (WritesIntoItsState(), "same seed|never written"),
        (RendersIntoItsState(), "never written|no hidden position"),
        (ForgetsTheSeed(), "same seed"),
        (UsesGlobalChance(), "randomness is passed in"),
        (RemembersThePosition(), "same seed|no hidden position"),
        (RemembersInAWeight(), "no hidden position"),
        (SharesTheMean(), "never influence|batch"),
        (EmbedsTheMean(), "never influence|batch"),
        (DrawsByState(), "never influence"),
        (GrowsItsState(), "keeps its shapes"),
        (ChangesItsKind(), "keeps its shapes"),
        (StepsTooFewRows(), "batch first"),
        (NeedsThreeRows(), "rows, repeats and joins"),
        (GivesNotANumber(), "not finite"),
        (RollsOutItsOwnWay(), "rollout is its steps"),
        (RollsOutTooShort(), "rollout is its steps"),
        (PaintsTooBright(), "Renders keeps its promise"),
        (PaintsAnotherSize(), "Renders keeps its promise"),
        (PaintsNoColour(), "Renders keeps its promise"),
        (EmbedsOneAxis(), "Embeds keeps its promise"),
        (RewardsTheBatch(), "Rewards keeps its promise"),
        (GoesOnTwice(), "Rewards keeps its promise"),
        (HappensAtOnce(), "Promptable keeps its promise.*next step"),
        (TellsTheStateItself(), "Promptable keeps its promise.*wrote"),
        (TakesAnyNumber(), "Promptable keeps its promise.*as many"),
        (StartsFromNothing(), "start refuses"),
        (MixesPrompts(), "never influence"),
        (StartsTooFew(), "batch first"),
        (ObservesTooFew(), "batch first"),
        (HoldsNoState(), "frozen dataclass"),
        (HidesAList(), "same seed|hidden|rows|saved"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CountingWorld) else None,
)
def test_each_broken_world_is_caught_by_the_rule_it_breaks(world, rule):
    with pytest.raises(WorldError, match=rule) as caught:
        check_world(world)
    assert type(world).__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seconds_per_step": 0.0}, "seconds_per_step"),
        ({"seconds_per_step": float("inf")}, "seconds_per_step"),
        ({"prompt": ("smell",)}, "smell"),
        ({"context_steps": 0}, "context_steps"),
        ({"action_space": gymnasium.spaces.MultiDiscrete([2, 2])}, "action_space"),
        ({"observation_space": gymnasium.spaces.Box(0, 1, (2, 2), np.float32)}, "observation_space"),
    ],
)
def test_a_wrong_spec_is_named(change, complaint):
    world = CountingWorld()
    world.spec = replace(world.spec, **change)
    with pytest.raises(WorldError, match=complaint):
        check_world(world)


def test_a_world_without_a_spec():
    world = CountingWorld()
    del world.spec
    with pytest.raises(WorldError, match="WorldSpec"):
        check_world(world)
