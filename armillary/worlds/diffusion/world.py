"""The diffusion world: what will be seen after these actions, drawn from noise when it is looked at."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from armillary.core import Batch, ConfigError, Loss, Phase, Prompt, Renders, State, Trainable, World, WorldError, WorldSpec, require
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.nn.noising import NOISINGS, Network
from armillary.nn.samplers import sample
from armillary.worlds.diffusion.config import ModelConfig
from armillary.worlds.diffusion.distill import PARTS, Teacher, distillation_loss, teacher_of
from armillary.worlds.diffusion.finish import FEATURES, Finish, from_opponent, opponent
from armillary.worlds.diffusion.guess import Painter, Reader
from armillary.worlds.diffusion.looks import OtherLooks
from armillary.worlds.diffusion.model import DiffusionTransformer
from armillary.worlds.diffusion.tone import Tone

GUESS, REST, DISTILLATION = "guess", "diffusion", "distillation"
HINTS = 9  # channels that a noisy frame has beside its own: the guess, its spread, the last frame seen
SPREAD_WEIGHT = 0.02
STILL_SHARE = 0.1  # of the windows: the context is one frame, repeated


@dataclass(frozen=True)
class DiffusionState(State):
    """The chunk that is being dreamt: its context, what was done in it, and the noise that its pictures are drawn from."""

    context: Float[Tensor, "b k 3 h w"]
    actions: Float[Tensor, "b l a"]  # the last k - 1, standardised
    read: Float[Tensor, "b k n"]  # after each of the last k steps
    position: Int[Tensor, " b"]  # steps since the context's last frame
    noise: Float[Tensor, "b 3 h w"]


class DiffusionWorld(nn.Module, World[DiffusionState], Renders, Trainable):
    """p(frame | context frames, actions until then) for every step of a chunk.

    A frame depends on the actions up to it and on none after it, so a dream that is stepped is the dream that is rolled out. All
    frames of a chunk are drawn from the same noise, so that they make one film.
    """

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        if shape.height % 16 or shape.width % 16 or shape.height % config.patch or shape.width % config.patch:
            raise ConfigError(
                f"picture sides must be multiples of 16 and of model.patch ({config.patch}), received {shape.height} x {shape.width}; "
                "set data.height and data.width"
            )
        self.config = config
        self.noising = NOISINGS[config.noising]()
        self.standardise = ActionScale(shape.action_mean, shape.action_std)
        sizes = {"height": shape.height, "width": shape.width}
        self.reader = Reader(**sizes, action_size=shape.action_size, size=config.read_size)
        self.painter = Painter(context_steps=config.context_steps, read_size=config.read_size) if config.first_guess else None
        self.transformer = DiffusionTransformer(
            height=shape.height,
            width_pixels=shape.width,
            channels=3 + HINTS,
            out=FEATURES + 2,
            patch=config.patch,
            width=config.width,
            depth=config.depth,
            heads=config.heads,
        )
        self.finish = Finish()
        self.colour_spread = nn.Parameter(torch.zeros(3))  # logarithms, of each opponent colour
        self.embed_action = nn.Sequential(nn.Linear(config.read_size, config.width), nn.SiLU(), nn.Linear(config.width, config.width))
        self.looks = OtherLooks(shape.height, shape.width)
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
            action_space=self.standardise.space(),
            seconds_per_step=shape.seconds_per_step,
            prompt=("frames",),
            context_steps=config.context_steps,
        )
        self.phase = self.phases()[0].name
        self._teacher: tuple[Teacher, ...] = ()  # one while a distillation trains; in a tuple it is no part of the weights

    def start(self, prompt: Prompt, rng: Generator) -> DiffusionState:
        """From the last `context_steps` frames and the actions between them. Fewer: the first is taken to have stood still."""
        require(prompt, "frames")
        if prompt.frames.shape[1] < 1:
            raise WorldError("the prompt's video has no frames; give at least one")
        actions = self.standardise.between_frames(prompt, (3, *self.spec.observation_space.shape[:2]))
        _require_finite(frames=prompt.frames, actions=actions)
        kept = self.config.context_steps
        missing = max(kept - prompt.frames.shape[1], 0)
        frames = torch.cat([prompt.frames[:, :1].expand(-1, missing, -1, -1, -1), prompt.frames[:, -kept:]], dim=1)
        actions = torch.cat([actions.new_zeros(len(actions), missing, actions.shape[2]), actions], dim=1)
        return self._begin(frames, actions[:, actions.shape[1] - kept + 1 :], self._noise(frames, rng))

    def step(self, state: DiffusionState, action: Float[Tensor, "b a"], rng: Generator) -> DiffusionState:
        action = self.standardise.one_step(action, state.batch_size)
        _require_finite(actions=action)
        state = self._next_chunk(state, self._noise(state.context, rng))
        read = self.reader.follow(state.read[:, -1], action)
        return DiffusionState(
            context=state.context,
            actions=torch.cat([state.actions, action[:, None]], dim=1)[:, 1:],
            read=torch.cat([state.read[:, 1:], read[:, None]], dim=1),
            position=state.position + 1,
            noise=state.noise,
        )

    def observe(
        self, state: DiffusionState, action: Float[Tensor, "b a"], observation: Float[Tensor, "b 3 h w"], rng: Generator
    ) -> DiffusionState:
        """A new chunk, whose context ends with what was seen."""
        action = self.standardise.one_step(action, state.batch_size)
        _require_finite(actions=action, frames=observation)
        context = torch.cat([self._recent(state)[:, 1:], observation[:, None]], dim=1)
        return self._begin(context, torch.cat([state.actions, action[:, None]], dim=1)[:, 1:], self._noise(context, rng))

    def render(self, state: DiffusionState) -> dict[str, Float[Tensor, "b 3 h w"]]:
        """The picture at the state's position, drawn from its noise: the same each time."""
        return {"rgb": self._recent(state, count=1)[:, 0]}

    def phases(self) -> tuple[Phase, ...]:
        """The first guess by regression, then the transformer on what the guess leaves open; or what a teacher does."""
        config = self.config
        common = {"batch_size": config.batch_size, "num_frames": config.context_steps + config.chunk_steps}
        if config.teacher:
            return (Phase(name=DISTILLATION, share=1.0, learning_rate=config.learning_rate, **common),)
        if not config.first_guess:
            return (Phase(name=REST, share=1.0, learning_rate=config.learning_rate, **common),)
        return (
            Phase(name=GUESS, share=config.guess_share, learning_rate=config.guess_learning_rate, **common),
            Phase(name=REST, share=1.0 - config.guess_share, learning_rate=config.learning_rate, **common),
        )

    def begin_phase(self, name: str) -> None:
        self.phase = name
        self.reader.requires_grad_(name == GUESS or (name == REST and self.painter is None))
        if self.painter is not None:
            self.painter.requires_grad_(name == GUESS)
        self.colour_spread.requires_grad_(name == GUESS)
        for part in PARTS:
            getattr(self, part).requires_grad_(name != GUESS)
        self._teacher = (teacher_of(self, self.config.teacher),) if name == DISTILLATION else ()

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """Guess: squared error and the likelihood of its spread. Diffusion: the noising's loss on (frame - guess) / spread."""
        kept = self.config.context_steps
        if self.training:
            self.looks.learn(batch.frames)
        chosen = torch.randint(self.config.chunk_steps, (len(batch), self.config.frames_per_window), generator=rng, device=rng.device)
        rows = torch.arange(len(batch), device=chosen.device)[:, None]
        frames = torch.cat([batch.frames[:, :kept], batch.frames[:, kept:][rows, chosen]], dim=1)
        frames = self.looks(frames, self.config.other_looks, rng) if self.training else frames
        tone = Tone.of(frames[:, kept - 1])
        context, future = tone.remove(frames).split([kept, frames.shape[1] - kept], dim=1)
        actions = self.standardise(batch.actions[:, :-1])
        if self.training:
            context, actions = self._disturbed(context, actions, rng)
        read = self._read(context, actions)[rows, chosen]
        guess, spread = self._guess(context, read)
        if self.phase == GUESS:
            return self._guess_loss(guess, spread, future)
        clean = (opponent(future - guess) * torch.exp(-spread)).detach().flatten(0, 1)
        times_s = (chosen + 1) * self.spec.seconds_per_step
        given = context, read, guess.detach(), spread.detach(), times_s
        network, noise = self._denoiser(*given), torch.randn(clean.shape, generator=rng, device=rng.device)
        if self.phase == DISTILLATION:
            return self._distillation(network, self._denoiser(*given, by=self._teacher[0]), clean, noise, rng)
        total = self.noising.loss(network, clean, noise, self.noising.draw(len(clean), rng))
        return Loss(total, {"diffusion": total.detach(), "left": clean.square().mean()})

    def _guess(
        self, context: Float[Tensor, "b k 3 h w"], read: Float[Tensor, "b f n"]
    ) -> tuple[Float[Tensor, "b f 3 h w"], Float[Tensor, "b f 3 h w"]]:
        """What most likely comes next, and the logarithm of its spread in each opponent colour; without a painter that nothing
        changes, by one unit of contrast."""
        if self.painter is None:
            guess = context[:, -1:].expand(-1, read.shape[1], -1, -1, -1)
            return guess, torch.zeros_like(guess)
        guess, spread = self.painter(context, read)
        return guess, spread + self.colour_spread[:, None, None]

    def _guess_loss(self, guess: Tensor, spread: Tensor, future: Tensor) -> Loss:
        error = opponent(guess - future).square()
        likelihood = (0.5 * error.detach() * torch.exp(-2.0 * spread) + spread).mean()
        parts = {"error": error.mean(), "spread": likelihood}
        return Loss(parts["error"] + SPREAD_WEIGHT * likelihood, {name: value.detach() for name, value in parts.items()})

    def _distillation(self, student: Network, teacher: Network, clean: Tensor, noise: Tensor, rng: Generator) -> Loss:
        steps = self.config.sampling_steps, self.config.teacher_steps
        step = int(torch.randint(steps[0], (1,), generator=rng, device=rng.device))
        sampler = self._teacher[0].sampler
        total = distillation_loss(self.noising, student, teacher, sampler=sampler, steps=steps, step=step, clean=clean, noise=noise)
        return Loss(total, {"distillation": total.detach()})

    def _denoiser(
        self,
        context: Float[Tensor, "b k 3 h w"],
        read: Float[Tensor, "b f n"],
        guess: Float[Tensor, "b f 3 h w"],
        spread: Float[Tensor, "b f 3 h w"],
        times_s: Float[Tensor, "b f"],
        by: Teacher | None = None,
    ) -> Network:
        """The network that tells what the guess leaves open, from `b f` noisy versions of it in a row: this world's, or a teacher's."""
        drawing = self if by is None else by
        memory = drawing.transformer.remember(self._hinted(context), self._context_times(context))
        told, last = drawing.embed_action(read), context[:, -1:].expand_as(guess)
        hints = torch.cat([guess, spread, last], dim=2)

        def network(noisy: Tensor, level: Tensor) -> Tensor:
            frames = torch.cat([noisy.unflatten(0, guess.shape[:2]), hints], dim=2)
            drawn = drawing.transformer(frames, level.unflatten(0, guess.shape[:2]), told, times_s, memory)
            return drawing.finish(*(part.flatten(0, 1) for part in (drawn, noisy[:, None], last, guess, spread)))

        return network

    def _disturbed(self, context: Tensor, actions: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Noise on both; in some windows the context is its last frame, which stood still."""
        still = torch.rand(len(context), 1, 1, 1, 1, generator=rng, device=rng.device) < STILL_SHARE
        context = torch.where(still, context[:, -1:], context)
        context = context + self.config.context_noise * torch.randn(context.shape, generator=rng, device=rng.device)
        between = self.config.context_steps - 1
        noisy = actions + self.config.action_noise * torch.randn(actions.shape, generator=rng, device=rng.device)
        return context, torch.cat([torch.where(still[:, :, 0, 0], 0.0, noisy[:, :between]), noisy[:, between:]], dim=1)

    def _read(self, context: Float[Tensor, "b k 3 h w"], actions: Float[Tensor, "b l a"]) -> Float[Tensor, "b t n"]:
        """What is read after each action of a chunk; the first k - 1 lie between the context's frames."""
        between = context.shape[1] - 1
        read, reads = self.reader.begin(context, actions[:, :between]), []
        for t in range(between, actions.shape[1]):
            read = self.reader.follow(read, actions[:, t])
            reads.append(read)
        return torch.stack(reads, dim=1)

    def _begin(self, context: Tensor, actions: Tensor, noise: Tensor) -> DiffusionState:
        """The first state of a chunk."""
        read = self.reader.begin(Tone.of(context[:, -1]).remove(context), actions)
        position = torch.zeros(len(context), dtype=torch.long, device=context.device)
        return DiffusionState(
            context=context, actions=actions, read=read[:, None].repeat(1, context.shape[1], 1), position=position, noise=noise
        )

    def _next_chunk(self, state: DiffusionState, noise: Tensor) -> DiffusionState:
        """The state, where its chunk has ended at the beginning of the next."""
        ended = (state.position >= self.config.chunk_steps).nonzero()[:, 0]
        if not len(ended):
            return state
        old = state.rows(ended)
        new = self._begin(self._recent(old), old.actions, noise[ended]).tensors()
        return state.with_tensors({name: tensor.index_copy(0, ended, new[name]) for name, tensor in state.tensors().items()})

    def _recent(self, state: DiffusionState, count: int | None = None) -> Float[Tensor, "b c 3 h w"]:
        """The last `count` pictures (as many as a context has), those of the context or drawn."""
        kept = state.context.shape[1]
        pictures = []
        for back in reversed(range(kept if count is None else count)):
            position = state.position - back
            seen = state.context[torch.arange(kept)[None].expand(len(position), -1) == (kept - 1 + position.clamp(max=0))[:, None]]
            if bool((position > 0).any()):
                drawn = self._draw(state.context, state.read[:, -1 - back], position.clamp(min=1), state.noise)
                seen = torch.where((position > 0)[:, None, None, None], drawn, seen)
            pictures.append(seen)
        return torch.stack(pictures, dim=1)

    def _draw(self, context: Tensor, read: Float[Tensor, "b n"], position: Int[Tensor, " b"], noise: Tensor) -> Float[Tensor, "b 3 h w"]:
        """One frame of each chunk."""
        tone = Tone.of(context[:, -1])
        context = tone.remove(context)
        guess, spread = self._guess(context, read[:, None])
        network = self._denoiser(context, read[:, None], guess, spread, position[:, None] * self.spec.seconds_per_step)

        def slope(noisy: Tensor, level: Tensor) -> Tensor:
            return self.noising.slope(network, noisy, level)

        left = sample(self.config.sampler, slope, noise, self.noising.levels(self.config.sampling_steps))
        changed = from_opponent(torch.exp(spread) * left[:, None])
        return tone.give(guess + self.config.boldness * changed)[:, 0].clamp(0.0, 1.0)

    def _hinted(self, context: Float[Tensor, "b k 3 h w"]) -> Float[Tensor, "b k c h w"]:
        """Context frames with the channels that noisy frames have, empty."""
        return torch.cat([context, context.new_zeros(*context.shape[:2], HINTS, *context.shape[3:])], dim=2)

    def _context_times(self, context: Tensor) -> Float[Tensor, "b k"]:
        steps = torch.arange(1 - context.shape[1], 1, device=context.device)
        return (steps * self.spec.seconds_per_step).expand(len(context), -1)

    def _noise(self, context: Tensor, rng: Generator) -> Float[Tensor, "b 3 h w"]:
        return torch.randn(context[:, 0].shape, generator=rng, device=rng.device)


def _require_finite(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WorldError(f"the {name} hold NaN or infinity; every number must be finite")
