"""A tokenizer that was trained in a run of its own: found, checked, and read once."""

from dataclasses import dataclass, fields
from pathlib import Path

from torch import Tensor

from armillary.core import ConfigError
from armillary.core.settings import from_plain
from armillary.tokenizers import train as tokenizer_runs
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder
from armillary.train.checkpoint import read_state, read_weights
from armillary.train.run import RunFolder
from armillary.train.tensors import write_weights

FAMILY = "tokenizer"
_OF_A_RUN = "network."


@dataclass(frozen=True)
class GivenTokenizer:
    """Where a tokenizer's weights lie, and its sizes."""

    run: Path
    sizes: TokenizerConfig
    weights: Path

    def tensors(self) -> dict[str, Tensor]:
        """The network's tensors. CheckpointError when they cannot be read."""
        found = read_weights(self.weights)
        return {name.removeprefix(_OF_A_RUN): tensor for name, tensor in found.items() if name.startswith(_OF_A_RUN)}


def open_tokenizer(path: Path | str) -> GivenTokenizer:
    """The tokenizer of a finished run. CheckpointError where there is no run, ConfigError for one of another family or not finished."""
    run = RunFolder.open(path)
    recorded = run.config
    if recorded["family"] != FAMILY:
        raise ConfigError(
            f"model.tokenizer = {path} is a run of {recorded['family']}; give one of `armillary train tokenizer`, or leave it empty"
        )
    config = from_plain(tokenizer_runs.Config, recorded["config"])
    latest = run.checkpoint("latest")
    done = 0 if latest is None else read_state(latest).step
    if done < config.train.steps:
        raise ConfigError(
            f"model.tokenizer = {path} stopped after step {done} of {config.train.steps}; finish it with `armillary resume {path}`"
        )
    return GivenTokenizer(run.path.resolve(), config.model.network(), run.weights("best"))


def fill(network: VideoAutoencoder, path: Path | str) -> None:
    """Give `network` the weights of the run at `path`. ConfigError when its sizes are others."""
    given = open_tokenizer(path)
    unlike = [one.name for one in fields(TokenizerConfig) if getattr(given.sizes, one.name) != getattr(network.config, one.name)]
    if unlike:
        wanted = " ".join(f"--model.{name.replace('_', '-')} {getattr(given.sizes, name)}" for name in unlike)
        raise ConfigError(f"model.tokenizer = {path} is a tokenizer of other sizes; give {wanted}")
    write_weights(network, given.tensors(), str(given.weights))
