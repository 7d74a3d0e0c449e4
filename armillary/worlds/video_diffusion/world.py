"""The video diffusion world: what will be seen, what was done and what to do, drawn together."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from armillary.core import (
    Batch,
    CompletesViews,
    ConfigError,
    Imagines,
    Loss,
    Phase,
    Prompt,
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
from armillary.worlds.video_diffusion.chunks import Asked, Chunks
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.denoiser import Denoiser
from armillary.worlds.video_diffusion.learning import batch_loss
from armillary.worlds.video_diffusion.space import Latents, Pixels
from armillary.worlds.video_diffusion.state import VideoState, alike, begin, filled, film, next_chunk, padded, past, recent
from armillary.worlds.video_diffusion.text import build_reader
from armillary.worlds.video_diffusion.views import draw_others, fields_of_view_deg_of, spread_over
from armillary.worlds.video_diffusion.window import DRAWN, GIVEN, HIDDEN, NEEDS_TEXT, served_modes

logger = logging.getLogger(__name__)
DRAW = "diffusion"


class VideoDiffusionWorld(nn.Module, World[VideoState], Renders, Imagines, CompletesViews, Trainable):
    """p(what is not known | what is known) of a chunk: its frames, its actions, and a text.

    The pictures of several cameras stand side by side; which of them a prompt's frames are, `Prompt.cameras` says.
    A step costs nothing: a picture is drawn when someone looks, with the chunk up to it, and depends on no later action. The same
    state gives the same picture.
    """

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        self.config, self.picture, self.cameras = config, (3, shape.height, shape.width), shape.cameras
        views = max(len(shape.cameras), 1)
        self.space = Latents(config.latents, config.tokenizer, views) if config.tokenizer else Pixels()
        side, width = self.space.side * config.patch, shape.width // views
        if shape.height % side or width % side:
            raise ConfigError(
                f"picture sides must be multiples of {side} (model.patch {config.patch} x {self.space.side} pixels a cell), "
                f"received {shape.height} x {width}; set data.height and data.width"
            )
        fields_of_view_deg = fields_of_view_deg_of(config, shape, views)
        self.reader = build_reader(config, shape.has_text)
        self.modes, missing = served_modes(config.modes, has_text=self.reader is not None, has_actions=shape.action_size > 0, views=views)
        if not self.modes:
            raise ConfigError(f"the data serves none of the modes asked for ({', '.join(missing)}); give another of model.modes a weight")
        for name in missing:
            lacks = "text" if name in NEEDS_TEXT else "actions"
            logger.warning("mode %s is left out: there is no %s to train it with", name, lacks)
        self.denoiser = Denoiser(
            config,
            self.space,
            ActionScale(shape.action_mean, shape.action_std),
            text_width=0 if self.reader is None else self.reader.width,
            grid=(shape.height // side, width // side),
            seconds_per_step=shape.seconds_per_step,
            fields_of_view_deg=fields_of_view_deg,
        )
        self.chunks = Chunks(config, self.picture, self.space, self.denoiser, self.reader)
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
            action_space=self.standardise.space(),
            seconds_per_step=shape.seconds_per_step,
            prompt=("frames",),
            context_steps=config.context_steps,
        )

    @property
    def standardise(self) -> ActionScale:
        """Units of the data to standard ones."""
        return self.denoiser.standardise

    def start(self, prompt: Prompt, rng: Generator) -> VideoState:
        """From the last frames (at most `context_steps`), the actions between them if they are known, and a text if there is one.

        What a camera that the prompt does not show sees is drawn.
        """
        require(prompt, "frames")
        prompt, seen = spread_over(prompt, self.cameras, self.picture)
        between = self.standardise.between_frames(prompt, self.picture)
        _require_finite(frames=prompt.frames, actions=between)
        frames, most = prompt.frames, self.config.context_steps
        count = min(frames.shape[1], most)
        known = torch.full(between.shape[:2], prompt.actions is not None, device=frames.device)
        return begin(
            self.chunks,
            rng,
            context=filled(frames[:, -count:], most),
            count=torch.full((len(frames),), count, device=frames.device),
            seen=seen.expand(len(frames), -1),
            between=filled(between, most - 1),
            known=filled(known, most - 1),
            augment=torch.zeros(len(frames), device=frames.device),
            text=self._text(prompt.text, len(frames)),
        )

    def step(self, state: VideoState, action: Float[Tensor, "b a"], rng: Generator) -> VideoState:
        action = self.standardise.one_step(action, state.batch_size)
        _require_finite(actions=action)
        state = next_chunk(self.chunks, state, rng)
        here = torch.arange(self.config.chunk_steps, device=action.device) == state.position[:, None]
        return replace(state, done=torch.where(here[..., None], action[:, None], state.done), position=state.position + 1)

    def observe(self, state: VideoState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator) -> VideoState:
        """A new chunk, whose context ends with what was seen."""
        action = self.standardise.one_step(action, state.batch_size)
        if tuple(observation.shape) != (state.batch_size, *self.picture):
            raise WorldError(f"observations must be {(state.batch_size, *self.picture)}, received {tuple(observation.shape)}")
        _require_finite(actions=action, frames=observation)
        frames, count, augment = recent(self.chunks, state)
        between, known = past(state)
        count = (count + 1).clamp(max=self.config.context_steps)
        return begin(
            self.chunks,
            rng,
            context=torch.cat([frames, observation[:, None]], dim=1)[:, 1:],
            count=count,
            seen=torch.ones_like(state.seen),
            between=torch.cat([between, action[:, None]], dim=1)[:, 1:],
            known=torch.cat([known, torch.ones_like(known[:, :1])], dim=1)[:, 1:] if known.shape[1] else known,
            augment=torch.where(count == 1, 0.0, augment),
            text=state.text,
        )

    def render(self, state: VideoState) -> dict[str, Float[Tensor, "b 3 h _"]]:
        """The picture at the state's position, drawn from its noise: the same each time. A given frame comes back as it is.

        With several cameras, `rgb` is all of them side by side, and each is there by its name as well.
        """
        pictures = torch.empty_like(state.context[:, -1])
        for rows, count, position in alike(state):
            pictures[rows] = film(self.chunks, state.rows(rows), count, position)[:, -1]
        alone = zip(self.cameras, pictures.chunk(len(self.cameras), dim=-1), strict=True) if self.cameras else ()
        return {"rgb": pictures, **dict(alone)}

    @property
    def imagines_from(self) -> tuple[str, ...]:
        """A text only where that was trained."""
        return ("frames", "text") if "text_to_world" in self.modes else ("frames",)

    @torch.no_grad()
    def imagine(
        self, prompt: Prompt, rng: Generator, *, actions: Float[Tensor, "b t a"] | None = None, steps: int | None = None
    ) -> Float[Tensor, "b t 3 h w"]:
        """Video from a text, a picture or a video, chunk by chunk; with `actions`, what they lead to. Frames given are not repeated.

        `steps`: how many frames; without it as many as actions, or one chunk. WorldError for a prompt without frames and text, or when
        the world was not trained for what is asked.
        """
        asked, count = self._asked(prompt, actions)
        config, begun = self.config, asked.frames.shape[1]
        if steps is None:
            steps = config.chunk_steps if actions is None else actions.shape[1]
        film, shown = asked.frames, asked.shown
        while film.shape[1] < begun + steps:
            kept = self.chunks.longest(min(film.shape[1], config.context_steps)) if film.shape[1] else 0
            first, length = film.shape[1] - kept, (kept or config.context_steps) + config.chunk_steps
            chunk = replace(
                self.chunks.ask(film[:, first:], length - 1, asked.text),
                shown=(shown - first).clamp(min=0),
                actions=padded(asked.actions[:, first:], length - 1),
                acted=padded(asked.acted[:, first:], length - 1),
                augment=torch.full((count,), config.context_noise if film.shape[1] > begun else 0.0, device=film.device),
            )
            drawn, _ = self.chunks.draw(chunk, self.chunks.noise(count, length, rng))
            film = torch.cat([film[:, :first], drawn], dim=1)
            shown = torch.full_like(shown, film.shape[1])
        return film[:, begun : begun + steps]

    @torch.no_grad()
    def inverse_dynamics(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Float[Tensor, "b t-1 a"]:
        """What was done between the frames, in the data's units. WorldError for fewer than two, or when that was not trained."""
        self._require_mode("inverse_dynamics")
        asked, count = self._asked(Prompt(batch_size=len(frames), frames=frames), None)
        if frames.shape[1] < 2:
            raise WorldError(f"actions lie between frames: give at least 2, received {frames.shape[1]}")
        most, found = self.config.context_steps + self.config.chunk_steps, []
        for first in range(0, frames.shape[1] - 1, most - 1):
            piece = frames[:, first : first + most]
            whole = self.chunks.shortest(piece.shape[1])  # the last frame is taken to have stood still
            piece = torch.cat([piece, piece[:, -1:].expand(-1, whole - piece.shape[1], -1, -1, -1)], dim=1)
            chunk = self.chunks.ask(piece, whole - 1, asked.text)
            chunk = replace(chunk, acted=torch.full_like(chunk.acted, DRAWN))
            _, actions = self.chunks.draw(chunk, self.chunks.noise(count, whole, rng))
            found.append(actions)
        return self._in_units(torch.cat(found, dim=1)[:, : frames.shape[1] - 1])

    @torch.no_grad()
    def see_from_all(self, prompt: Prompt, rng: Generator) -> Float[Tensor, "b t 3 h w"]:
        """What every camera saw at the moments of the prompt's frames, which only some show; those come back as they are.

        WorldError where no camera is left to be drawn, or when that was not trained.
        """
        self._require_mode("view_to_view")
        require(prompt, "frames")
        asked, _ = self._asked(prompt, None)
        if bool(asked.shown.all()):
            raise WorldError(f"the prompt shows all cameras; name in Prompt.cameras those that it has, of {', '.join(self.cameras)}")
        return draw_others(self.chunks, asked, rng)

    @torch.no_grad()
    def act(self, prompt: Prompt, rng: Generator) -> Float[Tensor, "b t a"]:
        """A chunk of actions to do after the frames (and the actions between them, if they are known), as the recordings would.

        In the data's units. WorldError without frames, or when the world was not trained as a policy.
        """
        self._require_mode("policy")
        require(prompt, "frames")
        asked, count = self._asked(prompt, None)
        kept = self.chunks.longest(min(asked.frames.shape[1], self.config.context_steps))
        first, length = asked.frames.shape[1] - kept, kept + self.config.chunk_steps
        chunk = self.chunks.ask(asked.frames[:, first:], length - 1, asked.text)
        acted = torch.full_like(chunk.acted, DRAWN)
        acted[:, : kept - 1] = asked.acted[:, first:]
        shown = (asked.shown - first).clamp(min=0)
        chunk = replace(chunk, shown=shown, actions=padded(asked.actions[:, first:], length - 1), acted=acted)
        _, actions = self.chunks.draw(chunk, self.chunks.noise(count, length, rng))
        return self._in_units(actions[:, kept - 1 :])

    def phases(self) -> tuple[Phase, ...]:
        config = self.config
        frames = config.context_steps + config.chunk_steps
        return (Phase(name=DRAW, share=1.0, batch_size=config.batch_size, num_frames=frames, learning_rate=config.learning_rate),)

    def begin_phase(self, name: str) -> None:
        """Everything learns but a given tokenizer, which is read the first time."""
        self.space.prepare()
        self.denoiser.requires_grad_(True)
        if self.reader is not None:
            self.reader.requires_grad_(True)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The mean over modes. Errors of rows of one mode are means over what it draws."""
        if self.training:
            self.space.look_at(batch.frames)
        return batch_loss(self.config, self.modes, self.denoiser, self.space, self.reader, batch, self.standardise(batch.actions), rng)

    def _asked(self, prompt: Prompt, actions: Tensor | None) -> tuple[Asked, int]:
        """All that a prompt says, with the actions that follow; and how many worlds it is for. WorldError for what does not fit."""
        size, device = len(self.standardise.mean), self.standardise.mean.device
        if prompt.frames is None:
            if prompt.text is None:
                raise WorldError("a video begins from frames, from a text or from both; the prompt has neither")
            if actions is not None:
                raise WorldError("actions lead on from a frame; give the prompt at least one")
            self._require_mode("text_to_world")
            count = len(prompt.text)
            nothing = torch.zeros(count, 0, *self.picture, device=device)
            return self.chunks.ask(nothing, 0, self._text(prompt.text, count)), count
        prompt, seen = spread_over(prompt, self.cameras, self.picture)
        between = self.standardise.between_frames(prompt, self.picture)
        count, told = len(between), prompt.actions is not None
        _require_finite(frames=prompt.frames, actions=between)
        acted = torch.full(between.shape[:2], GIVEN if told else HIDDEN, device=device)
        if actions is not None:
            if actions.ndim != 3 or (len(actions), actions.shape[2]) != (count, size) or not actions.shape[1]:
                raise WorldError(f"actions must be {count} x steps x {size}, received {tuple(actions.shape)}")
            _require_finite(actions=actions)
            self._require_mode("forward_dynamics")
            between = torch.cat([between, self.standardise(actions)], dim=1)
            acted = torch.cat([acted, torch.full(actions.shape[:2], GIVEN, device=device)], dim=1)
        asked = self.chunks.ask(prompt.frames, acted.shape[1], self._text(prompt.text, count))
        return replace(asked, shown=asked.shown * seen, actions=between, acted=acted), count

    def _text(self, texts: Sequence[str] | None, count: int) -> UInt8[Tensor, "b n"]:
        """Of no length where nothing reads it; no text is an empty one. WorldError for another number of texts."""
        length, device = 0 if self.reader is None else self.config.text_bytes, self.standardise.mean.device
        if texts is None or not length:
            return torch.zeros(count, length, dtype=torch.uint8, device=device)
        if isinstance(texts, str) or len(texts) != count:
            raise WorldError(f"the prompt needs a text for each of {count} worlds, received {texts!r}")
        return to_bytes(texts, length).to(device)

    def _in_units(self, actions: Float[Tensor, "b t a"]) -> Float[Tensor, "b t a"]:
        """The data's."""
        return actions * self.standardise.std + self.standardise.mean

    def _require_mode(self, name: str) -> None:
        if name not in self.modes:
            raise WorldError(f"this world was not trained for {name}; train one with --model.modes.{name} above 0, on data that serves it")


def _require_finite(**given: Tensor) -> None:
    for name, values in given.items():
        if not bool(values.isfinite().all()):
            raise WorldError(f"the {name} hold NaN or infinity; every number must be finite")
