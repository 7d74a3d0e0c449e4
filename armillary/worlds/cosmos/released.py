"""A folder of a released Cosmos model in diffusers' layout, or a hub id: what is in it, before anything of it is loaded."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors

from armillary.core import CheckpointError, DataError
from armillary.core.hub import fetch
from armillary.core.storage import read_json
from armillary.worlds.cosmos.config import KINDS, CosmosConfig, Kind

INDEX = "model_index.json"
# The parts that hold weights, and how their library names the file.
WEIGHTS = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}
_SHARD = re.compile(r"[A-Za-z0-9_][\w.-]*\.safetensors")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_DOWNLOADED = ("*.json", "*.txt", "*.model", "*.jinja", "*.safetensors")


@dataclass(frozen=True)
class Release:
    """A folder that was looked through: a kind that is known, every part there, its weights in safetensors alone."""

    folder: Path
    name: str  # of diffusers' pipeline
    kind: Kind
    classes: Mapping[str, str]  # part -> class
    configs: Mapping[str, Mapping]  # part with weights -> its config.json

    @property
    def time_rate(self) -> int:
        """How many frames a latent stands for, the first excepted."""
        vae = self.configs["vae"]
        if self.classes["vae"] == "AutoencoderKLCosmos":
            return vae.get("temporal_compression_ratio", 8)
        return 2 ** sum(vae.get("temperal_downsample", (False, True, True)))

    def complete(self, config: CosmosConfig) -> CosmosConfig:
        """The settings with what was released in place of every 0. ConfigError for a chunk that these networks cannot make."""
        return config.complete(self.kind, self.time_rate, self.configs["transformer"].get("max_size", (128, 240, 240)))

    def numbers(self) -> dict[str, int]:
        """How many numbers each part with weights holds, by the headers of its files; no weight is read."""
        return {part: sum(_count(path) for path in _files(self.folder / part, WEIGHTS[part])) for part in WEIGHTS}


def is_released(path: Path | str) -> bool:
    """Whether this is a folder in diffusers' layout."""
    return (Path(path) / INDEX).is_file()


def open_release(source: Path | str) -> Release:
    """The release in a folder, or behind a hub id OWNER/NAME or OWNER/NAME@REVISION where the hub can be reached.

    CheckpointError when there is none, when it is another kind of model, or when a part is missing or pickled.
    """
    parts = sorted({part for kind in KINDS.values() for part in kind.parts})
    wanted = [INDEX, *(f"{part}/{name}" for part in parts for name in _DOWNLOADED)]
    folder = Path(source) if Path(source).is_dir() else fetch(str(source), wanted, example="nvidia/Cosmos-Predict2-2B-Video2World")
    index = _read(folder / INDEX, f"a released model has {INDEX} and a folder for each part")
    name = index.get("_class_name")
    if name not in KINDS:
        raise CheckpointError(f"{folder} holds a {name!r}, which is not run as a world here; give a folder of {', '.join(KINDS)}")
    kind = KINDS[name]
    classes = {part: _class(index, part, allowed, folder) for part, allowed in kind.parts.items()}
    for part, file in WEIGHTS.items():
        _check_weights(folder / part, file)
    configs = {part: _read(folder / part / "config.json", "download the model again") for part in WEIGHTS}
    return Release(folder, name, kind, classes, configs)


def _read(path: Path, advice: str) -> Mapping:
    try:
        found = read_json(path)
    except DataError as error:
        raise CheckpointError(f"{path.parent} is not whole: {error}; {advice}") from error
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path} must hold an object, found {type(found).__name__}; {advice}")
    return found


def _class(index: Mapping, part: str, allowed: tuple[str, ...], folder: Path) -> str:
    """The class of a part. Only those named here are ever imported: a folder cannot ask for code of its own."""
    named = index.get(part)
    name = named[-1] if isinstance(named, list) and named else named
    if name not in allowed:
        raise CheckpointError(f"{folder / INDEX}: {part} must be {' or '.join(allowed)}, found {name!r}; such a part is not run here")
    if not (folder / part).is_dir():
        raise CheckpointError(f"{folder} lacks the part {part}; download the model again, with every folder that {INDEX} names")
    return name


def _check_weights(folder: Path, file: str) -> None:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles:
        raise CheckpointError(
            f"{folder} holds pickled weights ({', '.join(pickles[:3])}), which can run code when they are read; "
            f"they are never opened: remove them, and download the safetensors files in their place"
        )
    missing = [path.name for path in _files(folder, file) if not path.is_file()]
    if missing:
        raise CheckpointError(f"{folder} lacks {', '.join(missing[:3])}; download the model again")


def _files(folder: Path, file: str) -> list[Path]:
    """The weight files of a part: one, or those that its index names."""
    index = folder / f"{file}.index.json"
    if not index.is_file():
        return [folder / file]
    named = _read(index, "download the model again").get("weight_map")
    if not isinstance(named, Mapping) or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in named.values()):
        raise CheckpointError(f"{index} must map tensors to safetensors files beside it; download the model again")
    return [folder / name for name in sorted(set(named.values()))]


def _count(path: Path) -> int:
    """How many numbers a file holds."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; download it again") from error
