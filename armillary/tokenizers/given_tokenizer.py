"""A tokenizer that was trained in a run of its own, or inside a world's run: found, checked, and read once."""

from dataclasses import dataclass, fields
from pathlib import Path

from torch import Tensor

from armillary.core import ConfigError
from armillary.core.settings import from_plain
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder
from armillary.train.checkpoint import read_state, read_weights
from armillary.train.run import RunFolder
from armillary.train.tensors import write_weights

PREFIXES = {"tokenizer": "network.", "autoregressive": "tokenizer."}  # of its tensors, in runs of the families that hold one


@dataclass(frozen=True)
class GivenTokenizer:
    """Where a tokenizer's weights lie, and its sizes."""

    run: Path
    family: str
    sizes: TokenizerConfig
    weights: Path

    def tensors(self) -> dict[str, Tensor]:
        """The network's tensors. CheckpointError when they cannot be read."""
        found, prefix = read_weights(self.weights), PREFIXES[self.family]
        return {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}


def open_tokenizer(path: Path | str, setting: str = "tokenizer") -> GivenTokenizer:
    """The tokenizer of a finished run. CheckpointError where there is no run, ConfigError for one of another family or not finished.

    `setting`: of model, which errors name.
    """
    run = RunFolder.open(path)
    recorded = run.config
    if recorded["family"] not in PREFIXES:
        raise ConfigError(
            f"model.{setting} = {path} is a run of {recorded['family']}, which holds no tokenizer; give one of {' or '.join(PREFIXES)}"
        )
    latest, wanted = run.checkpoint("latest"), recorded["config"]["train"]["steps"]
    done = 0 if latest is None else read_state(latest).step
    if done < wanted:
        raise ConfigError(f"model.{setting} = {path} stopped after step {done} of {wanted}; finish it with `armillary resume {path}`")
    model = recorded["config"]["model"]
    sizes = from_plain(TokenizerConfig, {one.name: model[one.name] for one in fields(TokenizerConfig)})
    return GivenTokenizer(run.path.resolve(), recorded["family"], sizes, run.weights("best"))


def fill(network: VideoAutoencoder, path: Path | str) -> None:
    """Give `network` the weights of the run at `path`. ConfigError when its sizes are others."""
    given = open_tokenizer(path)
    unlike = [one.name for one in fields(TokenizerConfig) if getattr(given.sizes, one.name) != getattr(network.config, one.name)]
    if unlike:
        wanted = " ".join(f"--model.{name.replace('_', '-')} {getattr(given.sizes, name)}" for name in unlike)
        raise ConfigError(f"model.tokenizer = {path} is a tokenizer of other sizes; give {wanted}")
    write_weights(network, given.tensors(), str(given.weights))
