"""What the recipes about the G1 share: its recordings, the action-conditioned world that is trained on them, and moments of episodes."""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from armillary.core import Episode, Prompt, to_model
from armillary.studies.fit import family_module
from armillary.studies.runs import LoadedRun
from recipes.training import trained

ENCODER, FAMILY = "vjepa2", "vjepa2-ac"
DATA = Path(__file__).parents[2] / "shared" / "data" / "g1_inspire_lerobot21_160x120"
OUT = Path("runs") / "g1_action_conditioned"
STEPS = {ENCODER: 1000, FAMILY: 2000}
AHEAD = 5  # steps of 0.1 s
STARTS_EVERY = 3
AT_ONCE = 64

logger = logging.getLogger(__name__)
Windows = Mapping[str, Tensor]


def recipe(family: str, seed: int, quick: bool, encoder: str = ""):
    """The settings of one training run."""
    config = family_module(family).PRESETS["default"]
    train = replace(config.train, seed=seed, steps=4 if quick else STEPS[family], checkpoint_every=500, workers=0)
    model = replace(config.model, encoder=encoder) if family == FAMILY else config.model
    return replace(config, train=train, model=model)


def learned(seed: int, options: Namespace, out: Path, command: Sequence[str]) -> tuple[LoadedRun, LoadedRun]:
    """The encoder's and the world's finished runs of one seed, trained now unless they were before."""
    shared = {"data": options.data, "replay": [*command, "--data", str(options.data), "--seed", str(seed)]}
    encoder = trained(ENCODER, recipe(ENCODER, seed, options.quick), folder=out / f"{ENCODER}-{seed}", **shared)
    config = recipe(FAMILY, seed, options.quick, str(encoder.path))
    return encoder, trained(FAMILY, config, folder=out / f"{FAMILY}-{seed}", **shared)


def windows(episodes: Sequence[Episode], camera: str) -> list[Windows]:
    """Of each episode: two pictures and the action between them, the state now, the next actions, and picture and state then."""
    found = []
    for episode in episodes:
        now = torch.arange(1, len(episode) - AHEAD, STARTS_EVERY)
        frames, state = episode.frames[camera], torch.from_numpy(episode.state)
        actions = torch.from_numpy(episode.actions)
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
    """What the world starts from at some of an episode's moments."""
    return Prompt(batch_size=len(part), frames=one["frames"][part], actions=one["between"][part], state=one["state"][part])
