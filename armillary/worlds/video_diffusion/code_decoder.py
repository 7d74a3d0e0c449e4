"""Codes to pictures by diffusion: what a discrete tokenizer lost is drawn anew (arXiv:2501.03575, section 5.2.4).

Cosmos' decoder draws the latents of a gentler tokenizer after the codes of a harsher one, embedded anew. Here the codes' own picture is
what it draws after: it is taken into the same cells, and noise becomes only what is missing, in units of what usually is.
"""

from dataclasses import dataclass, field

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from armillary.core import Batch, ConfigError, Loss, Phase, Trainable, WorldError, WorldSpec
from armillary.data.shape import DataShape
from armillary.nn.noising import RectifiedFlow
from armillary.nn.samplers import SAMPLERS, sample
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.given_tokenizer import fill
from armillary.tokenizers.network import VideoAutoencoder
from armillary.worlds.video_diffusion.denoiser import LEVEL_SCALE
from armillary.worlds.video_diffusion.model import Layout, TransformerConfig, VideoTransformer
from armillary.worlds.video_diffusion.rotary import LEAST_HEAD, frame_ticks
from armillary.worlds.video_diffusion.space import Latents, Pixels, channel_moments

DRAW = "diffusion"
_POSITIVE = ("patch", "depth", "rank", "sampling_steps", "num_frames", "batch_size")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Whose codes, what is drawn of them, and the transformer.

    `codes`: a finished run with a discrete tokenizer (family tokenizer or autoregressive; its sizes: `code_sizes`). What is drawn are
    pixels, or the latents of the finished continuous tokenizer run `tokenizer` (its sizes: `latents`). `num_frames` is the length of a
    training window, and of the pieces in which longer films are drawn. `shift` moves the levels of rectified flow towards noise.
    """

    codes: str = ""
    code_sizes: TokenizerConfig = field(default_factory=lambda: TokenizerConfig(bottleneck="fsq", latent_channels=6))
    tokenizer: str = ""
    latents: TokenizerConfig = field(default_factory=TokenizerConfig)
    patch: int = 4
    width: int = 128
    depth: int = 4
    heads: int = 4
    rank: int = 32
    mlp_ratio: float = 4.0
    shift: float = 1.0
    sampler: str = "adams"
    sampling_steps: int = 8
    num_frames: int = 5
    batch_size: int = 8
    learning_rate: float = 1e-3

    def __post_init__(self):
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be 1 or more; received {getattr(self, name)}")
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"model.sampler must be one of {', '.join(SAMPLERS)}; received {self.sampler!r}")
        if self.heads < 1 or self.width % self.heads or self.width // self.heads < LEAST_HEAD or self.width // self.heads % 2:
            raise ConfigError(
                f"model.width must be model.heads times an even number of at least {LEAST_HEAD}; received {self.width} and {self.heads}"
            )
        if not self.shift > 0:
            raise ConfigError(f"model.shift must be above 0; received {self.shift}")


class CodeDecoder(nn.Module, Trainable):
    """p(frames | codes). `spec` says what the pictures are; actions are ignored."""

    def __init__(self, config: ModelConfig, shape: DataShape):
        super().__init__()
        if not config.codes:
            raise ConfigError("a decoder needs codes to decode: give --model.codes RUN, of a discrete tokenizer or an autoregressive world")
        if not config.code_sizes.discrete:
            raise ConfigError(f"model.codes = {config.codes} makes no codes (bottleneck {config.code_sizes.bottleneck}); give fsq or vq")
        for sizes in (config.code_sizes, *([config.latents] if config.tokenizer else [])):
            if (config.num_frames - 1) % sizes.time_rate:
                raise ConfigError(
                    f"model.num_frames must be 1 + a multiple of {sizes.time_rate} for a tokenizer of rate {sizes.rate}; "
                    f"received {config.num_frames}"
                )
        self.config, self.picture = config, (3, shape.height, shape.width)
        config.code_sizes.check_picture(*self.picture)
        self.space = Latents(config.latents, config.tokenizer) if config.tokenizer else Pixels()
        side = self.space.side * config.patch
        if shape.height % side or shape.width % side:
            raise ConfigError(
                f"picture sides must be multiples of {side} (model.patch {config.patch} x {self.space.side} pixels a cell), "
                f"received {shape.height} x {shape.width}; set data.height and data.width"
            )
        self.tokenizer = VideoAutoencoder(config.code_sizes).requires_grad_(False)
        self.register_buffer("is_filled", torch.tensor(False))
        self.register_buffer("is_measured", torch.tensor(False))
        self.register_buffer("usual", torch.ones(self.space.channels))  # deviation of what codes lose, by channel
        self.noising = RectifiedFlow(shift=config.shift)
        self.transformer = VideoTransformer(
            TransformerConfig(
                channels=2 * self.space.channels,
                out=self.space.channels,
                width=config.width,
                depth=config.depth,
                heads=config.heads,
                patch=config.patch,
                rank=config.rank,
                mlp_ratio=config.mlp_ratio,
            )
        )
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
            action_space=gymnasium.spaces.Box(-np.inf, np.inf, (shape.action_size,), np.float32),
            seconds_per_step=shape.seconds_per_step,
            prompt=("frames",),
            context_steps=config.num_frames,
        )

    def reads(self, tokenizer: VideoAutoencoder) -> bool:
        """Whether its codes are this tokenizer's."""
        ours, theirs = self.tokenizer.state_dict(), tokenizer.state_dict()
        return ours.keys() == theirs.keys() and all(torch.equal(one.cpu(), theirs[name].cpu()) for name, one in ours.items())

    @torch.no_grad()
    def decode(self, codes: Int[Tensor, "b t r c"], rng: Generator) -> Float[Tensor, "b n 3 h w"]:
        """The frames of codes, drawn in pieces; in [0, 1]. DataError for codes that do not exist, WorldError for another grid."""
        height, width = self.picture[1:]
        grid = (height // self.config.code_sizes.space_rate, width // self.config.code_sizes.space_rate)
        if codes.ndim != 4 or tuple(codes.shape[2:]) != grid or not codes.shape[1]:
            raise WorldError(f"codes must be batch, 1 or more times, {grid[0]} rows, {grid[1]} columns; received {tuple(codes.shape)}")
        seen = self.seen(codes)
        noise = torch.randn(seen.shape, generator=rng, device=rng.device)
        levels, piece = self.noising.levels(self.config.sampling_steps), self._cells(self.config.num_frames)
        parts = []
        for given, begun in zip(seen.split(piece, dim=2), noise.split(piece, dim=2), strict=True):
            lost = sample(self.config.sampler, lambda x, at, given=given: self.noising.slope(self.network(given), x, at), begun, levels)
            parts.append(given + lost * self._usual())
        return self.space.to_frames(torch.cat(parts, dim=2))

    def seen(self, codes: Int[Tensor, "b t r c"]) -> Float[Tensor, "b d f y x"]:
        """The codes' own picture, in cells."""
        return self.space.to_cells(self.tokenizer.decode_codes(codes).clamp(0.0, 1.0))

    def network(self, given: Float[Tensor, "b d f y x"]):
        """The transformer as a function of noisy losses, at a level, after the codes' picture."""
        frames = given.shape[2]
        ticks = frame_ticks(frames, 1.0 / self.spec.seconds_per_step, device=given.device)
        nothing = torch.zeros(0, device=given.device)
        layout = Layout(ticks, torch.arange(frames, device=given.device), nothing, nothing.long())

        def network(noisy: Tensor, told: Tensor) -> Tensor:
            level = LEVEL_SCALE * told[:, None].expand(-1, frames)
            return self.transformer(torch.cat([noisy, given], dim=1), level, layout)[0]

        return network

    def phases(self) -> tuple[Phase, ...]:
        config = self.config
        settings = {"batch_size": config.batch_size, "num_frames": config.num_frames, "learning_rate": config.learning_rate}
        return (Phase(name=DRAW, share=1.0, **settings),)

    def begin_phase(self, name: str) -> None:
        """The transformer learns; the tokenizers are read the first time."""
        if not self.is_filled:
            fill(self.tokenizer, self.config.codes)
            self.is_filled.fill_(True)
        self.space.prepare()
        self.transformer.requires_grad_(True)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        with torch.no_grad():
            if self.training:
                self.space.look_at(batch.frames)
            given = self.seen(self.tokenizer.codes(batch.frames)).float()
            lost = self.space.to_cells(batch.frames) - given
            if self.training and not self.is_measured:
                self.usual.copy_(channel_moments(lost)[1])
                self.is_measured.fill_(True)
        noise = torch.randn(lost.shape, generator=rng, device=rng.device)
        level = self.noising.draw(len(lost), rng)
        total = self.noising.loss(self.network(given), lost / self._usual(), noise, level)
        return Loss(total, {"diffusion": total.detach()})

    def _usual(self) -> Float[Tensor, "d 1 1 1"]:
        return self.usual[:, None, None, None]

    def _cells(self, frames: int) -> int:
        return 1 + (frames - 1) // self.space.rate
