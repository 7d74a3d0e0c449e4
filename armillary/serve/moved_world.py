"""A learned world on another device, for who lives on the CPU: what goes in is moved there, pictures and rewards come back."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Action, ConfigError, Portable, Prompt, Renders, Rewards, State, World, seeded


class MovedWorld(World[State], Renders):
    """A world that draws pictures, moved to a device for good; its states stay there.

    A portable world's chance is drawn on the CPU, so that the same seed and actions lead to the same pictures as there; another's is
    drawn on the device.
    """

    def __init__(self, world: World, device: torch.device | str):
        if not isinstance(world, nn.Module) or not isinstance(world, Renders):
            raise ConfigError(f"a {type(world).__name__} cannot be moved to {device}: it is no module that Renders")
        self.spec, self.world, self.device = world.spec, world.to(device), torch.device(device)

    def start(self, prompt: Prompt, rng: Generator) -> State:
        moved = {name: getattr(prompt, name) for name in ("frames", "actions", "state")}
        moved = {name: tensor.to(self.device) for name, tensor in moved.items() if tensor is not None}
        return self.world.start(replace(prompt, **moved), self._there(rng))

    def step(self, state: State, action: Action, rng: Generator) -> State:
        action = action.to(self.device)
        if isinstance(self.world, Portable):
            return self.world.advance(state, action, [noise.to(self.device) for noise in self.world.draw(state.batch_size, rng)])
        return self.world.step(state, action, self._there(rng))

    def observe(self, state: State, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> State:
        return self.world.observe(state, action.to(self.device), observation.to(self.device), self._there(rng))

    def render(self, state: State) -> dict[str, Tensor]:
        return {name: picture.cpu() for name, picture in self.world.render(state).items()}

    def _there(self, rng: Generator) -> Generator:
        return seeded(int(torch.randint(2**62, (1,), generator=rng)), self.device)


class MovedRewardingWorld(MovedWorld, Rewards):
    """The same of a world that knows how good its last step was."""

    def reward(self, state: State) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        reward, going = self.world.reward(state)
        return reward.cpu(), going.cpu()


def moved(world: World, device: torch.device | str) -> MovedWorld:
    """The world on that device. ConfigError where it is no module of torch."""
    return MovedRewardingWorld(world, device) if isinstance(world, Rewards) else MovedWorld(world, device)
