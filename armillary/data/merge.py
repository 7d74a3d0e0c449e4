"""Several datasets of one robot as one."""

from collections.abc import Callable, Sequence
from pathlib import Path

from armillary.core.errors import ConfigError
from armillary.data.dataset import open_dataset
from armillary.data.rewrite import Rewritten, rewrite


def merge(sources: Sequence[Path | str], destination: Path | str, *, progress: Callable[[int, int], None] | None = None) -> Rewritten:
    """Write the usable episodes of all `sources`, in order, as one v3.0 dataset; tasks of the same words become one.

    Raises DataError listing every difference (rate, features, shapes) when they do not fit together.
    """
    if not sources:
        raise ConfigError("merge needs at least one dataset, received none; name the folders to merge")
    return rewrite(Path(destination), [open_dataset(source) for source in sources], job="merge", progress=progress)
