"""Tokenizers trained on real videos and judged on held-out scenes, beside linear codes of as many numbers and codecs of as many bits.

    python -m recipes.video_tokenizers [--shared PATH] [--seeds N] [--seed K ...] [--only NAME ...] [--quick] [--json]

Which videos, scenes and clips: `recipes.tokenizer_clips`. The settings were chosen on three training videos, held out for that
(docs/LOG.md). Code usage is counted on everything that the held-out videos show, in squares of the whole height and of half of it.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from armillary.core import Estimate, bootstrap, to_model
from armillary.core.settings import override
from armillary.evaluate.code_usage import CodeCounts
from armillary.evaluate.network_tokenizer import NetworkTokenizer
from armillary.evaluate.tokenizer_table import Subject, judge_codecs, judge_copy_first, judge_linear_codes, judge_tokenizer, linear_codes
from armillary.studies.fit import family_module
from armillary.tokenizers.network import VideoAutoencoder
from benchmarks.rows import row
from recipes.seeds import begin, run_seeds, study_parser
from recipes.tokenizer_clips import (
    CHANNELS,
    FRAMES,
    HELD_OUT,
    LENGTH,
    QUICK_PIECES,
    SIZE,
    bits_of_a_clip,
    held_out_clips,
    squares,
    training_clips,
    training_dataset,
)
from recipes.training import processor_seconds, trained

NAME = "video_tokenizers"
STEPS = {"continuous 4x8x8": 8000, "discrete 4x8x8": 8000, "continuous 8x8x8": 2000, "continuous 8x16x16": 2000}
SETTINGS = {
    "train.precision": "bf16",
    "train.ema-decay": "0.998",
    "train.workers": "0",
    "train.validate-every": "0",
    "train.checkpoint-every": "500",
    "data.validation-fraction": "0",
    "data.test-fraction": "0",
    "model.crop": "64",
    "model.batch-size": "8",
    "model.learning-rate": "2e-3",
}
DISCRETE = {"model.bottleneck": "fsq", "model.latent-channels": "6"}


def recipe(name: str, seed: int, quick: bool):
    """The settings of one tokenizer's run."""
    kind, rate = name.split()
    words = {"train.seed": str(seed), "train.steps": "4" if quick else str(STEPS[name]), "model.rate": rate, **SETTINGS}
    return override(family_module("tokenizer").PRESETS["small"], words | (DISCRETE if kind == "discrete" else {}))


def learned(seed: int, options: Namespace, out: Path) -> Mapping:
    """What one seed's tokenizers make of the held-out clips: PSNR and SSIM of each clip, what it took, the codes used."""
    clips = all_clips(options)
    data = training_dataset(options.shared, options.out / "training_videos")
    found = {}
    for name in options.only or STEPS:
        command = ["python", "-m", f"recipes.{NAME}", "--shared", str(options.shared), "--only", name, "--seed", str(seed)]
        folder = out / f"{name.replace(' ', '-')}-{seed}"
        run = trained("tokenizer", recipe(name, seed, options.quick), data=data, folder=folder, replay=command)
        judged = judge_tokenizer(name, NetworkTokenizer(run.world.network), clips)
        found[name] = {"psnr_db": judged.psnr_db, "ssim": judged.ssim, "numbers": judged.numbers, "bits": judged.bits}
        found[name]["processor_s"] = processor_seconds(run)
        if judged.code_usage is not None:
            found[name]["usage"] = code_usage(run.world.network, options)
    return found


def all_clips(options: Namespace) -> list:
    """The held-out clips, of all videos."""
    return [clip for some in held_out_clips(options.shared, **({"most": 1} if options.quick else {})).values() for clip in some]


def code_usage(network: VideoAutoencoder, options: Namespace) -> Mapping[str, float]:
    """Which codes are used on all that the held-out videos show, in clips that follow one another."""
    counts, tokenizer = CodeCounts(network.quantiser.num_codes), NetworkTokenizer(network)
    for index, piece in enumerate(squares(options.shared, HELD_OUT)):
        if options.quick and index == 1:
            break
        for first in range(0, len(piece.frames) - LENGTH + 1, LENGTH):
            counts.update(tokenizer.encode(to_model(piece.frames[first : first + LENGTH])))
    usage = counts.usage()
    return {
        "share": usage.share,
        "num_positions": usage.num_positions,
        "uniform_share": usage.uniform_share,
        "perplexity": usage.perplexity,
    }


def rows(options: Namespace, measured: Sequence[Mapping]) -> list[dict]:
    """Each tokenizer (each clip's mean over seeds, bootstrapped over clips), its gains, then the baselines on the same clips."""
    clips = all_clips(options)
    codes = linear_codes(
        training_clips(options.shared, pieces=QUICK_PIECES if options.quick else None), frames=FRAMES, size=SIZE, channels=CHANNELS
    )
    linear = judge_linear_codes(clips, codes)
    others = [*linear, *judge_codecs(clips, bits_of_a_clip()), judge_copy_first(clips)]
    table = []
    for name in measured[0]:
        seeds = [found[name] for found in measured]
        psnr_db = np.mean([one["psnr_db"] for one in seeds], axis=0)
        table.append(row(NAME, name, "PSNR", bootstrap(psnr_db), seeds=len(seeds), unit="dB", digits=2))
        table.append(row(NAME, name, "SSIM", bootstrap(np.mean([one["ssim"] for one in seeds], axis=0)), seeds=len(seeds)))
        if name == f"continuous {FRAMES}x{SIZE}x{SIZE}":
            for other in linear:
                gain = bootstrap(psnr_db - np.array(other.psnr_db))
                table.append(row(NAME, name, f"PSNR above {other.name}", gain, seeds=len(seeds), unit="dB", digits=2))
        table += [_over_seeds(name, metric, [one["usage"][metric] for one in seeds]) for metric in seeds[0].get("usage", ())]
        table.append(_over_seeds(name, "processor time of training", [one["processor_s"] for one in seeds], unit="s", digits=0))
    return table + [line for other in others for line in _baseline(other)]


def _over_seeds(name: str, metric: str, values: Sequence[float], **how) -> dict:
    return row(NAME, name, metric, bootstrap(values), seeds=len(values), **how)


def _baseline(subject: Subject) -> list[dict]:
    """A baseline has no seed."""
    found = [row(NAME, subject.name, "PSNR", subject.estimate_psnr(), seeds=1, unit="dB", digits=2)]
    found.append(row(NAME, subject.name, "SSIM", subject.estimate_ssim(), seeds=1))
    if subject.over_budget:
        count = float(subject.over_budget)
        found.append(
            row(NAME, subject.name, "clips over the budget", Estimate(value=count, low=count, high=count, n=len(subject.psnr_db)), seeds=1)
        )
    return found


def main() -> None:
    """Train and judge every seed, then the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--shared", type=Path, default=Path("../shared/data"), help="the folder of real recordings")
    arguments.add_argument("--only", nargs="*", choices=list(STEPS), help="these tokenizers alone (default: all)")
    options = begin(arguments)
    kept = "-".join(["found", *(name.replace(" ", "-") for name in options.only or ())])
    run_seeds(NAME, options, learned, lambda measured: rows(options, measured), kept=kept)


if __name__ == "__main__":
    main()
