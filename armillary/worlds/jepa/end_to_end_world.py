"""The end-to-end JEPA as a World: from pixels to a latent, and from a latent and an action to the next latent. It never draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Batch, ConfigError, Embeds, Loss, Phase, Prompt, State, Trainable, World, WorldError, WorldSpec, require
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.nn.random_shift import random_shift
from armillary.nn.residual_cnn import Encoder
from armillary.worlds.jepa.collapse import describe_collapse, watch_collapse
from armillary.worlds.jepa.end_to_end import Predictor
from armillary.worlds.jepa.regularisers import InverseDynamics, covariance_loss, sigreg, similarity_loss, variance_loss
from armillary.worlds.jepa.state_reading import StateReading

_WEIGHTS = ("sigreg_weight", "variance_weight", "covariance_weight", "similarity_weight", "inverse_weight")
_POSITIVE = ("latent_size", "width", "blocks", "predict_steps", "batch_size", "context_steps", "num_projections")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes of the networks and the weights of the loss; a weight of 0 switches its term off.

    total = prediction over 1 to `predict_steps` steps + the weighted `sigreg`, `variance`, `covariance`, `similarity` and
    `inverse` terms of regularisers.py + the weighted `state` of state_reading.py. Windows have `window_steps` frames; every one of them
    with enough frames after it is a start of predictions. `memory_size` is what is remembered beside the latent (0: the latent alone is
    the state, for worlds that one picture shows whole); with a memory, a prompt is best given `context_steps` frames.

    `pooled` tells the encoder how much of what is in the picture, wherever it is: how far things are turned
    (`armillary.nn.residual_cnn.Encoder`).

    `linear_actions` adds a linear function of the action to every prediction. Where actions are commanded poses, as of many robots, what it
    foresees of poses that no recording holds is then better. `state_weight` (0: off) asks every latent, seen or foreseen, to tell the
    robot's state linearly, so that what is foreseen keeps to what was commanded; the state is asked for in training alone.

    Three settings help where recordings are few (0: off), and act in training only. `shift_pixels`: every window is seen moved by up to so
    many pixels. `latent_noise`: predictions start from latents with so much Gaussian noise, `action_noise`: they hear actions with
    so much (the numbers of both have deviation 1). The predictor then does not learn recordings by heart.
    """

    latent_size: int = 64
    memory_size: int = 0
    linear_actions: bool = False
    state_weight: float = 0.0
    width: int = 256
    channels: tuple[int, ...] = (32, 64)
    blocks: int = 1
    pooled: bool = False
    context_steps: int = 1
    predict_steps: int = 8
    window_steps: int = 12
    sigreg_weight: float = 0.0
    num_projections: int = 1024
    variance_weight: float = 4.0
    covariance_weight: float = 2.0
    similarity_weight: float = 0.25
    inverse_weight: float = 4.0
    shift_pixels: int = 0
    latent_noise: float = 0.0
    action_noise: float = 0.0
    batch_size: int = 32
    learning_rate: float = 2e-3

    def __post_init__(self):
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be >= 1, received {getattr(self, name)}")
        for name in (*_WEIGHTS, "state_weight", "memory_size", "shift_pixels", "latent_noise", "action_noise"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"model.{name} must be >= 0 (0 switches it off), received {getattr(self, name)}")
        if self.window_steps <= self.predict_steps:
            raise ConfigError(
                f"model.window_steps must be greater than model.predict_steps, received {self.window_steps} and {self.predict_steps}"
            )
        if not self.memory_size and self.context_steps > 1:
            raise ConfigError(
                f"model.context_steps = {self.context_steps} needs a memory to remember them in; set model.memory_size, or "
                "model.context_steps = 1"
            )
        if not self.learning_rate > 0:
            raise ConfigError(f"model.learning_rate must be > 0, received {self.learning_rate}")


@dataclass(frozen=True)
class EndToEndState(State):
    """Where the world is: the latent of the last picture seen or predicted, and what is remembered beside it."""

    latent: Float[Tensor, "b d"]
    memory: Float[Tensor, "b m"]


class EndToEndWorld(nn.Module, World[EndToEndState], Embeds, Trainable):
    """LeWM (arXiv:2603.19312) or eb_jepa's recipe, by the weights of its config: encoder and predictor learn together.

    There is no target network, no stop-gradient and no decoder; what keeps the encoder from giving every picture the same latent is
    in regularisers.py, and whether it did is in every row of metrics.jsonl (collapse.py).
    """

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        self.config, self.picture = config, (3, shape.height, shape.width)
        sizes = {"latent_size": config.latent_size}
        cnn = {"channels": config.channels, "blocks": config.blocks, "pooled": config.pooled}
        self.encoder = Encoder(height=shape.height, width=shape.width, **cnn, **sizes)
        # one normalisation for what is seen and what is predicted: both lie on the same shell
        self.norm = nn.LayerNorm(config.latent_size)
        acting = {"action_size": shape.action_size, "width": config.width}
        self.predictor = Predictor(memory_size=config.memory_size, linear_actions=config.linear_actions, **sizes, **acting)
        self.inverse = InverseDynamics(**sizes, **acting)
        self.state_reading = StateReading(shape=shape, **sizes) if config.state_weight else None
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        self.spec = _spec(config, shape, self.standardise.space())
        self.begin_phase("joint")

    def start(self, prompt: Prompt, rng: Generator) -> EndToEndState:
        """From the last real frames (one; with a memory, best `context_steps` of them) and the actions between them."""
        require(prompt, "frames")
        actions = self.standardise.between_frames(prompt, self.picture)
        if not self.config.memory_size:  # one picture is enough: do not look at those before it
            latents, actions = self.encode(prompt.frames[:, -1:]), actions[:, :0]
        else:
            latents = self.encode(prompt.frames)
        return EndToEndState(latent=latents[:, -1], memory=self._listen(latents, actions)[-1])

    def step(self, state: EndToEndState, action: Float[Tensor, "b a"], rng: Generator) -> EndToEndState:
        """One step of the expected latent; nothing is drawn."""
        latent, memory = self.predict(state.latent, state.memory, self.standardise.one_step(action, state.batch_size))
        return EndToEndState(latent=latent, memory=memory)

    def rollout(self, state: EndToEndState, actions: Float[Tensor, "b t a"], rng: Generator) -> list[EndToEndState]:
        """`step` after `step`, to the bit; actions are checked and standardised once, which planners notice."""
        states, steps = [], actions.shape[1]
        if steps:
            self.standardise.one_step(actions[:, 0], state.batch_size)
        acted = self.standardise(actions)
        for t in range(steps):
            state = EndToEndState(*self.predict(state.latent, state.memory, acted[:, t]))
            states.append(state)
        return states

    def observe(
        self, state: EndToEndState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator
    ) -> EndToEndState:
        """The memory goes on as in `step`; the latent is that of the picture really seen."""
        expected = self.step(state, action, rng)
        return EndToEndState(latent=self.encode(observation[:, None])[:, 0], memory=expected.memory)

    def embed(self, state: EndToEndState) -> Float[Tensor, "b d"]:
        """The latent: compare it with that of a goal picture, `embed(start(Prompt(frames=goal[:, None]), rng))`."""
        return state.latent

    def foreseen_state(self, state: EndToEndState) -> Float[Tensor, "b s"]:
        """The robot's state as the latent tells it, in the data's units. WorldError where the world did not learn to (`state_weight`)."""
        if self.state_reading is None:
            raise WorldError("this world tells no robot state: it was trained with model.state_weight 0")
        return self.state_reading(state.latent)

    def encode(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t d"]:
        """The latent of every frame, each on its own."""
        return self.norm(self.encoder(frames.flatten(0, 1))).unflatten(0, frames.shape[:2])

    def predict(
        self, latent: Float[Tensor, "n d"], memory: Float[Tensor, "n m"], action: Float[Tensor, "n a"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n m"]]:
        """One pure step on a standardised action: (next latent, next memory)."""
        raw, memory = self.predictor(latent, memory, action)
        return self.norm(raw), memory

    def phases(self) -> tuple[Phase, ...]:
        """One phase: everything learns together."""
        config = self.config
        sizes = {"batch_size": config.batch_size, "num_frames": config.window_steps}
        return (Phase(name="joint", share=1.0, learning_rate=config.learning_rate, **sizes),)

    def begin_phase(self, name: str) -> None:
        self.requires_grad_(True)
        self.inverse.requires_grad_(self.config.inverse_weight > 0)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The prediction error plus the weighted regularisers; the parts are given without their weights."""
        config = self.config
        actions = self.standardise(batch.actions)
        shifted = self.training and config.shift_pixels > 0
        latents = self.encode(random_shift(batch.frames, config.shift_pixels, rng) if shifted else batch.frames)
        samples = latents.flatten(0, 1)
        foreseen = self._foresee(latents, actions, rng)
        gaps = [(found - latents[:, ahead:]).square().mean() for ahead, found in enumerate(foreseen, start=1)]
        terms = {"prediction": (1.0, torch.stack(gaps).mean())}
        if config.sigreg_weight:
            terms["sigreg"] = (config.sigreg_weight, sigreg(latents, rng, num_projections=config.num_projections))
        if config.variance_weight:
            terms["variance"] = (config.variance_weight, variance_loss(samples))
        if config.covariance_weight:
            terms["covariance"] = (config.covariance_weight, covariance_loss(samples))
        if config.similarity_weight:
            terms["similarity"] = (config.similarity_weight, similarity_loss(latents))
        if config.inverse_weight:
            terms["inverse"] = (config.inverse_weight, self.inverse.loss(latents, actions))
        if self.state_reading is not None:
            terms["state"] = (config.state_weight, self._state_loss(latents, foreseen, batch))
        parts = {name: value.detach() for name, (_, value) in terms.items()}
        return Loss(sum(weight * value for weight, value in terms.values()), parts | watch_collapse(latents))

    def diagnose(self, row: Mapping[str, object]) -> str:
        """Whether the encoder collapsed (collapse.py)."""
        return describe_collapse(row, dimensions=self.config.latent_size)

    def _foresee(self, latents: Float[Tensor, "b t d"], actions: Float[Tensor, "b t a"], rng: Generator) -> list[Tensor]:
        """The latents predicted 1 to `predict_steps` steps ahead, from every frame at once: item k - 1 is `b t-k d`, for frames k to t - 1.

        Action t leads from frame t to frame t + 1. At each step ahead the last start of the window has no frame left to be compared with.
        """
        now = self._blur(latents, self.config.latent_noise, rng)
        actions = self._blur(actions, self.config.action_noise, rng)
        memory = torch.stack(self._listen(now, actions[:, :-1]), dim=1)
        found = []
        for ahead in range(1, self.config.predict_steps + 1):
            starts = latents.shape[1] - ahead
            flat = (x[:, :starts].flatten(0, 1) for x in (now, memory, actions[:, ahead - 1 : -1]))
            now, memory = (x.unflatten(0, (len(latents), starts)) for x in self.predict(*flat))
            found.append(now)
        return found

    def _state_loss(self, latents: Float[Tensor, "b t d"], foreseen: Sequence[Tensor], batch: Batch) -> Float[Tensor, ""]:
        """The reading's error from the latents that were seen plus its mean error over steps ahead from those that were foreseen."""
        if batch.state is None:
            raise WorldError("model.state_weight needs the robot's state in every batch; this one holds none")
        ahead = [self.state_reading.loss(found, batch.state[:, k:]) for k, found in enumerate(foreseen, start=1)]
        return self.state_reading.loss(latents, batch.state) + torch.stack(ahead).mean()

    def _blur(self, numbers: Tensor, deviation: float, rng: Generator) -> Tensor:
        """With Gaussian noise of this deviation while training, otherwise as they are."""
        if not (self.training and deviation > 0):
            return numbers
        return numbers + deviation * torch.randn(numbers.shape, generator=rng, device=rng.device).to(numbers)

    def _listen(self, latents: Float[Tensor, "b t d"], actions: Float[Tensor, "b t-1 a"]) -> list[Float[Tensor, "b m"]]:
        """The memory at each of `t` real latents, from the standardised actions between them; it begins empty."""
        memories = [latents.new_zeros(len(latents), self.config.memory_size)]
        if not self.config.memory_size:
            return memories * latents.shape[1]
        for t in range(actions.shape[1]):
            memories.append(self.predict(latents[:, t], memories[-1], actions[:, t])[1])
        return memories


def _spec(config: ModelConfig, shape: DataShape, actions: gymnasium.spaces.Box) -> WorldSpec:
    return WorldSpec(
        observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (config.latent_size,), np.float32),
        action_space=actions,
        seconds_per_step=shape.seconds_per_step,
        prompt=("frames",),
        context_steps=config.context_steps,
        frame_size=(shape.height, shape.width),
    )
