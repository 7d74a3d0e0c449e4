"""The autoregressive world: what will be seen after these actions, code by code."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn

from armillary.core import Batch, ForetellsCodes, Loss, Phase, Prompt, Renders, State, Trainable, World, WorldError, WorldSpec, require
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.tokenizers.given_tokenizer import fill
from armillary.tokenizers.network import VideoAutoencoder
from armillary.worlds.autoregressive.config import ModelConfig
from armillary.worlds.autoregressive.decoding import draw_frame
from armillary.worlds.autoregressive.detail import ContextDetail
from armillary.worlds.autoregressive.learning import predict_loss, tokenize_loss
from armillary.worlds.autoregressive.model import CodePredictor, Known

TOKENIZE, PREDICT = "tokenize", "predict"


@dataclass(frozen=True)
class AutoregressiveState(State):
    """The last `t` frames as codes, newest last, of which the last `count` are there; and what is fixed since the last real frame.

    `memory` holds the transformer's keys and values of those frames: it follows from the rest, and saves computing it again. `actions`
    are standardised; `actions[t]` led to frame `t`, if it is known (`acted`).
    """

    codes: Int[Tensor, "b t r c"]
    actions: Float[Tensor, "b t a"]
    acted: Bool[Tensor, "b t"]
    count: Int[Tensor, " b"]
    memory: Float[Tensor, "b l 2 m w"]
    context: Float[Tensor, "b 3 y x"]
    real: Int[Tensor, "b r c"]
    origin: Float[Tensor, "b a"]
    has_origin: Bool[Tensor, " b"]


class AutoregressiveWorld(nn.Module, World[AutoregressiveState], Renders, ForetellsCodes, Trainable):
    """p(next frame's codes | codes before, actions), one code after another, and pictures of codes with the context's detail."""

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        config.check_picture(3, shape.height, shape.width)
        self.config, self.picture = config, (3, shape.height, shape.width)
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        self.tokenizer = VideoAutoencoder(config.network())
        self.register_buffer("is_given", torch.tensor(False))  # whether a given tokenizer's weights were read
        self.detail = ContextDetail(config.detail_width)
        self.predictor = CodePredictor(
            quantiser=self.tokenizer.discrete(),
            grid=(shape.height // config.space_rate, shape.width // config.space_rate),
            action_size=shape.action_size,
            past_frames=config.context_steps,
            width=config.width,
            depth=config.depth,
            heads=config.heads,
        )
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
            action_space=self.standardise.space(),
            seconds_per_step=shape.seconds_per_step,
            prompt=("frames",),
            context_steps=config.context_steps,
        )
        self.phase = TOKENIZE

    def start(self, prompt: Prompt, rng: Generator) -> AutoregressiveState:
        """From the last `context_steps` frames at most, and the actions between them; where none are given they are unknown."""
        require(prompt, "frames")
        actions = self.standardise.between_frames(prompt, self.picture)
        _require_finite(frames=prompt.frames, actions=actions)
        kept = self.config.context_steps
        frames, actions = prompt.frames[:, -kept:], actions[:, max(actions.shape[1] - kept, 0) :]
        count, steps = frames.shape[:2]
        codes = self.tokenizer.codes(frames)
        acted = torch.arange(steps) >= steps - (0 if prompt.actions is None else actions.shape[1])
        return self._from_window(
            codes=_filled(codes, kept),
            actions=_filled(actions, kept),
            acted=_filled(acted.to(codes.device).expand(count, -1), kept),
            count=torch.full((count,), steps, device=codes.device),
            context=frames[:, -1],
        )

    def step(self, state: AutoregressiveState, action: Float[Tensor, "b a"], rng: Generator) -> AutoregressiveState:
        action = self.standardise.one_step(action, state.batch_size)
        _require_finite(actions=action)
        codes, new = draw_frame(
            self.predictor, self.tokenizer.discrete(), self.config, state.memory, state.count, _next(state, action), rng
        )
        return self._then(state, action, codes, memory=torch.cat([state.memory[:, :, :, self.predictor.count :], new], dim=3))

    def observe(
        self, state: AutoregressiveState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator
    ) -> AutoregressiveState:
        """The window moves on to the picture really seen, which becomes the context: the state of a start from those frames."""
        action = self.standardise.one_step(action, state.batch_size)
        if tuple(observation.shape) != (state.batch_size, *self.picture):
            raise WorldError(f"observations must be {(state.batch_size, *self.picture)}, received {tuple(observation.shape)}")
        _require_finite(actions=action, frames=observation)
        seen = self._then(state, action, self.tokenizer.codes(observation[:, None])[:, 0], memory=state.memory)
        return self._from_window(codes=seen.codes, actions=seen.actions, acted=seen.acted, count=seen.count, context=observation)

    def render(self, state: AutoregressiveState) -> dict[str, Float[Tensor, "b 3 h w"]]:
        """The picture of the newest codes, with what the last real frame shows better than codes do."""
        drawn = self.tokenizer.decode_codes(torch.stack([state.codes[:, -1], state.real], dim=1))
        return {"rgb": self.detail(drawn[:, 0], drawn[:, 1], state.context).clamp(0.0, 1.0)}

    def codes(self, state: AutoregressiveState) -> Int[Tensor, "b r c"]:
        return state.codes[:, -1]

    def phases(self) -> tuple[Phase, ...]:
        """Pictures to codes and back; then the next code."""
        config = self.config
        frames = config.context_steps + config.dream_steps
        share, rate = config.tokenize_share, config.tokenize_learning_rate
        return (
            Phase(name=TOKENIZE, share=share, batch_size=config.tokenize_batch_size, num_frames=frames, learning_rate=rate),
            Phase(name=PREDICT, share=1 - share, batch_size=config.batch_size, num_frames=frames, learning_rate=config.learning_rate),
        )

    def begin_phase(self, name: str) -> None:
        """Make the phase's parameters learn. A given tokenizer never does; it is read the first time."""
        if self.config.tokenizer and not self.is_given:
            fill(self.tokenizer, self.config.tokenizer)
            self.is_given.fill_(True)
        self.phase = name
        self.tokenizer.requires_grad_(name == TOKENIZE and not self.config.tokenizer)
        self.detail.requires_grad_(name == TOKENIZE)
        self.predictor.requires_grad_(name == PREDICT)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        if self.phase == TOKENIZE:
            return tokenize_loss(self.tokenizer, self.detail, self.config, batch.frames, rng, learns=not self.config.tokenizer)
        actions = self.standardise(batch.actions)
        return predict_loss(self.predictor, self.tokenizer, self.config, batch.frames, actions, rng, corrupt=self.training)

    def after_step(self) -> None:
        if self.phase == TOKENIZE and not self.config.tokenizer:
            self.tokenizer.discrete().after_step()

    def _from_window(self, *, codes: Tensor, actions: Tensor, acted: Tensor, count: Tensor, context: Tensor) -> AutoregressiveState:
        """The state after a window whose last frame is `context`."""
        steps = torch.arange(codes.shape[1], device=codes.device)
        there = steps >= codes.shape[1] - count[:, None]
        known = Known(
            before=torch.roll(codes, 1, dims=1),
            has_before=torch.roll(there, 1, dims=1) & there & (steps > 0),
            action=actions,
            has_action=acted,
            real=codes[:, -1],
            origin=actions[:, -1],
            has_origin=acted[:, -1],
        )
        memory = self.predictor.remember(self.predictor.codes(self.tokenizer.discrete()), known, codes, count)
        fixed = {"context": context, "real": known.real, "origin": known.origin, "has_origin": known.has_origin}
        return AutoregressiveState(codes=codes, actions=actions, acted=acted, count=count, memory=memory, **fixed)

    def _then(self, state: AutoregressiveState, action: Tensor, codes: Tensor, *, memory: Tensor) -> AutoregressiveState:
        """One frame later; the oldest is dropped."""
        return AutoregressiveState(
            codes=torch.cat([state.codes[:, 1:], codes[:, None]], dim=1),
            actions=torch.cat([state.actions[:, 1:], action[:, None]], dim=1),
            acted=torch.cat([state.acted[:, 1:], torch.ones_like(state.acted[:, :1])], dim=1),
            count=(state.count + 1).clamp_max(self.config.context_steps),
            memory=memory,
            context=state.context,
            real=state.real,
            origin=state.origin,
            has_origin=state.has_origin,
        )


def _next(state: AutoregressiveState, action: Float[Tensor, "b a"]) -> Known:
    """What is known of the frame after a state."""
    yes = torch.ones_like(state.acted[:, -1:])
    return Known(
        before=state.codes[:, -1:],
        has_before=yes,
        action=action[:, None],
        has_action=yes,
        real=state.real,
        origin=state.origin,
        has_origin=state.has_origin,
    )


def _filled(values: Tensor, steps: int) -> Tensor:
    """Zeros before the values, so that there are `steps`; of more only the last."""
    values = values[:, -steps:] if values.shape[1] else values
    return torch.cat([values.new_zeros(len(values), steps - values.shape[1], *values.shape[2:]), values], dim=1)


def _require_finite(**given: Tensor) -> None:
    for name, values in given.items():
        bad = ~values.isfinite().flatten(1).all(dim=1)
        if bool(bad.any()):
            raise WorldError(f"{name} must be numbers, found NaN or infinity in worlds {bad.nonzero()[:5, 0].tolist()} of {len(bad)}")
