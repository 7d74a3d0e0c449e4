"""What can be trained, by name, and a run folder as the thing that it trained. The caller says which names there are."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from armillary.core import ConfigError
from armillary.core.settings import from_plain
from armillary.data.shape import DataShape
from armillary.train.checkpoint import load_weights
from armillary.train.run import RunFolder


@dataclass(frozen=True)
class Families:
    """Names, each with the module that has its `Config`, `PRESETS` and `build(config, shape)`.

    A module may have `complete(config)` too: the settings with what must be looked up before a run records them, or a ConfigError;
    and `carry(name, given, fresh, before)`: what a new robot's `fresh` tensor keeps of one `given` by a run on data of shape `before`.
    """

    modules: Mapping[str, str]

    def module(self, family: str) -> ModuleType:
        """The module of a family; it is imported only now. ConfigError for a name that is not there."""
        if family not in self.modules:
            raise ConfigError(f"there is no family {family!r}; choose one of {', '.join(self.modules)}")
        return importlib.import_module(self.modules[family])

    def complete(self, family: str, config):
        """Settings that a run may record: they do not depend on the folder that someone stood in."""
        complete = getattr(self.module(family), "complete", None)
        return config if complete is None else complete(config)

    def build(self, family: str, config, shape: DataShape) -> nn.Module:
        """What the family trains, with first weights drawn from the seed, whatever was drawn before."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.train.seed)
            return self.module(family).build(config, shape)

    def settings(self, recorded: Mapping) -> tuple[object, DataShape]:
        """(config, shape) of a run's config.json."""
        config = from_plain(self.module(recorded["family"]).Config, recorded["config"])
        return config, from_plain(DataShape, recorded["shape"])

    def build_recorded(self, recorded: Mapping) -> nn.Module:
        """What a run's config.json describes, with first weights."""
        return self.build(recorded["family"], *self.settings(recorded))

    def load(self, path: Path | str, which: str = "best") -> nn.Module:
        """What a run trained, with its `best` or `latest` weights, in evaluation mode. CheckpointError when the run is not whole."""
        run = RunFolder.open(path)
        module = self.build_recorded(run.config)
        load_weights(module, run.weights(which))
        return module.eval().requires_grad_(False)
