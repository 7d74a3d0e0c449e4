"""The learned world that comes with the package, and whether it obeys: `armillary play` opens it.

    python -m recipes.bundled_world [--seeds N] [--seed K ...] [--out DIR] [--bundle] [--quick] [--json]

A V-M-C of one member learns the platformer from levels that fill one picture (8 columns: there are 40 such levels; every fifth is held
out), recorded by keys that are held at random, 15 times a second. Little moves in these pictures: what moves weighs more in the loss, and
spots tell the decoder where it is. Then, on the held-out levels, it dreams on from two pictures under random held keys. `true keys` is the
PSNR with the keys that were pressed, `other keys` with those of another row, `obeys` the first minus the second: 0 says that it ignores the
keys. Beside it the last true picture. Intervals are bootstrapped over seeds and levels together. With --bundle the world of seed 0, its
config and its card go into the package. A seed takes up to 20 minutes of one core.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import Prompt, World, seeded
from armillary.core.storage import read_json, write_atomically, write_json
from armillary.data.record import write_dataset
from armillary.data.shape import DataConfig
from armillary.evaluate.video import psnr
from armillary.serve.bundled_world import FOLDER
from armillary.studies.runs import LoadedRun
from armillary.train.config import TrainConfig
from armillary.worlds.catalog import build_small
from armillary.worlds.small.level import build_level
from armillary.worlds.small.platformer import Platformer
from armillary.worlds.small.policies import Sticky
from armillary.worlds.small.record import stream_episodes
from armillary.worlds.vmc.train import Config
from armillary.worlds.vmc.world import ModelConfig
from benchmarks.rows import row
from recipes.bundled_card import card
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import trained

NAME = "bundled_world"
SIMULATOR = {"name": "platformer", "options": {"size": 64, "columns": 8}}
KEYS = Sticky(weights=(1.0,) * 6, longest=16)
STEPS = 4000
MODEL = ModelConfig(
    members=1,
    latent_size=32,
    hidden_size=256,
    context_steps=2,
    dream_steps=24,
    frames_per_window=2,
    batch_size=8,
    vision_batch_size=10,
    vision_share=0.4,
    memory_share=0.25,
    other_looks=0.0,
    changed_weight=20.0,
    spots=12,
    learning_rate=2e-3,
)
WALKED = 40  # steps before a dream begins, so that it begins anywhere
AFTER = {"+0.5 s": 8, "+1 s": 15, "+10 s": 150}  # steps of 1/15 s
TRUE, OTHER, OBEYS, COPY = "true keys", "other keys", "obeys (true minus other keys)", "last true picture"


def settings(seed: int = 0, *, quick: bool = False) -> Config:
    """Of one seed."""
    train = TrainConfig(steps=4 if quick else STEPS, seed=seed, validate_every=500, tensorboard=False)
    return Config(data=DataConfig(stride=1, test_fraction=0.05, validation_fraction=0.05), train=train, model=MODEL)


def levels() -> tuple[list[int], list[int]]:
    """Numbers of all levels that differ: those to learn from, and every fifth, held out."""
    found: dict[bytes, int] = {}
    for number in range(20_000):
        found.setdefault(build_level(number, SIMULATOR["options"]["columns"]).tobytes(), number)
    numbers = list(found.values())
    return [one for place, one in enumerate(numbers) if place % 5], numbers[::5]


def learned(seed: int, options: Namespace, out: Path) -> LoadedRun:
    """The run of a seed, and its recordings."""
    data, numbers = out / f"data-{seed}", levels()[0]
    if not (data / "meta" / "info.json").exists():
        times, steps = (1, 30) if options.quick else (6, 96)
        told = {"num_episodes": times * len(numbers), "num_steps": steps, "seed": seed, "policy": KEYS, "layout": {"level": numbers}}
        episodes = stream_episodes("platformer", size=64, options={"columns": SIMULATOR["options"]["columns"]}, **told)
        write_dataset(data, episodes, robot_type="armillary-platformer")
    replay = ["python", "-m", f"recipes.{NAME}", "--seeds", "1", "--seed", str(seed)]
    return trained("vmc", settings(seed, quick=options.quick), data=data, folder=out / f"run-{seed}", replay=replay)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list[float]]:
    """PSNR on each held-out level, with weights as they are bundled."""
    run, held_out = learned(seed, options, out), levels()[1]
    run.world.half().float()
    after = {name: steps for name, steps in AFTER.items() if steps < 10} if options.quick else AFTER
    return measure(run.world, held_out[:2] if options.quick else held_out, seed, after, count=2 if options.quick else 16)


@torch.no_grad()
def measure(world: World, numbers: Sequence[int], seed: int, after: Mapping[str, int], *, count: int) -> dict[str, list[float]]:
    """Of each level the mean over `count` dreams, by subject and time."""
    simulator: Platformer = build_small(SIMULATOR["name"], **SIMULATOR["options"])
    found: dict[str, list[float]] = {}
    for number in numbers:
        rng = seeded(10_000 * seed + number)
        pressed = held_keys(count, WALKED + max(after.values()), rng)
        state, pictures = simulator.start(Prompt(batch_size=count, layout={"level": number}), rng), []
        for step in range(pressed.shape[1]):
            pictures.append(simulator.render(state)["rgb"])
            state = simulator.step(state, pressed[:, step], rng)
        keys, true = pressed[:, WALKED:], torch.stack(pictures[WALKED:], dim=1)
        seen = slice(WALKED + 1 - MODEL.context_steps, WALKED + 1)
        between = columns(pressed[:, seen][:, :-1])
        given = Prompt(batch_size=count, frames=torch.stack(pictures[seen], dim=1), actions=between)
        dreams = {TRUE: dream(world, given, keys, after), OTHER: dream(world, given, keys.roll(1, dims=0), after)}
        for name, steps in after.items():
            found.setdefault(f"{COPY}, {name}", []).append(float(psnr(true[:, 0], true[:, steps]).mean()))
            for subject, pictures_of in dreams.items():
                found.setdefault(f"{subject}, {name}", []).append(float(psnr(pictures_of[name], true[:, steps]).mean()))
    return found


def held_keys(count: int, steps: int, rng: torch.Generator) -> Int[Tensor, "b t"]:
    """What random fingers press: each key up to 16 steps long."""
    memory, pressed, nothing = KEYS.start(count), [], torch.zeros(count, 1)
    for _ in range(steps + 1):
        action, memory = KEYS.act(nothing, memory, rng)
        pressed.append(action)
    return torch.stack(pressed, dim=1)


def columns(keys: Int[Tensor, "b t"]) -> Float[Tensor, "b t 6"]:
    """As recordings hold them."""
    return torch.nn.functional.one_hot(keys, 6).float()


def dream(world: World, given: Prompt, keys: Int[Tensor, "b t"], after: Mapping[str, int]) -> dict[str, Float[Tensor, "b 3 h w"]]:
    """The pictures at those times of a dream under the keys."""
    state, found = world.start(given, seeded(0)), {}
    for step in range(max(after.values())):
        state = world.step(state, columns(keys[:, step]), seeded(step))
        found |= {name: world.render(state)["rgb"] for name, steps in after.items() if steps == step + 1}
    return found


def rows(found: Sequence[Mapping[str, list[float]]]) -> list[dict]:
    """The table, and how much better true keys are than others."""
    table, seeds = [], len(found)
    stacked = {name: np.array([one[name] for one in found]) for name in found[0]}
    for when in (name.removeprefix(f"{TRUE}, ") for name in stacked if name.startswith(TRUE)):
        subjects = {subject: stacked[f"{subject}, {when}"] for subject in (TRUE, OTHER, COPY)}
        for subject, values in (subjects | {OBEYS: subjects[TRUE] - subjects[OTHER]}).items():
            table.append(row(NAME, subject, f"PSNR {when}", over_seeds_and_episodes(values), seeds=seeds, unit="dB", digits=2))
    return table


def bundle(run: LoadedRun, folder: Path, table: Sequence[Mapping]) -> None:
    """Write the weights in half precision, what builds the world, and the card."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half().contiguous() for name, tensor in run.world.state_dict().items()}
    write_atomically(folder / "model.safetensors", lambda path: path.write_bytes(safetensors.torch.save(halves)))
    kept = {name: run.recorded[name] for name in ("family", "config", "shape", "camera", "stride")}
    write_json(folder / "config.json", {**kept, "simulator": SIMULATOR})
    text = card(table, sum(tensor.numel() for tensor in halves.values()))
    write_atomically(folder / "MODEL_CARD.md", lambda path: path.write_text(text, encoding="utf-8"))


def main() -> None:
    """Train, judge, print the rows, and bundle."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--bundle", action="store_true", help="put the world of seed 0 into the package")
    options = begin(arguments)
    run_seeds(NAME, options, judge, rows)
    if options.bundle and not options.quick:
        found = read_json(options.out / "found-0.json")
        bundle(learned(0, options, options.out), FOLDER, rows([found]))


if __name__ == "__main__":
    main()
