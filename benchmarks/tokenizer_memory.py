"""What tokenizers need of memory: `python -m benchmarks.tokenizer_memory [--seeds N] [--quick] [--json]`.

`training`: the peak RAM that `armillary cost` foretells, over that of a training run of a few steps, for three sizes of network, and what
`model.recompute` leaves of it. `decoding`: the peak of drawing 121 frames of 256 x 256 pixels of the published network, chunk by chunk as
`armillary tokenize` does. Every number is the peak of a process of its own (its maximal resident set, Python and PyTorch included), as the
kernel counts it; a seed is one repetition.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from armillary.core import bootstrap, seeded
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.data.video_episodes import video_episode
from armillary.studies.fit import family_module, train_family
from armillary.studies.plans import estimate_run
from armillary.tokenizers.config import PRESETS
from armillary.tokenizers.network import VideoAutoencoder
from armillary.tokenizers.streaming import decode_chunk
from benchmarks import rows

NAME = "tokenizer_memory"
SIZES, QUICK_SIZES = (16, 32, 48), (4,)  # channels of the first layer
FRAMES, SIDE, QUICK_SIDE, CAMERA = 17, 128, 32, "observation.images.view"
DECODED, DECODED_SIDE, QUICK_DECODED = 121, 256, 9
LATENTS_AT_ONCE = 1
GIGABYTE = 1e9


def peak_gb(*words: object) -> tuple[float, str]:
    """The peak of this program called with `words`, in GB, and what it said."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([sys.executable, "-m", f"benchmarks.{NAME}", *map(str, words)], stdout=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))} ended with {child.returncode}")
        said.seek(0)
        return usage.ru_maxrss * 1024 / GIGABYTE, said.read().decode()


def settings(channels: int, side: int, recompute: bool):
    """A short training run."""
    words = {"train.steps": "3", "train.workers": "0", "train.tensorboard": "no", "train.validation-batches": "1"}
    words |= {"model.channels": str(channels), "data.height": str(side), "data.width": str(side), "model.recompute": str(recompute).lower()}
    return override(family_module("tokenizer").PRESETS["small"], words)


def dataset(folder: Path, side: int) -> Path:
    """A few recordings of noise."""
    rng = np.random.default_rng(0)
    videos = (rng.integers(0, 256, (FRAMES + 3, side, side, 3), np.uint8) for _ in range(8))
    write_dataset(folder / "data", (video_episode(frames, 10.0, camera=CAMERA) for frames in videos))
    return folder / "data"


@torch.no_grad()
def decode(channels: int, side: int, frames: int) -> None:
    """Every frame of a video from latents, a chunk at a time; as uint8 they are kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VideoAutoencoder(override(PRESETS["published"], {"channels": str(channels)})).eval()
    count, state = network.config.num_latents(frames), None
    latents = torch.randn(1, network.config.latent_channels, count, *[side // network.config.space_rate] * 2, generator=seeded(0))
    kept = np.empty((frames, side, side, 3), np.uint8)
    first = 0
    for some in latents.split(LATENTS_AT_ONCE, dim=2):
        pictures, state = decode_chunk(network, some, state)
        kept[first : first + pictures.shape[1]] = pictures[0].clamp(0, 1).mul(255).byte().movedim(1, -1).numpy()
        first += pictures.shape[1]


def child(words: Sequence[str]) -> None:
    """What a process of its own does."""
    kind, channels, side, *rest = words
    torch.set_num_threads(1)
    if kind == "decode":
        return decode(int(channels), int(side), int(rest[0]))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARMILLARY_CACHE"] = f"{folder}/cache"
        config, data = settings(int(channels), int(side), rest[0] == "True"), dataset(Path(folder), int(side))
        if kind == "cost":
            print(estimate_run("tokenizer", config, data)[0].ram_bytes / GIGABYTE)
        else:
            train_family("tokenizer", data=data, out=Path(folder) / "run", config=config, replay=[])


def measure(quick: bool) -> dict[tuple[str, str], float]:
    """Every number of one repetition, by subject and metric."""
    found, side = {}, QUICK_SIDE if quick else SIDE
    for channels in QUICK_SIZES if quick else SIZES:
        who = f"training, {channels} channels"
        spent, _ = peak_gb("train", channels, side, False)
        foretold = float(peak_gb("cost", channels, side, False)[1])
        found[who, "peak RAM"], found[who, "foretold over spent"] = spent, foretold / spent
        found[who, "peak RAM with model.recompute"] = peak_gb("train", channels, side, True)[0]
    channels, side, frames = (4, QUICK_SIDE, QUICK_DECODED) if quick else (PRESETS["published"].channels, DECODED_SIDE, DECODED)
    who = f"decoding {frames} frames of {side} x {side}, {channels} channels"
    found[who, "peak RAM"] = peak_gb("decode", channels, side, frames)[0]
    return found


def main() -> None:
    """Print the rows, or be one of the processes that are measured."""
    if sys.argv[1:2] and sys.argv[1] in ("train", "cost", "decode"):
        return child(sys.argv[1:])
    options = rows.parser(f"benchmarks.{NAME}", __doc__ or "", seeds=3).parse_args()
    with rows.timed() as whole:
        measured = [measure(options.quick) for _ in range(1 if options.quick else options.seeds)]
    table = [
        rows.row(NAME, *one, bootstrap([each[one] for each in measured]), seeds=len(measured), unit="" if "over" in one[1] else "GB")
        for one in measured[0]
    ]
    rows.publish(NAME, table, options, command=f"python -m benchmarks.{NAME}", wall_s=whole["s"])


if __name__ == "__main__":
    main()
