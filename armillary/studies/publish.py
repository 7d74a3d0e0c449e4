"""A finished run to give away: all that using it needs, in one folder that a hub of models can hold, and nothing of who made it.

Left out are what only training needs, the metrics and the logs. Settings, command and card keep the names of files and folders, not where
they lay. `beginnings.safetensors` holds moments of recordings, so that the world can be played without the dataset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from armillary.core import CheckpointError, ConfigError, Renders, World
from armillary.core.storage import write_json, write_text
from armillary.data.staging import staged_folder
from armillary.studies.beginnings import Recorded, draw_moment, longer_than, save_beginnings
from armillary.studies.fit import REFERENCE
from armillary.studies.runs import LoadedRun, held_out, load_run
from armillary.train.card import MISSING
from armillary.train.checkpoint import read_tensors, write_tensors
from armillary.train.run import RunFolder

CARD = "README.md"  # what a hub shows
COPIED = ("environment.json", "split.json", REFERENCE)
NEEDED = ("tokenizer", "encoder", "world", "text_folder")  # settings that name another folder, without which the weights are of no use


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was written."""

    path: Path
    size_bytes: int
    moments: int
    unsaid: int  # places of the card that a person must fill in


def publish(
    run: Path | str, out: Path, *, data: Path | str | None = None, moments: int = 8, half: bool = False, which: str = "best"
) -> Published:
    """Write the folder; `half` rounds weights to 16 bits.

    The moments are drawn from episodes of `data` (default: where the run learned) that the run never learned from; 0 leaves them out.
    CheckpointError when the run is not whole, ConfigError when it needs another run or when the recordings are not there, StorageError
    when `out` exists.
    """
    loaded = load_run(run, which)
    folder = RunFolder.open(loaded.path)
    _refuse_others(loaded)
    if moments < 0:
        raise ConfigError(f"--moments must be 0 or more, received {moments}")
    drawn = _moments(loaded, data, moments) if moments and isinstance(loaded.world, World) and isinstance(loaded.world, Renders) else None
    weights = folder.weights(which)
    told, private = _without_places(loaded.recorded)
    with staged_folder(Path(out)) as staging:
        for name in COPIED:
            if (folder.path / name).is_file():
                (staging / name).write_bytes((folder.path / name).read_bytes())
        write_json(staging / "config.json", told)
        card = next(path for path in (folder.path / "MODEL_CARD.md", folder.path / CARD) if path.is_file()).read_text(encoding="utf-8")
        for place, name in private.items():
            card = card.replace(place, name)
        write_text(staging / CARD, card)
        _write_weights(weights, staging / "checkpoints" / weights.parent.name, half)
        write_json(staging / "checkpoints" / "latest.json", {"folder": weights.parent.name})
        if weights.parent.name.startswith("best-"):
            write_json(staging / "checkpoints" / "best.json", {"folder": weights.parent.name})
        if drawn is not None:
            save_beginnings(staging, *drawn)
    size = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    return Published(path=Path(out), size_bytes=size, moments=len(drawn[1]) if drawn else 0, unsaid=card.count(MISSING.strip("*")))


def _refuse_others(loaded: LoadedRun) -> None:
    model = loaded.config.model
    for field in fields(model):
        value = getattr(model, field.name)
        if field.name in NEEDED and isinstance(value, str) and value and Path(value).exists():
            raise ConfigError(
                f"{loaded.path} needs {value} (model.{field.name}), which would not travel with it; publish runs that stand alone"
            )


def _moments(loaded: LoadedRun, data: Path | str | None, count: int):
    path = Path(data or loaded.data_path)
    if not path.is_dir():
        raise ConfigError(
            f"the recordings of {loaded.path} are not at {path}; say where they are: --data PATH, or leave them out: --moments 0"
        )
    held, context = held_out(loaded, path), loaded.world.spec.context_steps
    episodes = longer_than(context, held.episodes, loaded.path.name)
    drawn = [draw_moment(episodes, camera=loaded.camera, context=context, seed=seed) for seed in range(count)]
    return Recorded.of(held.source.dataset.info, loaded.camera), drawn


def _without_places(recorded: Mapping) -> tuple[dict, dict[str, str]]:
    """The recorded settings with names of files and folders in place of where they lay, and what was replaced by what."""
    private: dict[str, str] = {}

    def told(value):
        if isinstance(value, Mapping):
            return {key: told(one) for key, one in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [told(one) for one in value]
        if isinstance(value, str) and Path(value).is_absolute():
            private[value] = Path(value).name
            return private[value]
        return value

    found = told(recorded)
    return found, dict(sorted(private.items(), key=lambda one: -len(one[0])))


def _write_weights(weights: Path, folder: Path, half: bool) -> None:
    folder.mkdir(parents=True)
    tensors = read_tensors(weights)
    if half:
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        too_large = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not bool(tensor.isfinite().all())]
        if too_large:
            raise CheckpointError(f"{weights}: {', '.join(too_large[:3])} cannot be said in 16 bits; leave out --half")
    write_tensors(folder / "model.safetensors", {name: tensor.contiguous() for name, tensor in tensors.items()})
    (folder / "state.json").write_bytes((weights.parent / "state.json").read_bytes())
