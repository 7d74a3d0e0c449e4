"""Checkpoints: a folder of safetensors and JSON that appears whole or not at all, and a pointer that is moved last.

checkpoints/step-00000500/model.safetensors     the weights to use (averaged ones where an EMA is kept)
                          training.safetensors  what only training needs: optimiser memory, unaveraged weights
                          state.json            step, phase, best validation loss so far
checkpoints/best-00000250/model.safetensors, state.json
checkpoints/latest.json, best.json              {"folder": "step-00000500"}
"""

import errno
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from armillary.core import ArmillaryError, CheckpointError
from armillary.core.storage import TEMPORARY_PREFIX, folder_written_whole, read_json, storage_errors, write_json
from armillary.train.lora import is_update, merged
from armillary.train.tensors import write_weights

FORMAT = 1
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Where a run stands; all that resuming needs beside the tensors, since data order and noise follow from (seed, step)."""

    step: int
    phase: str
    seed: int
    steps: int
    best_step: int | None
    best_loss: float | None


def save_checkpoint(root: Path, state: TrainingState, weights: Mapping[str, Tensor], training: Mapping[str, Tensor], keep: int) -> Path:
    """Write the whole state of a run, move `latest`, remove all but the newest `keep`. On StorageError the older ones are intact."""
    folder = root / f"step-{state.step:08d}"
    _write(folder, state, {"model": weights, "training": training})
    write_json(root / "latest.json", {"folder": folder.name})
    for outdated in sorted(root.glob("step-*"))[:-keep]:
        if outdated != folder:
            remove_whole(outdated)
    return folder


def save_best(root: Path, state: TrainingState, weights: Mapping[str, Tensor]) -> Path:
    """Write the weights that did best on validation, move `best`, and remove the ones before."""
    folder = root / f"best-{state.step:08d}"
    _write(folder, state, {"model": weights})
    write_json(root / "best.json", {"folder": folder.name})
    for outdated in root.glob("best-*"):
        if outdated != folder:
            remove_whole(outdated)
    return folder


def find_checkpoint(root: Path, which: str) -> Path | None:
    """The folder that `latest` or `best` points to, or None before there is one. Raises CheckpointError when it is damaged."""
    pointer = root / f"{which}.json"
    if not pointer.exists():
        return None
    value = read_json(pointer)
    name = value.get("folder") if isinstance(value, dict) else None
    if not isinstance(name, str) or not re.fullmatch(r"(step|best)-\d{8,}", name):
        raise CheckpointError(f'{pointer} must say {{"folder": "step-..."}}; received {value!r}; point it to one of {_names(root)}')
    if not (root / name / "model.safetensors").is_file():
        raise CheckpointError(f"{pointer} points to {name}, which has no model.safetensors; point it to one of {_names(root)}")
    return root / name


def sweep_checkpoints(root: Path) -> None:
    """Remove checkpoints that were finished but never pointed to because the process was killed in between."""
    latest, best = (find_checkpoint(root, which) for which in ("latest", "best"))
    for folder in root.glob("step-*"):
        if latest is None or folder.name > latest.name:
            remove_whole(folder)
    for folder in root.glob("best-*"):
        if folder != best:
            remove_whole(folder)


def read_state(folder: Path) -> TrainingState:
    """The state.json of a checkpoint folder."""
    path = folder / "state.json"
    try:
        value = read_json(path)
        if value.pop("format") != FORMAT:
            raise CheckpointError(f"{path} has another format than {FORMAT}; open it with the Armillary that wrote it")
        return TrainingState(**value)
    except (ArmillaryError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is not the state of a checkpoint: {error}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. Raises CheckpointError when it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; resume from an older checkpoint or train again") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a safetensors file, low-rank updates added to what they update. Errors are those of `read_tensors`."""
    return merged(read_tensors(path))


def load_weights(module: nn.Module, path: Path | str) -> None:
    """Fill a module from a safetensors file; one without low-rank updates gets them added to its weights.

    Raises CheckpointError naming every missing, unexpected or misshapen tensor.
    """
    updated = any(is_update(name) for name in module.state_dict())
    write_weights(module, (read_tensors if updated else read_weights)(Path(path)), str(path))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, with the operating system's error when the disk refuses."""
    try:
        save_file(dict(tensors), path)
    except safetensors.SafetensorError as error:
        number = _OS_ERROR.search(str(error))
        raise OSError(int(number.group(1)) if number else errno.EIO, str(error), str(path)) from error


def remove_whole(folder: Path) -> None:
    """Remove a folder such that a kill in between leaves only what the next sweep takes away."""
    retired = folder.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    with storage_errors(folder):
        folder.rename(retired)
        shutil.rmtree(retired)


def _write(folder: Path, state: TrainingState, files: Mapping[str, Mapping[str, Tensor]]) -> None:
    if folder.exists():
        remove_whole(folder)
    with folder_written_whole(folder) as temporary:
        for name, tensors in files.items():
            write_tensors(temporary / f"{name}.safetensors", tensors)
        write_json(temporary / "state.json", {"format": FORMAT, **asdict(state)})


def _names(root: Path) -> list[str]:
    return sorted(folder.name for folder in root.glob("*-*") if folder.is_dir())
