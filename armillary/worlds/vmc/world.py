"""V and M as a World: what the robot will see if it moves so."""

from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import (
    Batch,
    Embeds,
    Loss,
    Phase,
    Portable,
    Prompt,
    Renders,
    Rewards,
    State,
    Trainable,
    World,
    WorldSpec,
    require,
)
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.worlds.vmc import losses
from armillary.worlds.vmc.augment import other_look
from armillary.worlds.vmc.model import ContextDecoder, Encoder, GlobalDecoder, Memory, Mixture, draw_noise

FIRST_LOG_VARIANCE = -4.0
WHOLE_CONTEXT_SHARE = 0.9  # of the batches; the rest start from fewer frames


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and variants of V-M-C.

    `decoding`: "context" draws a picture as a change of the last real one; "global" from the latent alone, as published.
    `predicts`: M's means are the next latent ("latent", as published) or its difference from this one ("change").
    `temperature` scales M's uncertainty in dreams (0: the expected latent; the paper's Doom dreams used 1.15).
    `vision_share`, `memory_share` of the steps train V alone and M alone on V's latents, as published; what is left trains
    both through whole dreams of `dream_steps` steps from up to `context_steps` real frames. Drawing costs most, so only
    `frames_per_window` frames of each window are drawn. `other_looks` is the probability that a training window is shown in
    another look (texture, shift). `changed_weight` is how much more the pixels count that are no longer as in the last real frame:
    where little moves, all else drowns it. `spots` soft discs, placed by the latent, tell the context decoder where small things are.
    `members` whole V-M-Cs are trained side by side, and their pictures averaged (ensemble.py).
    """

    members: int = 2
    decoding: str = "context"
    predicts: str = "change"
    latent_size: int = 128
    hidden_size: int = 512
    num_mixtures: int = 5
    temperature: float = 0.0
    context_steps: int = 3
    dream_steps: int = 20
    frames_per_window: int = 2
    vision_share: float = 0.05
    memory_share: float = 0.0
    other_looks: float = 0.2
    changed_weight: float = 0.0
    spots: int = 0
    batch_size: int = 16
    vision_batch_size: int = 16
    learning_rate: float = 1e-3

    def __post_init__(self):
        if self.members < 1:
            raise ValueError(f"model.members must be at least 1, received {self.members}")
        if self.decoding not in ("context", "global"):
            raise ValueError(f"model.decoding must be context or global, received {self.decoding!r}")
        if self.predicts not in ("change", "latent"):
            raise ValueError(f"model.predicts must be change or latent, received {self.predicts!r}")
        if self.temperature < 0:
            raise ValueError(f"model.temperature must be >= 0, received {self.temperature}")
        if self.spots < 0:
            raise ValueError(f"model.spots must be >= 0, received {self.spots}")
        if self.changed_weight < 0:
            raise ValueError(f"model.changed_weight must be >= 0, received {self.changed_weight}")
        if not 0 <= self.vision_share + self.memory_share <= 1 or min(self.vision_share, self.memory_share) < 0:
            raise ValueError(
                f"model.vision_share and model.memory_share must be >= 0 and sum to at most 1, "
                f"received {self.vision_share} and {self.memory_share}"
            )


@dataclass(frozen=True)
class VmcState(State):
    """Where a dream is: V's latent, M's LSTM state, and the last picture that was really seen."""

    latent: Float[Tensor, "b z"]
    hidden: Float[Tensor, "b n"]
    cell: Float[Tensor, "b n"]
    context: Float[Tensor, "b 3 h w"]


class VmcWorld(nn.Module, World[VmcState], Renders, Embeds, Rewards, Portable, Trainable):
    """World Models (arXiv:1803.10122): V sees, M remembers and foresees. C, the controller, acts on `embed`."""

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        self.config, self.knows_outcomes = config, shape.has_rewards
        sizes = {"height": shape.height, "width": shape.width, "latent_size": config.latent_size}
        self.vision_encoder = Encoder(**sizes, toneless=config.decoding == "context")
        if config.decoding == "context":
            self.vision_decoder = ContextDecoder(**sizes, memory_size=config.hidden_size, spots=config.spots)
            # a latent drawn with unit variance says nothing at first: what moved is small, so begin nearly certain
            nn.init.constant_(self.vision_encoder.head.bias[config.latent_size :], FIRST_LOG_VARIANCE)
        else:
            self.vision_decoder = GlobalDecoder(**sizes)
        self.memory = Memory(
            latent_size=config.latent_size,
            action_size=shape.action_size,
            hidden_size=config.hidden_size,
            num_mixtures=config.num_mixtures,
            residual=config.predicts == "change",
        )
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        self.spec = _spec(config, shape, self.standardise.space())
        self.phase = self.phases()[0].name

    def start(self, prompt: Prompt, rng: Generator) -> VmcState:
        """From the last real frames (at least one; `context_steps` of them are best) and the actions between them."""
        require(prompt, "frames")
        steps = prompt.frames.shape[1]
        actions = self.standardise.between_frames(prompt, (3, *self.spec.observation_space.shape[:2]))
        latent = self.vision_encoder(prompt.frames.flatten(0, 1)).mean.reshape(-1, steps, self.config.latent_size)
        hidden, cell = self.listen(latent[:, :-1], actions)
        return VmcState(latent=latent[:, -1], hidden=hidden, cell=cell, context=prompt.frames[:, -1])

    def step(self, state: VmcState, action: Float[Tensor, "b a"], rng: Generator) -> VmcState:
        noise = self.draw(state.batch_size, rng)
        return self.imagine(state, self.standardise.one_step(action, state.batch_size), *noise)[0]

    def draw(self, batch_size: int, rng: Generator) -> tuple[Tensor, ...]:
        """(uniform, normal), each `b z`."""
        return draw_noise((batch_size, self.config.latent_size), rng)

    def advance(self, state: VmcState, action: Float[Tensor, "b a"], noise: Sequence[Tensor]) -> VmcState:
        return self.imagine(state, self.standardise(action), *noise)[0]

    def observe(self, state: VmcState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator) -> VmcState:
        """M keeps what it remembers, V looks again, and the context becomes what was seen."""
        carry, _ = self.memory(state.latent, self.standardise(action), (state.hidden, state.cell))
        return VmcState(latent=self.vision_encoder(observation).mean, hidden=carry[0], cell=carry[1], context=observation)

    def render(self, state: VmcState) -> dict[str, Float[Tensor, "b 3 h w"]]:
        return {"rgb": self.vision_decoder(state.latent, state.context, state.hidden).clamp(0.0, 1.0)}

    def embed(self, state: VmcState) -> Float[Tensor, "b d"]:
        """[z, h]: what the published controller acts on."""
        return torch.cat([state.latent, state.hidden], dim=-1)

    def reward(self, state: VmcState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Trained on recordings without rewards: 0, and that it goes on."""
        if not self.knows_outcomes:
            return torch.zeros_like(state.hidden[:, 0]), torch.ones_like(state.hidden[:, 0])
        return self.memory.reward(state.hidden)[:, 0], torch.sigmoid(-self.memory.done(state.hidden)[:, 0])

    def imagine(
        self, state: VmcState, action: Float[Tensor, "b a"], uniform: Float[Tensor, "b z"], normal: Float[Tensor, "b z"]
    ) -> tuple[VmcState, Mixture]:
        """One pure step on a standardised action with noise already drawn, and the density that the latent came from."""
        carry, density = self.memory(state.latent, action, (state.hidden, state.cell))
        latent = density.sample(self.config.temperature, uniform, normal)
        return VmcState(latent=latent, hidden=carry[0], cell=carry[1], context=state.context), density

    def phases(self) -> tuple[Phase, ...]:
        """V alone, M alone on V's latents, then whole dreams; a phase without a share is left out."""
        config = self.config
        num_frames = config.context_steps + config.dream_steps
        dream_share = 1.0 - config.vision_share - config.memory_share
        settings = {"num_frames": num_frames, "learning_rate": config.learning_rate}
        phases = (
            Phase(name="vision", share=config.vision_share, batch_size=config.vision_batch_size, **settings),
            Phase(name="memory", share=config.memory_share, batch_size=config.batch_size, **settings),
            Phase(name="dream", share=dream_share, batch_size=config.batch_size, **settings),
        )
        return tuple(phase for phase in phases if phase.share > 1e-9)

    def begin_phase(self, name: str) -> None:
        self.phase = name
        for module in (self.vision_encoder, self.vision_decoder):
            module.requires_grad_(name in ("vision", "dream"))
        self.memory.requires_grad_(name in ("memory", "dream"))

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        if self.phase == "vision":
            return self._vision_loss(batch, rng)
        return self._memory_loss(batch, rng) if self.phase == "memory" else self._dream_loss(batch, rng)

    def _look(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Float[Tensor, "b t 3 h w"]:
        return other_look(frames, self.config.other_looks, rng) if self.config.other_looks > 0 else frames

    def _vision_loss(self, batch: Batch, rng: Generator) -> Loss:
        frames = batch.frames
        chosen = losses.take(frames, losses.choose_frames(len(frames), self.config.frames_per_window, 0, frames.shape[1], rng))
        if self.config.decoding == "global":
            return losses.published_vision_loss(self.vision_encoder, self.vision_decoder, self._look(chosen, rng), rng)
        context = frames[:, self.config.context_steps - 1 : self.config.context_steps]
        seen = self._look(torch.cat([context, chosen], dim=1), rng)
        parts = (self.vision_encoder, self.vision_decoder)
        return losses.context_vision_loss(*parts, seen[:, 1:], seen[:, 0], rng, self.config.changed_weight)

    def _memory_loss(self, batch: Batch, rng: Generator) -> Loss:
        """M foresees each next latent from the real ones (A.2); latents are drawn from V, so that M cannot overfit to points."""
        frames = self._look(batch.frames, rng)
        with torch.no_grad():
            seen = self.vision_encoder(frames.flatten(0, 1))
            noise = torch.randn(seen.mean.shape, generator=rng, device=rng.device)
            latents = seen.sample(noise).unflatten(0, frames.shape[:2])
        actions = self.standardise(batch.actions)
        hidden = latents.new_zeros(len(latents), self.config.hidden_size)
        carry, hiddens = (hidden, torch.zeros_like(hidden)), []
        for t in range(frames.shape[1] - 1):
            carry, _ = self.memory(latents[:, t], actions[:, t], carry)
            hiddens.append(carry[0])
        history = torch.stack(hiddens, dim=1)
        parts = {"density": losses.density_loss(self.memory.mixture(history, latents[:, :-1]), latents[:, 1:])}
        parts |= self._outcome_losses(history, batch, slice(0, frames.shape[1] - 1))
        return Loss(sum(parts.values()), {name: value.detach() for name, value in parts.items()})

    def _dream_loss(self, batch: Batch, rng: Generator) -> Loss:
        """From 1 to `context_steps` real frames M dreams on; what it expects must draw what was really seen."""
        now = self.config.context_steps  # the first frame to dream
        first = now - self._draw_context_steps(rng)
        chosen = losses.choose_frames(len(batch), self.config.frames_per_window, 0, batch.frames.shape[1] - now, rng)
        future = losses.take(batch.frames[:, now:], chosen)
        frames = self._look(torch.cat([batch.frames[:, first:now], future], dim=1), rng)
        context, pictures = frames[:, : now - first], frames[:, now - first :].flatten(0, 1)
        state = self.start(Prompt(batch_size=len(batch), frames=context, actions=batch.actions[:, first : now - 1]), rng)
        states = self._dream(state, self.standardise(batch.actions[:, now - 1 : -1]))
        latents, hidden = (torch.stack(column, dim=1) for column in zip(*((s.latent, s.hidden) for s in states), strict=True))
        dreamt, known = (losses.take(column, chosen).flatten(0, 1) for column in (latents, hidden))
        drawn = self.vision_decoder(dreamt, state.context, known)
        with torch.no_grad():
            seen = self.vision_encoder(pictures).mean.unflatten(0, chosen.shape)
        before = losses.take(torch.cat([state.latent[:, None], latents[:, :-1]], dim=1), chosen)
        density = self.memory.mixture(losses.take(hidden, chosen).detach(), before.detach())
        parts = {
            "pixels": losses.pixel_loss(drawn, pictures, state.context, self.config.changed_weight),
            "spread": losses.spread_loss(density, seen),
        }
        # the heads read what M knows; were they to shape it, rewards would drown the pixels and the actions be ignored
        outcomes = self._outcome_losses(hidden.detach(), batch, slice(now - 1, -1))
        parts |= {name: losses.OUTCOME_WEIGHT * value for name, value in outcomes.items()}
        return Loss(sum(parts.values()), {name: value.detach() for name, value in parts.items()})

    def _dream(self, state: VmcState, actions: Float[Tensor, "b t a"]) -> list[VmcState]:
        """The states of a dream that follows the expected latent."""
        states = []
        for t in range(actions.shape[1]):
            carry, density = self.memory(state.latent, actions[:, t], (state.hidden, state.cell))
            state = VmcState(latent=density.expected(), hidden=carry[0], cell=carry[1], context=state.context)
            states.append(state)
        return states

    def _draw_context_steps(self, rng: Generator) -> int:
        """All of `context_steps` in most batches, fewer in the others: a dream may start from one picture."""
        whole, fewer = (torch.rand((), generator=rng, device=rng.device).item() for _ in range(2))
        return self.config.context_steps if whole < WHOLE_CONTEXT_SHARE else 1 + int(fewer * self.config.context_steps)

    def _outcome_losses(self, hidden: Float[Tensor, "b t n"], batch: Batch, span: slice) -> dict[str, Float[Tensor, ""]]:
        rewards = None if batch.rewards is None else batch.rewards[:, span]
        terminated = None if batch.terminated is None else batch.terminated[:, span]
        return losses.outcome_loss(self.memory, hidden, rewards, terminated)

    def listen(self, latents: Float[Tensor, "b t z"], actions: Float[Tensor, "b t a"]) -> tuple[Tensor, Tensor]:
        """M's (hidden, cell) after real latents and the standardised actions taken there."""
        hidden = latents.new_zeros(latents.shape[0], self.config.hidden_size)
        carry = (hidden, torch.zeros_like(hidden))
        for t in range(latents.shape[1]):
            carry, _ = self.memory(latents[:, t], actions[:, t], carry)
        return carry


def _spec(config: ModelConfig, shape: DataShape, actions: gymnasium.spaces.Box) -> WorldSpec:
    return WorldSpec(
        observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
        action_space=actions,
        seconds_per_step=shape.seconds_per_step,
        prompt=("frames",),
        context_steps=config.context_steps,
    )
