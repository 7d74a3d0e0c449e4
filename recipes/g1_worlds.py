"""What the recipes about the G1 share: its recordings, the action-conditioned world that is trained on them, and moments of episodes."""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from armillary.core import Episode, Prompt, to_model
from armillary.core.settings import override
from armillary.studies.fit import family_module
from armillary.studies.runs import LoadedRun
from recipes.seeds import Judge, run_seeds
from recipes.training import processor_seconds, trained

JEPA, AC, ENCODER = "jepa", "vjepa2-ac", "vjepa2"
DATA = Path(__file__).parents[2] / "shared" / "data" / "g1_inspire_lerobot21_160x120"
OUT = Path("runs") / "g1_action_conditioned"
# Chosen on episodes 33 to 42 and 0 to 9, trained on the others of the first 43 (docs/LOG.md). No validation episodes: the last weights
# are judged.
SETTINGS = {
    JEPA: {
        "train.steps": "1200",
        "train.precision": "bf16",
        "model.linear-actions": "true",
        "model.state-weight": "5",
        "model.shift-pixels": "4",
        "model.latent-noise": "0.5",
        "model.action-noise": "0.3",
        "model.inverse-weight": "20",
        "model.batch-size": "24",
        "data.validation-fraction": "0",
    },
    ENCODER: {"train.steps": "1000"},
    AC: {"train.steps": "2000"},
}
AHEAD = 5  # steps of 0.1 s
STARTS_EVERY = 3
AT_ONCE = 64

logger = logging.getLogger(__name__)
Windows = Mapping[str, Tensor]


def add_arguments(arguments: ArgumentParser) -> ArgumentParser:
    """Which recordings, and which family of worlds."""
    arguments.add_argument("--data", type=Path, default=DATA, help="the G1 dataset, LeRobot v2.1 or v3")
    arguments.add_argument("--world", choices=(JEPA, AC), default=JEPA, help=f"end-to-end JEPA, or V-JEPA 2-AC (default {JEPA})")
    return arguments


def run_study(name: str, options: Namespace, judge: Judge, rows: Callable[[str, Sequence[Mapping]], list[dict]], *, kept: str) -> None:
    """`run_seeds`, with a table of its own for each family of worlds."""
    usual = options.world == JEPA
    title = name if usual else f"{name}_{options.world.replace('-', '_')}"
    words = "" if usual else f"--world {options.world}"
    run_seeds(name, options, judge, partial(rows, title), kept=f"{kept}-{options.world}", words=words)


def recipe(family: str, seed: int, quick: bool, encoder: str = ""):
    """The settings of one training run."""
    words = {"train.seed": str(seed), "train.workers": "0", **SETTINGS[family]}
    words |= {"train.steps": "4"} if quick else {}
    words |= {"model.encoder": encoder} if family == AC else {}
    return override(family_module(family).PRESETS["default"], words)


def learned(seed: int, options: Namespace, out: Path, command: Sequence[str]) -> tuple[LoadedRun, float]:
    """The world's finished run of one seed, trained now unless it was before, and the processor's seconds that it took, encoder and all."""
    shared = {"data": options.data, "replay": [*command, "--data", str(options.data), "--world", options.world, "--seed", str(seed)]}
    encoder, seconds = "", 0.0
    if options.world == AC:
        first = trained(ENCODER, recipe(ENCODER, seed, options.quick), folder=out / f"{ENCODER}-{seed}", **shared)
        encoder, seconds = str(first.path), processor_seconds(first)
    config = recipe(options.world, seed, options.quick, encoder)
    run = trained(options.world, config, folder=out / f"{options.world}-{seed}", **shared)
    return run, seconds + processor_seconds(run)


def windows(episodes: Sequence[Episode], camera: str) -> list[Windows]:
    """Of each episode: two pictures and the action between them, the state now, the next actions, and picture and state then."""
    found = []
    for episode in episodes:
        now = torch.arange(1, len(episode) - AHEAD, STARTS_EVERY)
        frames = episode.frames[camera]
        state, actions = (torch.from_numpy(np.array(numbers)) for numbers in (episode.state, episode.actions))
        found.append(
            {
                "frames": to_model(np.stack([frames[now - 1], frames[now]], axis=1)),
                "between": actions[now - 1][:, None],
                "state": state[now],
                "actions": torch.stack([actions[now + ahead] for ahead in range(AHEAD)], dim=1),
                "then": to_model(frames[now + AHEAD]),
                "then_state": state[now + AHEAD],
            }
        )
    return found


def prompt(one: Windows, part: Tensor) -> Prompt:
    """What the world starts from at some of an episode's moments; a world takes of it what it can."""
    return Prompt(batch_size=len(part), frames=one["frames"][part], actions=one["between"][part], state=one["state"][part])
