"""A run that begins with the weights of another run of its family: what is taken over, what the new robot's data decide anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from armillary.core import CheckpointError, ConfigError
from armillary.core.storage import write_atomically
from armillary.data.content import file_sha256
from armillary.data.shape import DataShape
from armillary.nn.action_scale import ActionScale
from armillary.nn.state_scale import StateScale
from armillary.train.checkpoint import read_tensors, read_weights
from armillary.train.families import Families
from armillary.train.lora import add_low_rank, is_update, merged, plain_name
from armillary.train.run import RunFolder
from armillary.train.schedule import mixed_seed
from armillary.train.tensors import write_weights

ADAPTER = "adapter.safetensors"


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a run's first weights came from, as its config.json keeps it under `init`.

    `made_anew` names what was not taken over, or not whole. With `lora_rank` that and low-rank updates of the rest are all that learns.
    """

    run: str
    weights_sha256: str
    lora_rank: int = 0
    made_anew: tuple[str, ...] = ()
    learned_parameters: int = 0
    all_parameters: int = 0

    def told(self) -> str:
        """In a sentence."""
        learned = f"{self.learned_parameters:,} of {self.all_parameters:,} parameters learn, in updates of rank {self.lora_rank}"
        anew = f"made anew: {', '.join(self.made_anew) or 'nothing'}"
        return "; ".join([f"begins with the weights of {self.run}", *([learned] if self.lora_rank else []), anew])


def open_start(path: Path | str, family: str, height: int, width: int) -> RunFolder:
    """The run to begin from. CheckpointError when it is none or has no weights, ConfigError for another family or other pictures."""
    run = RunFolder.open(path)
    run.weights("best")
    recorded = run.config
    if recorded["family"] != family:
        raise ConfigError(f"{path} is a run of {recorded['family']}, not of {family}; begin from a run of {family}")
    sides = recorded["shape"]["height"], recorded["shape"]["width"]
    if sides != (height, width):
        raise ConfigError(
            f"{path} learned pictures of {sides[0]} x {sides[1]}, this run has {height} x {width}; "
            f"give --data.height {sides[0]} --data.width {sides[1]}"
        )
    return run


def begin_from(path: Path | str, world: nn.Module, *, families: Families, family: str, config, shape: DataShape, lora_rank: int) -> Start:
    """Give a fresh `world` of these settings the weights of the run at `path`, and updates of `lora_rank` where that is not 0.

    Tensors whose shape the robot decides stay fresh (or keep what the family's `carry` says), and so do the scales of actions and
    states. Errors are those of `open_start`, and ConfigError where settings of the model differ.
    """
    run = open_start(path, family, shape.height, shape.width)
    weights = run.weights("best")
    given, fresh, (_, before) = read_weights(weights), world.state_dict(), families.settings(run.config)
    same_robot = families.build(family, config, before).state_dict()
    _require_same_model(given, same_robot, path)
    robots = {name for name, tensor in fresh.items() if name not in same_robot or tensor.shape != same_robot[name].shape}
    carry = getattr(families.module(family), "carry", lambda name, given, fresh, before: fresh)
    anew = {name: carry(name, given[name], fresh[name], before) for name in robots}
    anew |= {name: fresh[name] for name in _scales(world) if not torch.equal(given[name], fresh[name])}
    write_weights(world, {name: anew.get(name, given.get(name)) for name in fresh}, str(path))
    start = Start(run=str(run.path.resolve()), weights_sha256=hash_of(weights), lora_rank=lora_rank, made_anew=tuple(sorted(anew)))
    return add_updates(world, start, config.train.seed)


def add_updates(world: nn.Module, start: Start, seed: int) -> Start:
    """Prepare a world for what a run with this start learns; the start with its parameters counted."""
    whole = sum(parameter.numel() for parameter in world.parameters())
    if start.lora_rank:
        add_low_rank(world, start.lora_rank, learned=start.made_anew, seed=mixed_seed(seed, "low rank"))
    learned = sum(parameter.numel() for parameter in world.parameters())
    return replace(start, learned_parameters=learned, all_parameters=whole)


def require_unchanged(start: Start) -> None:
    """CheckpointError when the run that another began with holds other weights now."""
    if hash_of(RunFolder.open(start.run).weights("best")) != start.weights_sha256:
        raise CheckpointError(f"{start.run} holds other weights than when this run began with it; start a new run")


def save_adapter(run: RunFolder, start: Start, families: Families) -> None:
    """Write beside a run with updates what it learned and nothing else, with the hash of the weights that it belongs to."""
    frozen = {name for name, _ in families.build_recorded(run.config).named_parameters()} - set(start.made_anew)
    found = read_tensors(run.weights("best"))
    kept = {name: tensor for name, tensor in found.items() if is_update(name) or plain_name(name) not in frozen}
    about = {"family": run.config["family"], "base": start.run, "base_sha256": start.weights_sha256}
    write_atomically(run.path / ADAPTER, lambda path: save_file(kept, path, metadata=about))


def with_adapter(base: Path | str, adapter: Path | str) -> dict[str, Tensor]:
    """Whole weights from those of a base run (its model.safetensors) and an adapter that was learned on them.

    CheckpointError when a file cannot be read, or when the adapter belongs to other weights.
    """
    learned = read_tensors(Path(adapter))
    with safetensors.safe_open(adapter, framework="pt") as opened:
        about = opened.metadata() or {}
    if about.get("base_sha256") != hash_of(Path(base)):
        raise CheckpointError(f"{adapter} was not learned on {base}; give the weights of {about.get('base', 'its own base')}")
    return merged(read_weights(Path(base)) | learned)


def hash_of(path: Path) -> str:
    """The hash of a file of weights. CheckpointError where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; give the weights of a finished run") from error


def _scales(world: nn.Module) -> set[str]:
    """Means and deviations of actions and states: those of the new recordings, which are also what the run's spec says."""
    found = [(name, one) for name, one in world.named_modules() if isinstance(one, ActionScale | StateScale)]
    return {f"{name}.{part}" for name, one in found for part, _ in one.named_buffers()}


def _require_same_model(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path | str) -> None:
    unlike = sorted(
        [f"{name} is missing" for name in wanted.keys() - given.keys()]
        + [f"{name} is not in this model" for name in given.keys() - wanted.keys()]
        + [
            f"{name} is {tuple(given[name].shape)}, here {tuple(wanted[name].shape)}"
            for name in given.keys() & wanted.keys()
            if given[name].shape != wanted[name].shape
        ]
    )
    if unlike:
        shown = "; ".join(unlike[:3])
        raise ConfigError(
            f"{path} holds another model ({shown}; {len(unlike)} tensors in all): leave out the --model settings that differ from its own"
        )
