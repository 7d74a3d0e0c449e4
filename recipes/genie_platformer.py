"""Genie on the sprite platformer: actions that nobody wrote down, learned from video, and a world that obeys them.

    python -m recipes.genie_platformer [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Unlabelled video of levels, half of it in four themes and half in themes drawn by chance; judged on other levels, in a theme that was
never seen (and, beside it, in the four).
The view turns pages: where it follows the figure, but not at a level's ends, the same key moves what is seen to either side, and no code
of what was seen to move can be one of what was done. Nor where things slide: a key let go of goes on for a while, so the ground has grip.
Runs to either side are as frequent.
Rows: the tokenizer's PSNR; dPSNR at +4 steps (dreams under inferred latent actions minus under random ones); how often the latent action
tells the true one of all six keys, any key being right after which the simulator shows the very same next picture (a jump in the air, a
step into a wall: no video tells these from standing), and how often the very key that was held; R2 of the true action linear in the latent
one; each beside random latent actions, and the key that is right most often. What latent actions tell is asked, too, of runs that lack one
remedy against ignored actions each, or have one more: their latent action model is trained as long, no dynamics. Dreams are judged again
drawn of codes alone, without what these lose of the last real picture. A code stands for 4 x 4 of 32 x 32 pixels, one tile of the level.
Last the whole step's frames a second, picture as JPEG, one world, one core. Intervals are bootstrapped over seeds and episodes together. A
seed takes about an hour of one core.
"""

import io
import logging
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image

from armillary.core import Episode, Prompt, seeded, to_disk, to_model
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.evaluate.controllability import action_r2, agreement, alike_actions, infer_codes, random_codes, steer
from armillary.evaluate.video import psnr
from armillary.worlds.catalog import build_small
from armillary.worlds.genie.train import PRESETS, Config
from armillary.worlds.genie.world import GenieWorld
from armillary.worlds.small.policies import Sticky
from armillary.worlds.small.record import CAMERA, EPISODES_AT_ONCE, record_episodes
from benchmarks.rows import row
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.tile_codes import QUICK, SIZE, TILE_CODES
from recipes.training import processor_seconds, trained

NAME, FAMILY, ENV = "genie_platformer", "genie", "platformer"
SEEN, HELD_OUT, MANY = ("paper", "midnight", "meadow", "workshop"), "candy", "drawn"
EPISODES, STEPS = 24, 64  # of each theme, and as many again in themes drawn by chance
JUDGED = 12  # episodes of the held-out theme, and of those seen
FITTED = (16, 3)  # episodes in all themes, so many times, on which it is counted what codes mean
DATA_SEED, JUDGED_SEED = 0, 10_000
PAGES = {"pages": True}
GRIP = {"slipperiness_s": 0.02}
KEYS = (0.1, 0.25, 0.25, 0.1, 0.15, 0.15)  # how often each is pressed
SETTINGS = TILE_CODES | {
    "model.action-shrink": "1",
    "model.levels": "8,8,8,8,8,8,8,8,8,8,8,8",
    "model.recolour": "0.3",
    "model.num-actions": "64",
    "model.action-size": "32",
    "model.change-weight": "0",
}
WHOLE = {"train.steps": "6900", "model.tokenize-share": "0.435", "model.action-share": "0.22"}
ACTIONS_ALONE = {"train.steps": "1550", "model.tokenize-share": "0.01", "model.action-share": "0.96"}
CHANGED = {
    "no dropped past": {"model.drop-past": "0"},
    "no variance loss": {"model.variance-weight": "0"},
    "no moved pixels": {"model.reach": "0"},
    "a weight on change": {"model.change-weight": "4"},
}
CODES_ALONE = "no detail of the last real picture"
HORIZON = 4
FRAMES_TIMED = 48

Played = tuple[list[Episode], list[Bool[np.ndarray, "t k"]]]  # recordings, and which keys show the same

logger = logging.getLogger(NAME)


def settings() -> Config:
    """What `armillary cost genie_platformer` tells the cost of: the training run of one seed."""
    return recipe(0, quick=False)


def recipe(seed: int, quick: bool, changes: Mapping[str, str] | None = None) -> Config:
    """The settings of one training run; with `changes`, a remedy less or one more, of its latent actions alone."""
    parts = WHOLE if changes is None else ACTIONS_ALONE | dict(changes)
    words = {"train.seed": str(seed), **SETTINGS, **parts}
    return override(PRESETS["default"], words | (QUICK if quick else {}))


def videos(count: int, seed: int, theme: str, **options) -> list[Episode]:
    """Levels drawn by `seed`, played with runs to either side."""
    played = {"policy": Sticky(weights=KEYS), "options": PAGES, "layout": GRIP, "size": SIZE}
    return record_episodes(ENV, num_episodes=count, num_steps=STEPS, seed=seed, theme=theme, **played, **options)


@cache
def judged_videos(count: int, seed: int, theme: str) -> Played:
    """(levels played so, which keys would have shown the same after each frame but the last)."""
    simulator, alike = build_small(ENV, size=SIZE, **PAGES), []
    episodes = videos(count, seed, theme, watch=lambda state, action: alike.append(alike_actions(simulator, state, action)))
    assert count <= EPISODES_AT_ONCE
    return episodes, list(np.stack(alike, axis=1)[:, :-1])


def recorded(out: Path, quick: bool) -> Path:
    """The training videos, recorded once for all seeds. No later step looks at their actions, but for the few that are labelled."""
    folder = out / "data"
    if not (folder / "meta" / "info.json").exists():
        count = 1 if quick else EPISODES
        counts = {theme: count for theme in SEEN} | {MANY: len(SEEN) * count}
        episodes = [one for number, (theme, many) in enumerate(counts.items()) for one in videos(many, DATA_SEED + number, theme)]
        numbered = [replace(one, index=index) for index, one in enumerate(episodes)]
        write_dataset(folder, numbered, robot_type=f"armillary-{ENV}")
    return folder


def judged_episodes(quick: bool) -> dict[str, Played]:
    """Levels that training has not seen, with the keys that show the same: in the theme held out, and in those seen."""
    count = 2 if quick else JUDGED
    each = max(count // len(SEEN), 1)
    seen = [judged_videos(each, JUDGED_SEED + 1 + number, theme) for number, theme in enumerate(SEEN)]
    joined = tuple([one for part in parts for one in part][:count] for parts in zip(*seen, strict=True))
    return {"new theme": judged_videos(count, JUDGED_SEED, HELD_OUT), "seen themes": joined}


@cache
def fitted_episodes(quick: bool) -> Played:
    """Yet other levels, in all themes, with the keys that show the same."""
    count, times = (2, 2) if quick else FITTED
    parts = [judged_videos(count, 2 * JUDGED_SEED + number, "random") for number in range(times)]
    return tuple([one for part in parts for one in part[side]] for side in (0, 1))


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|of whom|where"."""
    data, found = recorded(out, options.quick), {}
    variants = {"model": None} | ({} if options.quick else CHANGED)
    for name, changes in variants.items():
        folder = out / f"{name.replace(' ', '-')}-{seed}"
        replay = ["python", "-m", f"recipes.{NAME}", "--seed", str(seed)]
        run = trained(FAMILY, recipe(seed, options.quick, changes), data=data, folder=folder, replay=replay)
        fit = fitted_episodes(options.quick)
        logger.info("seed %d: judging %s", seed, name)
        for where, played in judged_episodes(options.quick).items():
            measured = judge_codes(run.world, fit, played, seed)
            if name == "model":
                measured |= judge_pictures(run.world, played[0], seed)
                alone = judge_dreams(run.world.drawn_with(detail=False), played[0], seed)
                found |= {f"{what}|{CODES_ALONE}|{where}": values for what, values in alone.items()}
            found |= {f"{what}|{name}|{where}": values for what, values in measured.items()}
        if name == "model":
            found["frames per second, one world, one core, with JPEG|model|32 px"] = [frames_per_second(run.world)]
            found["processor time of training|model|32 px"] = [processor_seconds(run)]
    return {key: np.asarray(value).tolist() for key, value in found.items()}


@torch.no_grad()
def judge_pictures(world: GenieWorld, episodes: Sequence[Episode], seed: int) -> dict[str, np.ndarray]:
    """How true pictures are, and how they follow latent actions."""
    found = {"tokenizer PSNR": np.array([tokenizer_psnr(world, one) for one in episodes])}
    return found | judge_dreams(world, episodes, seed)


def judge_dreams(world: GenieWorld, episodes: Sequence[Episode], seed: int) -> dict[str, np.ndarray]:
    """How true dreams are, and how they follow latent actions."""
    steered = steer(world, episodes, camera=CAMERA, horizon=HORIZON, seed=seed)
    return {
        "PSNR at +4 with inferred actions": steered.inferred[:, HORIZON - 1],
        "PSNR at +4 of copy-last": steered.copy_last[:, HORIZON - 1],
        "dPSNR at +4": steered.delta(HORIZON),
    }


@torch.no_grad()
def judge_codes(world: GenieWorld, fit: Played, judged: Played, seed: int) -> dict[str, np.ndarray]:
    """What latent actions tell of the keys; what they mean is fitted on other episodes."""
    found, played = {}, [fit[0], judged[0]]
    codes = {"": [infer_codes(world, some, camera=CAMERA) for some in played]}
    codes[", random codes"] = [random_codes(some, world.config.num_actions, seed) for some in codes[""]]
    always = [[np.zeros_like(code) for code in some] for some in codes[""]]
    alike, held = [fit[1], judged[1]], [[one.actions[:-1].argmax(axis=1) for one in some] for some in played]
    for what, right in {"keys that show the same": alike, "keys": held}.items():
        for whose, (known, asked) in (codes | {", the commonest": always}).items():
            found[f"agreement, {what}{whose}"] = agreement((known, right[0]), (asked, right[1]))
    for whose, (known, asked) in codes.items():
        truth = [[one.actions[:-1] for one in some] for some in played]
        found[f"R2 of keys{whose}"] = np.array([action_r2(world.latent_actions, (known, truth[0]), (asked, truth[1]))])
    return found


def tokenizer_psnr(world: GenieWorld, episode: Episode) -> float:
    """Of an episode's frames through codes and back, one pass."""
    frames = to_model(episode.frames[CAMERA])[None]
    z = world.tokenizer.quantiser.codes_to_z(world.tokenizer.codes(frames))
    return float(psnr(world.tokenizer.draw(z)[0].clamp(0, 1), frames).mean())


@torch.no_grad()
def frames_per_second(world: GenieWorld) -> float:
    """Whole steps of one world: key to latent action, codes, picture, JPEG; the median over FRAMES_TIMED, on the one thread."""
    episode = videos(1, JUDGED_SEED, HELD_OUT)[0]
    context = world.spec.context_steps
    state = world.start(Prompt(frames=to_model(episode.frames[CAMERA][:context])[None]), seeded(0))
    rng, taken = seeded(0), []
    for step in range(FRAMES_TIMED):
        started = time.perf_counter()
        state = world.step(state, torch.from_numpy(episode.actions[None, step % STEPS]), rng)
        Image.fromarray(to_disk(world.render(state)["rgb"])[0]).save(io.BytesIO(), "JPEG", quality=85)
        taken.append(time.perf_counter() - started)
    return 1.0 / float(np.median(taken))


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, run and place."""
    found = []
    for key in kept[0]:
        what, subject, where = key.split("|")
        values: Float[np.ndarray, "seeds episodes"] = np.stack([np.asarray(one[key]) for one in kept])
        unit = "dB" if "PSNR" in what else "s" if "time" in what else "1/s" if "second" in what else ""
        found.append(row(NAME, subject, f"{what}, {where}", over_seeds_and_episodes(values), seeds=len(kept), unit=unit, digits=4))
    return found


def main() -> None:
    """Record, train, judge, print the rows."""
    run_seeds(NAME, begin(study_parser(NAME, __doc__)), judge, rows)


if __name__ == "__main__":
    main()
