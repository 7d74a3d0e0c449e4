"""From v2.0 or v2.1 (or v3.0) to a fresh v3.0 dataset, streaming: packets of video are copied, not re-encoded."""

from collections.abc import Callable
from pathlib import Path

from armillary.data.dataset import open_dataset
from armillary.data.rewrite import Rewritten, rewrite


def convert(source: Path | str, destination: Path | str, *, progress: Callable[[int, int], None] | None = None) -> Rewritten:
    """Write a v3.0 copy of `source` at `destination`; faulty episodes are left out and named in the result.

    Raises DataError when the metadata of `source` does not tell the truth (repair it first), StorageError when
    something else is at `destination`.
    """
    return rewrite(Path(destination), [open_dataset(source)], job="convert", progress=progress)
