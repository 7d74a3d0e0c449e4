"""An encoder that others build on: trained elsewhere, read once, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import CheckpointError, ConfigError
from armillary.core.settings import from_plain
from armillary.core.storage import read_json
from armillary.train.checkpoint import read_state, read_weights
from armillary.train.run import RunFolder
from armillary.train.tensors import write_weights
from armillary.worlds.jepa import pretrain
from armillary.worlds.jepa.released import open_release
from armillary.worlds.jepa.vit import EncoderSizes, VisionTransformer
from armillary.worlds.jepa.vjepa2 import PIXEL_MEAN, PIXEL_STD

RANDOM = "random"
CHOICES = (
    "give the folder of a finished run of vjepa2, a folder or hub id of released V-JEPA 2 weights (facebook/vjepa2-vitl-fpc64-256), "
    'or "random", an encoder that never learned'
)
_OF_A_RUN = "networks.target_encoder."
_OF_A_RELEASE = "encoder."


def encoder_sizes(sizes: EncoderSizes) -> EncoderSizes:
    """What of larger settings decides the encoder alone."""
    return EncoderSizes(**{one.name: getattr(sizes, one.name) for one in fields(EncoderSizes)})


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder's weights lie: its sizes are known, its tensors are read when asked for."""

    where: str
    sizes: EncoderSizes
    path: Path | None  # a run's weights; None for a release

    def tensors(self) -> dict[str, Tensor]:
        """The encoder's tensors by our names. CheckpointError when they cannot be read."""
        found = read_weights(self.path) if self.path else open_release(self.where).tensors()
        prefix = _OF_A_RUN if self.path else _OF_A_RELEASE
        return {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}


def require_encoder(source: str) -> None:
    """ConfigError, saying what can be given, where no encoder is named."""
    if not source:
        raise ConfigError(f"model.encoder is empty: {CHOICES}")


def open_encoder(source: Path | str) -> EncoderSource:
    """The encoder of a finished run of vjepa2 (its slow one), or of released weights in a folder or behind a hub id.

    Raises ConfigError for a run of another family or one that has not finished, CheckpointError when there is no encoder.
    """
    config = read_json(Path(source) / "config.json") if (Path(source) / "config.json").is_file() else None
    if isinstance(config, Mapping) and "family" in config:
        return _open_run(RunFolder.open(source))
    try:
        release = open_release(source)
    except CheckpointError as error:
        raise CheckpointError(f"model.encoder = {source} holds no encoder: {error}; {CHOICES}") from error
    return EncoderSource(str(source), encoder_sizes(release.sizes), None)


def _open_run(run: RunFolder) -> EncoderSource:
    recorded = run.config
    if recorded["family"] != "vjepa2":
        raise ConfigError(f"model.encoder = {run.path} is a run of {recorded['family']}, which has no such encoder; {CHOICES}")
    config = from_plain(pretrain.Config, recorded["config"])
    latest = run.checkpoint("latest")
    done = 0 if latest is None else read_state(latest).step
    if done < config.train.steps:
        raise ConfigError(
            f"model.encoder = {run.path} stopped after step {done} of {config.train.steps}; finish it with `armillary resume {run.path}`"
        )
    return EncoderSource(str(run.path), encoder_sizes(config.model), run.weights("best"))


class FrozenEncoder(nn.Module):
    """Pictures to tokens, each picture on its own, without gradients. `read` is called once, when training begins.

    The weights, and whether they were read, are kept in the weights of whatever it is part of: `source` may be gone by then.
    """

    def __init__(self, sizes: EncoderSizes, source: str):
        super().__init__()
        self.sizes, self.source = sizes, source
        self.vit = VisionTransformer(**vars(sizes)).requires_grad_(False)
        self.register_buffer("is_read", torch.tensor(source == RANDOM))
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def read(self) -> None:
        """Fill in the weights that `source` names, unless that was done before. ConfigError when the sizes are others."""
        if self.is_read:
            return
        found = open_encoder(self.source)
        unlike = dict(vars(found.sizes).items() - vars(self.sizes).items())
        if unlike:
            wanted = " ".join(f"--model.{name.replace('_', '-')} {value}" for name, value in sorted(unlike.items()))
            raise ConfigError(f"model.encoder = {self.source} is an encoder of other sizes; give {wanted}")
        write_weights(self.vit, found.tensors(), found.where)
        self.is_read.fill_(True)

    def train(self, mode: bool = True) -> "FrozenEncoder":
        """Stays in evaluation mode whatever it is part of does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t n d"]:
        """The tokens of every picture in [0, 1], each token of mean 0 and deviation 1. WorldError when they cannot be cut into patches."""
        pixels = (frames - self.pixel_mean) / self.pixel_std
        return normalised(self.vit(pixels.flatten(0, 1)[:, None]).unflatten(0, frames.shape[:2]))


def normalised(tokens: Float[Tensor, "*lead d"]) -> Float[Tensor, "*lead d"]:
    """Each token shifted and scaled to mean 0 and deviation 1, in float32 whatever it came in."""
    tokens = tokens if tokens.dtype == torch.float64 else tokens.float()
    return functional.layer_norm(tokens, tokens.shape[-1:])
