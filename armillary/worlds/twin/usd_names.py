"""What our OpenUSD reader and writer share: the limits on what is read, and the names of what we keep beside OpenUSD's own numbers."""

from itertools import chain, count

from armillary.worlds.twin.pose import Pose

SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
MAX_FILE_BYTES = 512 * 1024**2  # of one file
MAX_TEXT_NESTING = 512  # brackets in brackets; OpenUSD's text parser is recursive and dies of too many
MAX_LAYERS = 1_000
MAX_PRIMS = 200_000  # after every reference and instance has been put in place
MAX_DEPTH = 128  # a prim's ancestors, and references that lead to references
MAX_POINTS = 20_000_000  # of one mesh

# What the child that reads a binary file first may use: seconds of the processor, and bytes.
PROBE_SECONDS = 10
PROBE_BYTES_PER_SECOND = 5_000_000
PROBE_PATIENCE = 6  # on a busy machine a second of the processor may take this many
PROBE_MEMORY_BYTES = 4 * 1024**3

KEPT = "armillary"  # our dictionary in a prim's custom data
TAXONOMY = "class"  # what our labels are labels of

# z turned to the axis that a prim names
AXES = {
    "X": Pose.about((0.0, 1.0, 0.0), 1.5707963267948966),
    "Y": Pose.about((1.0, 0.0, 0.0), -1.5707963267948966),
    "Z": Pose(),
}


class Notes:
    """What could not be taken over, by reason."""

    def __init__(self):
        self._paths: dict[str, list[str]] = {}

    def add(self, path: object, reason: str) -> None:
        """Remember that the prim at `path` lost something."""
        paths = self._paths.setdefault(reason, [])
        if str(path) not in paths:
            paths.append(str(path))

    def lines(self, shown: int = 4) -> tuple[str, ...]:
        """One sentence a reason; of many prims the first few are named."""
        return tuple(
            f"{', '.join(paths[:shown])}{f' and {len(paths) - shown} more' if len(paths) > shown else ''}: {reason}"
            for reason, paths in self._paths.items()
        )


def prim_name(path: str, taken: set[str], wanted: str = "") -> str:
    """A name for the prim at `path` that is not taken: `wanted`, else its own, else with as many of its ancestors as it takes.

    >>> prim_name("/robot/left/foot", {"foot"})
    'left/foot'
    """
    parts = path.strip("/").split("/")
    tries = ([wanted] if wanted else []) + ["/".join(parts[-kept:]) for kept in range(1, len(parts) + 1)]
    numbered = (f"{tries[-1]}_{number}" for number in count(2))
    found = next(name for name in chain(tries, numbered) if name not in taken)
    taken.add(found)
    return found
