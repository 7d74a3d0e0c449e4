"""Train the toy in this process: `python toy_run.py RUN key=value ...`; goes on when RUN is a run already."""

import sys
import time
from pathlib import Path

import torch

from armillary.train import RunFolder, distributed
from tests.train.running import create, toy_config, train


def main() -> None:
    """Run it; `pause=0.01` sleeps after every step, which gives a killer time to aim."""
    torch.set_num_threads(1)
    path = Path(sys.argv[1])
    given = dict(argument.split("=") for argument in sys.argv[2:])
    pause = float(given.pop("pause", 0))
    changes = {
        key: value if value.isalpha() or value == "fsdp2" else type(getattr(toy_config(), key))(value) for key, value in given.items()
    }
    with distributed.session(toy_config(**changes)):
        run = RunFolder.open(path, write=True) if (path / "config.json").exists() else create(path)
        train(run, on_progress=lambda progress: time.sleep(pause), **changes)


if __name__ == "__main__":
    main()
