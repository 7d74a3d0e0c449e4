"""What validation found: discrepancies of the dataset as a whole, faults of single episodes, and how to mend them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from armillary.core.errors import DataError
from armillary.data.schema import DatasetInfo


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """The metadata says one thing and the files another. `file` is relative to the dataset."""

    file: str
    what: str
    expected: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}: expected {self.expected}, found {self.found}. Fix: {self.fix}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something wrong with one episode. Faults of one `kind` with one `found` in every episode become a Discrepancy."""

    kind: str
    file: str
    expected: str
    found: str
    fix: str

    @property
    def reason(self) -> str:
        """The fault in one line."""
        return f"{self.kind}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """An episode that is not used, and why."""

    index: int
    reason: str
    file: str
    fix: str

    def __str__(self) -> str:
        return f"episode {self.index} ({self.file}): {self.reason}. Fix: {self.fix}"


@dataclass(frozen=True, kw_only=True)
class EpisodeRecord:
    """A usable episode: where it stands in the dataset and what it holds."""

    index: int
    length: int
    tasks: tuple[str, ...]
    content_hash: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of `validate`. `info` is None when the metadata is too damaged to describe a dataset."""

    path: Path
    info: DatasetInfo | None
    episodes: tuple[EpisodeRecord, ...]
    quarantined: tuple[Quarantined, ...]
    discrepancies: tuple[Discrepancy, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing at all was found."""
        return not self.discrepancies and not self.quarantined

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.episodes)} usable episodes, {len(self.quarantined)} quarantined"]
        if self.discrepancies:
            lines.append(f"{len(self.discrepancies)} discrepancies between what the dataset says and what it holds:")
            lines += [f"  {number}. {one}" for number, one in enumerate(self.discrepancies, start=1)]
        if self.quarantined:
            lines.append(f"{len(self.quarantined)} episodes cannot be used:")
            lines += [f"  - {one}" for one in self.quarantined]
        lines += [f"  note: {note}" for note in self.notes]
        if not self.ok:
            lines.append(f"A corrected copy, leaving the original as it is: armillary data doctor {self.path} --repair COPY")
        return "\n".join(lines)

    def to_json(self) -> dict:
        """The report as plain values."""
        return {
            "path": str(self.path),
            "ok": self.ok,
            "version": self.info.version if self.info else None,
            "episodes": [asdict(record) for record in self.episodes],
            "quarantined": [asdict(one) for one in self.quarantined],
            "discrepancies": [asdict(one) for one in self.discrepancies],
            "notes": list(self.notes),
        }

    def raise_discrepancies(self) -> None:
        """Raise one DataError that lists everything, if the dataset as a whole cannot be trusted or no episode is left."""
        if self.discrepancies or not self.episodes:
            raise DataError(str(self))
