"""From nothing to a world that answers: `python -m benchmarks.first_picture [--seeds N] [--quick] [--json]`.

What passes straight after an installation: `armillary play --check` in a process of its own, with a home of its own in which nothing was
ever cached or compiled, until the world that comes with the package has answered an action through the server's own WebSocket and all is
closed again. What a browser takes to open the page comes on top (about a second). `first import` is the share of Python reading PyTorch.
A seed is one round; intervals are bootstraps over rounds.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import rows

NAME = "first_picture"
METRICS = {"first_s": ("command to answered action", "s"), "import_s": ("first import of torch alone", "s")}


def seconds(words: list[str], home: Path) -> float:
    """Of a Python process with an empty home and no compiled files."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("ARMILLARY", "XDG"))}
    given |= {"HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "compiled")}
    with rows.timed() as took:
        subprocess.run([sys.executable, *words], env=given, cwd=home, stdout=subprocess.DEVNULL, check=True)
    return took["s"]


def measure() -> dict[str, dict[str, float]]:
    """One round."""
    found = {}
    for key, words in {"import_s": ["-c", "import torch"], "first_s": ["-m", "armillary", "play", "--check"]}.items():
        with tempfile.TemporaryDirectory() as home:
            found[key] = seconds(words, Path(home))
    return {"platformer-dream, nothing cached": found}


def main() -> None:
    """Print the rows."""
    rows.run_speed(NAME, __doc__ or "", lambda seeds, quick: rows.of_rounds(NAME, METRICS, [measure() for _ in range(seeds)]))


if __name__ == "__main__":
    main()
