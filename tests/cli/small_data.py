"""A small LeRobot dataset on disk, and commands run in this process."""

import json
from pathlib import Path

from armillary.cli.main import main
from armillary.data.record import write_dataset
from armillary.worlds.small.record import record_episodes

# A model small enough for a test, and few steps of it.
SMALL = (
    *("--model.latent-size", "8", "--model.hidden-size", "16", "--model.batch-size", "2", "--model.vision-batch-size", "2"),
    *("--model.context-steps", "3", "--model.dream-steps", "6", "--train.tensorboard", "no", "--train.validation-batches", "1"),
    *("--train.workers", "0"),
)


def write_small_dataset(path: Path, *, seed: int = 0, num_episodes: int = 6, num_steps: int = 30) -> Path:
    """Episodes of the pusher at 64 pixels and 10 frames a second."""
    episodes = record_episodes("pusher", num_episodes=num_episodes, num_steps=num_steps, seed=seed)
    return write_dataset(path, episodes, robot_type="pusher")


def run(*words: object) -> int:
    """The exit code of `armillary words...`."""
    try:
        return main([str(word) for word in words])
    except SystemExit as ended:
        return int(ended.code or 0)


def run_json(capsys, *words: object) -> object:
    """The one JSON value that a command prints; nothing else may be on stdout."""
    capsys.readouterr()
    code = run(*words, "--json")
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)
