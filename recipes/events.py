"""Promptable events: told "rain", "night" or "a wall appears" in the middle of a dream, a Genie world of the platformer lets it happen.

    python -m recipes.events [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Recordings of the platformer in which captioned events come and go; no caption says what anything looks like. Judged at onsets in levels
that training has not seen: from the frames before, dreams of 8 steps under the recorded keys, told the event and told nothing. A small
classifier that learned from true frames of yet other levels says whether the event is seen in any of the 8 frames; `simulator` is what it
says of what really followed. PSNR is against that. Intervals are bootstrapped over seeds and onsets together. The view turns pages and a
code stands for 4 x 4 of 32 x 32 pixels, which is one tile of the level: what an event does to a code is then the same wherever it is. Which
place a wall rises in is not always seen: frames are drawn in four passes at temperature 0.5, which need not be learned. A seed takes about
forty minutes of one core.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from armillary.core import Episode
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.evaluate.events import judge_events, learn_events
from armillary.worlds.genie.train import PRESETS, Config
from armillary.worlds.small.events import EVENTS
from armillary.worlds.small.record import CAMERA, record_episodes
from benchmarks.rows import row
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.tile_codes import QUICK, SIZE, TILE_CODES
from recipes.training import processor_seconds, trained

NAME, FAMILY, ENV, THEME = "events", "genie", "platformer", "meadow"
EPISODES, STEPS = 128, 96
DATA_SEED, CLASSIFIER_SEED, JUDGED_SEED = 0, 20_000, 10_000
WITHIN = 8
SETTINGS = TILE_CODES | {"train.steps": "4500"}
SHARES = {"model.tokenize-share": "0.12", "model.action-share": "0.04"}
DRAWN = {"passes": 4, "temperature": 0.5}  # in training codes are hidden as two passes do


def settings() -> Config:
    """What `armillary cost events` tells the cost of: the training run of one seed."""
    return recipe(0, quick=False)


def recipe(seed: int, quick: bool) -> Config:
    """The settings of one training run: the last weights are judged, so no validation episodes."""
    words = {"train.seed": str(seed), **SETTINGS, **SHARES}
    return override(PRESETS["default"], words | (QUICK if quick else {}))


def recorded(seed: int, quick: bool) -> list[Episode]:
    """Captioned recordings of levels drawn by `seed`."""
    seen = {"size": SIZE, "theme": THEME, "options": {"pages": True}}
    return record_episodes(ENV, num_episodes=4 if quick else EPISODES, num_steps=STEPS, seed=seed, events=EVENTS, **seen)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, a number for each onset, by "what|of whom|of which event"."""
    data, quick = out / "data", options.quick
    if not (data / "meta" / "info.json").exists():
        write_dataset(data, recorded(DATA_SEED, quick), robot_type=f"armillary-{ENV}")
    replay = ["python", "-m", f"recipes.{NAME}", "--seed", str(seed)]
    run = trained(FAMILY, recipe(seed, quick), data=data, folder=out / f"model-{seed}", replay=replay)
    world = run.world.drawn_with(**DRAWN)
    classifier = learn_events(recorded(CLASSIFIER_SEED, quick), camera=CAMERA, events=EVENTS, steps=20 if quick else 400)
    seen = judge_events(world, recorded(JUDGED_SEED, quick), classifier, camera=CAMERA, within=WITHIN, seed=seed)
    events, found = np.array(seen.events), {"processor time of training|model|32 px": [processor_seconds(run)]}
    for event in ("any", *EVENTS):
        chosen = events == event if event != "any" else np.full(len(events), True)
        if chosen.any():
            recognised = {"prompted": seen.prompted, "unprompted": seen.unprompted, "simulator": seen.real}
            found |= {f"recognised within {WITHIN} steps|{who}|{event}": values[chosen] for who, values in recognised.items()}
            found |= {f"PSNR over {WITHIN} steps|prompted|{event}": seen.psnr_prompted[chosen]}
            found |= {f"PSNR over {WITHIN} steps|unprompted|{event}": seen.psnr_unprompted[chosen]}
    found["any event recognised where none was told|unprompted|any"] = seen.false_alarm
    return {key: np.asarray(values, dtype=np.float64).tolist() for key, values in found.items()}


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, dream and event."""
    found = []
    for key in kept[0]:
        what, subject, where = key.split("|")
        values = np.stack([np.asarray(one[key]) for one in kept])
        unit = "dB" if "PSNR" in what else "s" if "time" in what else ""
        found.append(row(NAME, subject, f"{what}, {where}", over_seeds_and_episodes(values), seeds=len(kept), unit=unit, digits=4))
    return found


def main() -> None:
    """Record, train, judge, print the rows."""
    run_seeds(NAME, begin(study_parser(NAME, __doc__)), judge, rows)


if __name__ == "__main__":
    main()
