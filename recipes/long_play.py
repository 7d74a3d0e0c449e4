"""Long play, with a memory and without: a Genie world of a platformer whose view turns pages, and what it shows of a page left before.

    python -m recipes.long_play [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Levels of two pages, run through to and fro; in a picture of one page nothing tells what is on the other. Two worlds of the same settings
are trained but for `memory_frames`: with 0 nothing older than the window is known. On levels that training has not seen each is shown
a recording up to LEAD frames before a page comes back that was out of view for AWAY frames or more (longer than the window), and dreams on
under the recorded keys: PSNR over the AHEAD frames of the page that came back, and how many coins and bricks it shows too many or too
few. Then dreams of ten times the length of a training window, after SHOWN frames. `copy_last` is the last frame shown, `seen_before` the
last true frame of the page before it was left. Intervals are bootstrapped over seeds and dreams together. A code stands for 4 x 4 of
32 x 32 pixels, one tile of the level. A seed takes about an hour of one core, both trainings together.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Episode
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.evaluate.drift import LONGER
from armillary.evaluate.returns import Dreamed, find_returns, judge_long_play, judge_returns
from armillary.worlds.genie.train import PRESETS, Config
from armillary.worlds.small.level import BRICK, COIN
from armillary.worlds.small.platformer import VIEW
from armillary.worlds.small.policies import ToAndFro
from armillary.worlds.small.record import CAMERA, record_episodes
from armillary.worlds.small.sprites import tile_sprites
from armillary.worlds.small.themes import THEME_NAMES
from benchmarks.rows import row
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.tile_codes import QUICK, SIZE, TILE_CODES
from recipes.training import processor_seconds, trained

NAME, FAMILY, ENV, THEME = "long_play", "genie", "platformer", "meadow"
EPISODES, STEPS, JUDGED = 128, 128, 24
DATA_SEED, JUDGED_SEED = 0, 10_000
LEGS, FAST = (10, 36), {"run_m_s": 8.0}
AWAY, LEAD, AHEAD, SHOWN = 8, 2, 8, 48
SETTINGS = TILE_CODES | {"train.steps": "2500"}
SHARES = {"model.tokenize-share": "0.15", "model.action-share": "0.08"}
MEMORY = {"with memory": "3", "without memory": "0"}
REPORTED = (0.1, 0.25, 0.5, 1.0)  # of a long dream
LIKE = 0.15  # how far a colour may be from one of a thing's own


def settings() -> Config:
    """What `armillary cost long_play` tells the cost of: the training run of one seed, with a memory."""
    return recipe(0, quick=False, memory=MEMORY["with memory"])


def recipe(seed: int, quick: bool, memory: str) -> Config:
    """The settings of one training run: the last weights are judged, so no validation episodes."""
    words = {
        "train.seed": str(seed),
        **SETTINGS,
        **SHARES,
        "model.memory-frames": memory,
    }
    return override(PRESETS["default"], words | (QUICK if quick else {}))


def recorded(seed: int, count: int) -> list[Episode]:
    """Runs to and fro through levels of two pages, drawn by `seed`."""
    world = {"options": {"columns": 2 * VIEW, "pages": True}, "layout": FAST, "theme": THEME, "size": SIZE}
    return record_episodes(ENV, num_episodes=count, num_steps=STEPS, seed=seed, policy=ToAndFro(legs=LEGS), **world)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, a number for each dream, by "what|of whom"."""
    data, quick, found = out / "data", options.quick, {}
    if not (data / "meta" / "info.json").exists():
        write_dataset(data, recorded(DATA_SEED, 4 if quick else EPISODES), robot_type=f"armillary-{ENV}")
    episodes = recorded(JUDGED_SEED, 4 if quick else JUDGED)
    counts = {"coins": partial(shown, COIN), "bricks": partial(shown, BRICK)}
    for name, frames in MEMORY.items():
        replay = ["python", "-m", f"recipes.{NAME}", "--seed", str(seed)]
        config = recipe(seed, quick, frames)
        run = trained(FAMILY, config, data=data, folder=out / f"{name.replace(' ', '-')}-{seed}", replay=replay)
        moments = find_returns([page(one) for one in episodes], away=AWAY, context=config.model.context_steps, lead=LEAD, ahead=AHEAD)[
            : 2 if quick else None
        ]
        told = {"camera": CAMERA, "counts": counts, "seed": seed}
        back = judge_returns(run.world, episodes, moments, lead=LEAD, ahead=AHEAD, **told)
        found |= {f"{what}, on return|{who}": values.mean(axis=1) for (what, who), values in measured(back, name).items()}
        ahead = (1 if quick else LONGER) * config.model.num_frames
        long = judge_long_play(run.world, episodes[: 1 if quick else None], shown=SHOWN, ahead=ahead, **told)
        for (what, who), values in measured(long, name).items():
            found |= {f"{what} after {round(ahead * part)} steps|{who}": values[:, round(ahead * part) - 1] for part in REPORTED}
        found[f"processor time of training|{name}"] = [processor_seconds(run)]
    gained = found["PSNR, on return|with memory"] - found["PSNR, on return|without memory"]
    found["PSNR, on return, more than without memory|with memory"] = gained
    return {key: np.asarray(values, dtype=np.float64).tolist() for key, values in found.items()}


def measured(dreams: Dreamed, name: str) -> dict[tuple[str, str], Float[np.ndarray, "n t"]]:
    """Every measure of every subject, the world by its name."""
    found = {("PSNR", who): values for who, values in dreams.psnr.items()}
    found |= {(f"{what} too many or too few", who): values for what, by in dreams.miscounted.items() for who, values in by.items()}
    return {(what, name if who == "model" else who): values for (what, who), values in found.items()}


def page(episode: Episode) -> np.ndarray:
    """Which page each frame shows: column 0 of the state is where the player is, in tiles."""
    return (episode.state[:, 0] // VIEW).astype(int).clip(0, 1)


def shown(kind: int, frames: Float[Tensor, "t 3 h w"]) -> Float[Tensor, " t"]:
    """How many tiles of a kind frames show, by the number of pixels in the kind's own colours."""
    sprite = tile_sprites(SIZE // VIEW)[THEME_NAMES.index(THEME), kind]
    colours = sprite[:3, sprite[3] > 0.99].T
    colours = colours[(colours - colours.median(dim=0).values).norm(dim=1) < LIKE]  # without gleams and joints
    near = torch.cdist(frames.flatten(2).mT, colours).amin(dim=-1) < LIKE / 2
    return near.sum(dim=1) / len(colours)


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure and subject."""
    found = []
    for key in kept[0]:
        what, subject = key.split("|")
        values = np.stack([np.asarray(one[key]) for one in kept])
        unit = "dB" if "PSNR" in what else "s" if "time" in what else ""
        found.append(row(NAME, subject, what, over_seeds_and_episodes(values), seeds=len(kept), unit=unit, digits=4))
    return found


def main() -> None:
    """Record, train, judge, print the rows."""
    run_seeds(NAME, begin(study_parser(NAME, __doc__)), judge, rows)


if __name__ == "__main__":
    main()
