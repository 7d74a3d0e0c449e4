"""Several V-M-Cs as one World: each dreams for itself, and what is shown is the mean of their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Batch, Embeds, Loss, Phase, Portable, Prompt, Renders, Rewards, State, Trainable, World
from armillary.data.shape import DataShape
from armillary.worlds.vmc.world import ModelConfig, VmcState, VmcWorld


@dataclass(frozen=True)
class EnsembleState(State):
    """Where each of `m` members is in its dream; all dream on from the same last picture."""

    latent: Float[Tensor, "b m z"]
    hidden: Float[Tensor, "b m n"]
    cell: Float[Tensor, "b m n"]
    context: Float[Tensor, "b 3 h w"]


class VmcEnsemble(nn.Module, World[EnsembleState], Renders, Embeds, Rewards, Portable, Trainable):
    """A deep ensemble (arXiv:1612.01474): members differ in their first weights and in the noise of their training alone.

    The mean of their pictures has a smaller squared error than the mean of their errors. At a temperature above zero each
    member draws a future of its own, and their mean is none of them: use one member there.
    """

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(VmcWorld(config, shape) for _ in range(config.members))
        self.spec = self.members[0].spec

    def start(self, prompt: Prompt, rng: Generator) -> EnsembleState:
        return _join([member.start(prompt, rng) for member in self.members])

    def step(self, state: EnsembleState, action: Float[Tensor, "b a"], rng: Generator) -> EnsembleState:
        return _join([member.step(own, action, rng) for member, own in self._each(state)])

    def draw(self, batch_size: int, rng: Generator) -> tuple[Tensor, ...]:
        """(uniform, normal), each `b z`, of one member after the other."""
        return tuple(noise for member in self.members for noise in member.draw(batch_size, rng))

    def advance(self, state: EnsembleState, action: Float[Tensor, "b a"], noise: Sequence[Tensor]) -> EnsembleState:
        shares = zip(noise[::2], noise[1::2], strict=True)
        return _join([member.advance(own, action, share) for (member, own), share in zip(self._each(state), shares, strict=True)])

    def observe(
        self, state: EnsembleState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator
    ) -> EnsembleState:
        return _join([member.observe(own, action, observation, rng) for member, own in self._each(state)])

    def render(self, state: EnsembleState) -> dict[str, Float[Tensor, "b 3 h w"]]:
        """The mean of the members' pictures."""
        return {"rgb": torch.stack([member.render(own)["rgb"] for member, own in self._each(state)]).mean(0)}

    def embed(self, state: EnsembleState) -> Float[Tensor, "b d"]:
        """The members' [z, h], one after the other."""
        return torch.cat([member.embed(own) for member, own in self._each(state)], dim=-1)

    def reward(self, state: EnsembleState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """The members' means."""
        rewards, going = zip(*(member.reward(own) for member, own in self._each(state)), strict=True)
        return torch.stack(rewards).mean(0), torch.stack(going).mean(0)

    def phases(self) -> tuple[Phase, ...]:
        return self.members[0].phases()

    def begin_phase(self, name: str) -> None:
        for member in self.members:
            member.begin_phase(name)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The sum of the members' losses, so that each learns as it would alone; the parts are means."""
        losses = [member.loss(batch, rng) for member in self.members]
        parts = {name: torch.stack([one.parts[name] for one in losses]).mean() for name in losses[0].parts}
        return Loss(torch.stack([one.total for one in losses]).sum(), parts)

    def _each(self, state: EnsembleState) -> list[tuple[VmcWorld, VmcState]]:
        """Every member with its own part of the state."""
        return [
            (member, VmcState(latent=state.latent[:, i], hidden=state.hidden[:, i], cell=state.cell[:, i], context=state.context))
            for i, member in enumerate(self.members)
        ]


def _join(states: Sequence[VmcState]) -> EnsembleState:
    """The members' states as one."""
    latent, hidden, cell = (torch.stack([getattr(state, name) for state in states], dim=1) for name in ("latent", "hidden", "cell"))
    return EnsembleState(latent=latent, hidden=hidden, cell=cell, context=states[0].context)
