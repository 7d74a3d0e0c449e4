"""Genie as a World: played with the dataset's actions, or with latent ones."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Generator, Tensor, nn
from torch.nn import functional

from armillary.core import (
    Batch,
    ConfigError,
    InfersActions,
    Loss,
    Phase,
    Prompt,
    Promptable,
    Renders,
    Trainable,
    World,
    WorldError,
    WorldSpec,
    require,
    to_bytes,
)
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.nn.quantise import perplexity
from armillary.worlds.genie.config import ModelConfig
from armillary.worlds.genie.decoding import draw_frame
from armillary.worlds.genie.detail import give_back, keep_detail
from armillary.worlds.genie.dynamics import Dynamics
from armillary.worlds.genie.labels import ActionMap
from armillary.worlds.genie.latent_actions import LatentActionModel
from armillary.worlds.genie.learning import action_loss, dynamics_loss, label_loss, tokenize_loss
from armillary.worlds.genie.memory import no_memory, recall, remember
from armillary.worlds.genie.recolour import recolour, repaint
from armillary.worlds.genie.state import GenieState, are_there
from armillary.worlds.genie.tokenizer import STTokenizer

TOKENIZE, ACT, DREAM, TOGETHER, LABEL = "tokenize", "latent-actions", "dynamics", "together", "labels"
LABEL_RATE = 0.1  # of the action map alone: a few numbers, few steps
DRAWING = {"passes", "temperature", "top_p", "detail"}  # settings of a frame's drawing alone
FEWEST_ACTIONS = 1.5  # codes in use, as a perplexity, below which nothing was told apart


class GenieWorld(nn.Module, World[GenieState], Renders, InfersActions, Promptable, Trainable):
    """What is seen next, given what was done; what was done is learned from pictures, and what keys mean from a few labelled steps."""

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        grid = config.grid(shape.height, shape.width)
        self.config, self.picture = config, (3, shape.height, shape.width)
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        self.tokenizer = STTokenizer(config, grid)
        self.actor = LatentActionModel(config, grid)
        self.known_events = shape.captions if config.text != "none" else ()
        self.dynamics = Dynamics(config, self.tokenizer.quantiser, grid, hears=bool(self.known_events))
        self.labels = ActionMap(shape.action_size, config.num_actions, config.labelled_steps)
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
            action_space=self.standardise.space(),
            seconds_per_step=shape.seconds_per_step,
            prompt=("frames",),
            context_steps=config.context_steps,
        )
        self.phase = self.phases()[0].name

    def drawn_with(self, **settings) -> "GenieWorld":
        """The same world, with the same weights, that draws otherwise: by other `passes`, `temperature`, `top_p` or `detail`."""
        if set(settings) - DRAWING:
            raise ConfigError(f"only {', '.join(sorted(DRAWING))} can change in a trained world, received {', '.join(sorted(settings))}")
        other = copy(self)
        other.config = replace(self.config, **settings)
        return other

    def start(self, prompt: Prompt, rng: Generator) -> GenieState:
        """From the last `context_steps` frames at most; a world with a memory keeps those before them.

        What was done between them is inferred from them, whatever actions are given. A text says what goes on, where events are known.
        """
        require(prompt, "frames")
        self.standardise.between_frames(prompt, self.picture)  # refuses actions of another shape
        _require_finite(frames=prompt.frames)
        frames = prompt.frames[:, -self.config.context_steps :]
        count = torch.full((len(frames),), frames.shape[1], device=frames.device)
        missing = self.config.context_steps - frames.shape[1]
        text = self._text(prompt.text or [""] * len(frames), len(frames)).to(frames.device) if self.events else None
        state = self._from_window(torch.cat([frames[:, :1].expand(-1, missing, -1, -1, -1), frames], dim=1), count, text)
        return self._with_memory(state, prompt.frames)

    def step(self, state: GenieState, action: Float[Tensor, "b a"], rng: Generator) -> GenieState:
        action = self.standardise.one_step(action, state.batch_size)
        _require_finite(actions=action)
        return self.step_latent(state, self.labels(action), rng)

    def _with_memory(self, state: GenieState, frames: Float[Tensor, "b t 3 h w"]) -> GenieState:
        """The state of a start from `frames`, of which it keeps those that its window does not hold."""
        if not self.config.memory_frames:
            return state
        older, quantiser = frames[:, : -self.config.context_steps], self.tokenizer.quantiser
        memory = no_memory(state.codes[:, 0], self.config.memory_length)
        if older.shape[1]:
            with torch.no_grad():
                for codes in self.tokenizer.codes(older).unbind(1):
                    memory = remember(memory, quantiser, codes, torch.ones_like(state.count, dtype=torch.bool))
        return replace(state, memory=memory)

    def _recalled(self, state: GenieState) -> tuple[Int[Tensor, "b f r c"], Bool[Tensor, "b f"]] | None:
        """The codes of the frames that it looks back at, and which of them are there."""
        if state.memory is None:
            return None
        return recall(state.memory, self.tokenizer.quantiser, state.codes[:, -1], self.config.memory_frames)

    @torch.no_grad()
    def step_latent(self, state: GenieState, action: Int[Tensor, " b"], rng: Generator) -> GenieState:
        if tuple(action.shape) != (state.batch_size,) or bool(((action < 0) | (action >= self.config.num_actions)).any()):
            raise WorldError(
                f"latent actions must be {state.batch_size} whole numbers from 0 to {self.config.num_actions - 1}, "
                f"received {action.tolist()}"
            )
        there = torch.cat([state.there(), torch.ones_like(state.count[:, None], dtype=torch.bool)], dim=1)
        quantiser = self.tokenizer.quantiser
        codes, known = draw_frame(
            self.dynamics, quantiser, self.config, state.codes[:, -1], action, state.known, there, state.text, self._recalled(state), rng
        )
        memory = state.remembered(quantiser)
        picture, drawn = self.tokenizer.draw(quantiser.codes_to_z(codes[:, None]), state.drawn, there)
        shown = picture[:, 0].clamp(0.0, 1.0)
        if state.detail is not None:
            shown = give_back(state.detail, quantiser, codes, shown).clamp(0.0, 1.0)
        return state.then(picture=shown, codes=codes, action=action, known=known, drawn=drawn, memory=memory)

    def observe(self, state: GenieState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator) -> GenieState:
        """The window of pictures moves on to the one really seen: the state of a start from them."""
        _require_finite(actions=self.standardise.one_step(action, state.batch_size), frames=observation)
        if tuple(observation.shape) != (state.batch_size, *self.picture):
            raise WorldError(f"observations must be {(state.batch_size, *self.picture)}, received {tuple(observation.shape)}")
        count = (state.count + 1).clamp_max(self.config.context_steps)
        seen = self._from_window(torch.cat([state.pictures[:, 1:], observation[:, None]], dim=1), count, state.text)
        return replace(seen, memory=state.remembered(self.tokenizer.quantiser))

    @property
    def events(self) -> tuple[str, ...]:
        return self.known_events

    def prompt(self, state: GenieState, text: Sequence[str]) -> GenieState:
        """What the texts say goes on from the next step on. Others than `events` are read too, but nothing was learned of them."""
        if not self.events:
            raise WorldError("this world hears no texts: train it on recordings whose frames have captions, with model.text = bytes")
        return replace(state, text=self._text(text, state.batch_size).to(state.codes.device))

    def _text(self, text: Sequence[str], batch_size: int) -> UInt8[Tensor, "b n"]:
        if len(text) != batch_size:
            raise WorldError(f"needs a text for each of {batch_size} worlds, received {len(text)}")
        return to_bytes(text, self.config.text_bytes)

    def render(self, state: GenieState) -> dict[str, Float[Tensor, "b 3 h w"]]:
        """The newest picture: at a start the real one, after a step what its codes show."""
        return {"rgb": state.pictures[:, -1]}

    @property
    def latent_actions(self) -> Float[Tensor, "k d"]:
        return self.actor.quantiser.vectors

    def infer(self, frames: Float[Tensor, "b t 3 h w"]) -> Int[Tensor, "b s"]:
        return self.actor.codes(frames)

    def phases(self) -> tuple[Phase, ...]:
        """Tokenizer, latent actions and dynamics, one after another or together; then the few labels."""
        config = self.config
        sizes = {"batch_size": config.batch_size, "num_frames": config.num_frames, "learning_rate": config.learning_rate}
        label = Phase(name=LABEL, share=config.label_share, **(sizes | {"learning_rate": LABEL_RATE}))
        if config.stages == "together":
            return Phase(name=TOGETHER, share=1 - config.label_share, **sizes), label
        rest = 1 - config.tokenize_share - config.action_share - config.label_share
        return (
            Phase(name=TOKENIZE, share=config.tokenize_share, **(sizes | {"num_frames": config.tokenize_frames})),
            Phase(name=ACT, share=config.action_share, **sizes),
            Phase(name=DREAM, share=rest, **(sizes | {"num_frames": config.num_frames + self._earlier()})),
            label,
        )

    def _earlier(self) -> int:
        """How many frames before a window the dynamics learns to remember."""
        return self.config.memory_window if self.config.memory_frames else 0

    def begin_phase(self, name: str) -> None:
        self.phase = name
        self.tokenizer.requires_grad_(name in (TOKENIZE, TOGETHER))
        self.actor.requires_grad_(name in (ACT, TOGETHER))
        self.dynamics.requires_grad_(name in (DREAM, TOGETHER))
        self.labels.requires_grad_(name == LABEL)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The phase's. Recorded actions are looked at in the last one alone."""
        if self.phase == LABEL:
            with torch.no_grad():
                codes = self.infer(batch.frames)
            return label_loss(self.labels, codes, self.standardise(batch.actions), learns=self.training)
        losses = {TOKENIZE: self._tokenize_loss, ACT: self._action_loss, DREAM: self._dynamics_loss}
        found = [losses[name](batch, rng) for name in ((TOKENIZE, ACT, DREAM) if self.phase == TOGETHER else (self.phase,))]
        return Loss(torch.stack([one.total for one in found]).sum(), {name: part for one in found for name, part in one.parts.items()})

    def _tokenize_loss(self, batch: Batch, rng: Generator) -> Loss:
        return tokenize_loss(self.tokenizer, repaint(batch.frames[:, : self.config.tokenize_frames], self._recoloured(), rng), rng)

    def _action_loss(self, batch: Batch, rng: Generator) -> Loss:
        return action_loss(self.actor, recolour(batch.frames, self._recoloured(), rng), rng)

    def _dynamics_loss(self, batch: Batch, rng: Generator) -> Loss:
        """What was done is inferred from the frames in their own colours."""
        earlier, frames = self._earlier(), repaint(batch.frames, self._recoloured(), rng)
        with torch.no_grad():
            inferred = self.actor.codes(batch.frames[:, earlier:])
        return dynamics_loss(self.dynamics, self.tokenizer, frames, inferred, rng, self._captions(batch), earlier)

    def _recoloured(self) -> float:
        return self.config.recolour if self.training else 0.0

    def _captions(self, batch: Batch) -> UInt8[Tensor, "b t n"] | None:
        """What is said of each frame, in as many bytes as are read."""
        if not self.events:
            return None
        if batch.captions is None:
            return torch.zeros(*batch.frames.shape[:2], self.config.text_bytes, dtype=torch.uint8, device=batch.frames.device)
        cut = batch.captions[:, :, : self.config.text_bytes]
        return functional.pad(cut, (0, self.config.text_bytes - cut.shape[2]))

    def after_step(self) -> None:
        if self.phase in (TOKENIZE, TOGETHER):
            self.tokenizer.quantiser.after_step()
        if self.phase in (ACT, TOGETHER):
            self.actor.quantiser.after_step()

    def _from_window(self, pictures: Float[Tensor, "b t 3 h w"], count: Int[Tensor, " b"], text: UInt8[Tensor, "b n"] | None) -> GenieState:
        """The state after a window of pictures of which the last `count` are there."""
        there = are_there(count, pictures.shape[1])
        with torch.no_grad():
            codes = self.tokenizer.codes(pictures, there)
            inferred = self.actor.codes(pictures, there).masked_fill(~there[:, :-1], self.dynamics.unknown)
            actions = torch.cat([torch.full_like(inferred[:, :1], self.dynamics.unknown), inferred], dim=1)
            z = self.tokenizer.quantiser.codes_to_z(codes)
            before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
            has_before = torch.cat([torch.zeros_like(there[:, :1]), there[:, :-1]], dim=1)
            told = self.dynamics.told(before * has_before[:, None, :, None, None], actions)
            known, (shown, drawn) = self.dynamics.remember(told, z, there=there), self.tokenizer.draw(z, there=there)
        detail = None
        if self.config.detail:
            detail = keep_detail(codes[:, -1], pictures[:, -1], shown[:, -1].clamp(0.0, 1.0), self.config.patch)
        return GenieState(pictures=pictures, codes=codes, actions=actions, count=count, known=known, drawn=drawn, text=text, detail=detail)

    def diagnose(self, row: Mapping[str, object]) -> str:
        """Whether latent actions tell anything apart."""
        kept = self.labels.codes[: int(self.labels.count)]
        if len(kept) and float(perplexity(kept, self.config.num_actions)) < FEWEST_ACTIONS:
            return (
                f"nearly all labelled steps have the same latent action, so keys will do nothing; train longer (train.steps), or raise "
                f"model.drop_past ({self.config.drop_past}), model.variance_weight ({self.config.variance_weight}) or model.change_weight"
            )
        return ""


def _require_finite(**given: Tensor) -> None:
    for name, values in given.items():
        bad = ~values.isfinite().flatten(1).all(dim=1)
        if bool(bad.any()):
            raise WorldError(f"{name} must be numbers, found NaN or infinity in worlds {bad.nonzero()[:5, 0].tolist()} of {len(bad)}")
