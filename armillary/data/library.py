"""A library of datasets: each copied in whole, with a manifest of hashes that shows later whether a byte has changed."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from armillary.core.errors import ConfigError, DataError, StorageError
from armillary.core.storage import read_json, safe_join, write_json
from armillary.data.card import write_card
from armillary.data.dataset import open_dataset
from armillary.data.metadata import MANIFEST
from armillary.data.report import Quarantined
from armillary.data.staging import staged_folder

_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,100}$")


@dataclass(frozen=True, kw_only=True)
class Added:
    """A dataset in the library. `content_hash` is that of its usable episodes, the same for the same recordings."""

    path: Path
    content_hash: str
    episodes: int
    quarantined: tuple[Quarantined, ...]
    already_there: bool = False


@dataclass(frozen=True, kw_only=True)
class Verified:
    """How a dataset in the library compares with its manifest; lists of files relative to it."""

    path: Path
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when every file is as it was."""
        return not (self.missing or self.changed or self.added)

    def __str__(self) -> str:
        if self.ok:
            return f"{self.path}: every file is as it was when it was added"
        found = [
            f"{kind}: {', '.join(files)}"
            for kind, files in (("missing", self.missing), ("changed", self.changed), ("new", self.added))
            if files
        ]
        return f"{self.path} differs from {MANIFEST}: {'; '.join(found)}. Add the dataset again from its source"


def add(source: Path | str, library: Path | str, *, name: str | None = None, progress: Callable[[int, int], None] | None = None) -> Added:
    """Validate a dataset and copy it, as it is, into `library / name` with a manifest. Killed, it can be run again.

    Faulty episodes are copied too, stay quarantined and are named. Raises DataError when the metadata does not tell
    the truth, StorageError when another dataset has this name.
    """
    dataset = open_dataset(source)
    root = dataset.path.resolve()
    name = name or root.name
    if not _NAME.match(name):
        raise ConfigError(f"the name {name!r} is refused; use letters, digits, '.', '_' and '-', as in --name pick-bottle")
    content = hashlib.sha256("".join(sorted(one.content_hash for one in dataset.episodes)).encode()).hexdigest()
    target = safe_join(Path(library), name)
    if target.exists():
        known = _manifest(target)
        if known.get("content_hash") != content:
            raise StorageError(errno.EEXIST, f"the library has another dataset named {name!r}; choose another with --name", str(target))
        return Added(path=target, content_hash=content, episodes=len(dataset.episodes), quarantined=dataset.quarantined, already_there=True)
    files = _files(root)
    with staged_folder(target) as folder:
        hashes = {}
        for number, file in enumerate(files):
            hashes[file] = _copy(safe_join(root, file), folder / file)
            if progress:
                progress(number + 1, len(files))
        if write_card(folder, name=name) is not None:
            hashes["README.md"] = _described(folder / "README.md")
        manifest = {"content_hash": content, "episodes": [asdict(one) for one in dataset.episodes], "files": hashes}
        write_json(folder / MANIFEST, manifest | {"quarantined": [asdict(one) for one in dataset.quarantined]})
    return Added(path=target, content_hash=content, episodes=len(dataset.episodes), quarantined=dataset.quarantined)


def verify(path: Path | str) -> Verified:
    """Hash every file of a dataset in the library again and compare with its manifest."""
    path = Path(path)
    known = _manifest(path)["files"]
    present = set(_files(path)) - {MANIFEST}
    changed = tuple(file for file in sorted(present & set(known)) if _described(safe_join(path, file)) != known[file])
    return Verified(path=path, missing=tuple(sorted(set(known) - present)), changed=changed, added=tuple(sorted(present - set(known))))


def _manifest(path: Path) -> dict:
    found = read_json(path / MANIFEST)
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise DataError(f"{path / MANIFEST} is not a manifest; add the dataset again from its source")
    return found


def _files(root: Path) -> list[str]:
    """Every file under `root`, hidden ones left out."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


def _copy(source: Path, target: Path) -> dict[str, object]:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    read, written = _described(source), _described(target)
    if read != written:
        raise StorageError(errno.EIO, f"the copy of {source} differs from it; check the disk and run the same command again", str(target))
    return written


def _described(path: Path) -> dict[str, object]:
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        return {"size": os.fstat(handle.fileno()).st_size, "sha256": digest}
