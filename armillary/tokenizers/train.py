"""The settings of a tokenizer's run, and what is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Batch, ConfigError, Loss, Phase, Trainable
from armillary.data.shape import DataConfig, DataShape
from armillary.nn.causal_convolution import Memory
from armillary.tokenizers.config import PRESETS as SIZES
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder
from armillary.tokenizers.posterior import Posterior
from armillary.train.config import TrainConfig

# Added to the squared error under the logarithm: frames beyond 30 dB count less and less, or the stillest of a batch would be all of its
# gradient.
FLOOR = 1e-3
NOTHING = 1e-10
LOSSES = ("decibels", "absolute")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(TokenizerConfig):
    """The network, and how it is trained.

    A window has `num_frames` pictures. In training a random square of `crop` pixels of them is shown (0: all of the picture), in any of
    its eight turns, forwards or backwards. `loss` "decibels" is the logarithm of each frame's squared error, so that the mean PSNR is what
    is maximised, "absolute" the mean absolute error. `divergence_weight` is for the gaussian bottleneck, a latent's nats against them.
    `recompute` spares memory: what gradients need of the inner blocks is computed again.
    """

    num_frames: int = 17
    crop: int = 0
    loss: str = "decibels"
    divergence_weight: float = 1e-4
    recompute: bool = False
    batch_size: int = 4
    learning_rate: float = 1e-3

    def __post_init__(self):
        super().__post_init__()
        if self.loss not in LOSSES:
            raise ConfigError(f"model.loss must be one of {', '.join(LOSSES)}, received {self.loss!r}")
        if self.crop < 0 or self.crop % self.space_rate:
            raise ConfigError(f"model.crop must be 0 or a multiple of {self.space_rate}, received {self.crop}")
        if not self.divergence_weight >= 0:
            raise ConfigError(f"model.divergence_weight must be >= 0, received {self.divergence_weight}")
        self.num_latents(self.num_frames)

    def network(self) -> TokenizerConfig:
        """What of this decides the network alone."""
        return TokenizerConfig(**{one.name: getattr(self, one.name) for one in fields(TokenizerConfig)})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a tokenizer's run, besides the data itself. Every frame counts: the stride is 1."""

    data: DataConfig = field(default_factory=lambda: DataConfig(height=128, width=128, stride=1))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(ema_decay=0.999, weight_decay=0.01))
    model: ModelConfig = field(default_factory=ModelConfig)


def _sized(size: str, **settings) -> Config:
    sizes = {one.name: getattr(SIZES[size], one.name) for one in fields(TokenizerConfig)}
    return Config(model=ModelConfig(**(sizes | settings)))


_FSQ = {"bottleneck": "fsq", "latent_channels": 6}
PRESETS: Mapping[str, Config] = {
    "default": _sized("small"),
    "small": _sized("small"),
    "small-discrete": _sized("small", **_FSQ),
    "medium": _sized("medium"),
    "medium-discrete": _sized("medium", **_FSQ),
    "published": _sized("published", loss="absolute", learning_rate=1e-4),
}


def build(config: Config, shape: DataShape) -> "TrainedTokenizer":
    """A tokenizer with fresh weights, for pictures of this shape. WorldError for pictures that the rate does not divide."""
    config.model.check_picture(3, shape.height, shape.width)
    return TrainedTokenizer(config.model)


class TrainedTokenizer(nn.Module, Trainable):
    """A `VideoAutoencoder` and how it learns. Actions are ignored."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.network = VideoAutoencoder(config.network())
        for level in (*self.network.encoder.levels, *self.network.decoder.levels):
            level.recompute = config.recompute

    def phases(self) -> tuple[Phase, ...]:
        config = self.config
        settings = {"batch_size": config.batch_size, "num_frames": config.num_frames, "learning_rate": config.learning_rate}
        return (Phase(name="tokenize", share=1.0, **settings),)

    def begin_phase(self, name: str) -> None:
        self.network.requires_grad_(True)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        frames = self._shown(batch.frames, rng) if self.training else batch.frames
        latents, parts = self._through(frames, rng)
        error = self.network.decode(latents).float() - frames
        squared = error.square().flatten(2).mean(2)
        parts["reconstruction"] = (squared + FLOOR).log().mean() if self.config.loss == "decibels" else error.abs().mean()
        told = {name: part.detach() for name, part in parts.items()}
        told["psnr"] = -10.0 * squared.detach().clamp(min=NOTHING).log10().mean()
        return Loss(total=torch.stack(list(parts.values())).sum(), parts=told)

    def after_step(self) -> None:
        if self.network.quantiser is not None:
            self.network.quantiser.after_step()

    def _through(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> tuple[Float[Tensor, "b d t2 h2 w2"], dict[str, Tensor]]:
        """What the decoder is given, and the bottleneck's own losses."""
        encoded = self.network.read(frames, Memory())
        quantiser = self.network.quantiser
        if quantiser is not None:
            quantised = quantiser.quantise(encoded)
            quantiser.observe(encoded, quantised.codes, rng)
            return quantised.z, dict(quantised.losses)
        if self.config.bottleneck == "plain":
            return encoded, {}
        posterior = Posterior.of(encoded)
        each = posterior.divergence().mean() / (encoded[0].numel() / 2)
        latents = posterior.sample(rng) if self.training else posterior.mean
        return latents, {"divergence": self.config.divergence_weight * each}

    def _shown(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Float[Tensor, "b t 3 h2 w2"]:
        """The same random part of all windows, each of them turned, mirrored or backwards."""
        side = self.config.crop
        if side and side < min(frames.shape[-2:]):
            top, left = (int(torch.randint(length - side + 1, (), generator=rng, device=rng.device)) for length in frames.shape[-2:])
            frames = frames[..., top : top + side, left : left + side]
        for turn in (partial(torch.flip, dims=[-1]), partial(torch.flip, dims=[-2]), partial(torch.flip, dims=[1]), _transposed):
            chosen = torch.rand(len(frames), 1, 1, 1, 1, generator=rng, device=rng.device).to(frames.device) < 0.5
            frames = torch.where(chosen, turn(frames), frames)
        return frames


def _transposed(frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 h w"]:
    """Rows as columns, where pictures are square."""
    return frames.mT if frames.shape[-1] == frames.shape[-2] else frames
