"""How fast a video tokenizer is: `python -m benchmarks.tokenizer_speed [--channels N] [--device cuda] [--seeds N] [--quick] [--json]`.

Ours and diffusers' `AutoencoderKLCosmos`, as it comes, get the same weights and the same clips, one after the other, in turns, in one
process of one thread, at all three rates: frames a second of encoding and of decoding, without gradients, in float32. A seed is one clip
and one round of turns; `ratio` is ours over theirs within a round, its interval a bootstrap over rounds. Before anything is measured,
the outputs of both are compared.
"""

import os
import sys
import tempfile
from collections.abc import Sequence

import torch
from torch import Tensor

from armillary.core import ConfigError, bootstrap, seeded
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.cosmos_weights import save_cosmos
from armillary.tokenizers.network import VideoAutoencoder
from benchmarks import rows
from benchmarks.encoder_speed import seconds

NAME = "tokenizer_speed"
RATES = ("4x8x8", "8x8x8", "8x16x16")
FRAMES, SIDE, QUICK_SIDE, CHANNELS = 17, 128, 32, 64
TOLERANCE = 1e-4


class Rivals:
    """Both networks with the same weights."""

    def __init__(self, rate: str, channels: int, side: int, device: torch.device):
        diffusers = load_diffusers()
        self.side, self.device = side, device
        with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            ours = VideoAutoencoder(TokenizerConfig(rate=rate, channels=channels))
            save_cosmos(ours, f"{folder}/given")
            theirs = diffusers.AutoencoderKLCosmos.from_pretrained(f"{folder}/given")
        self.ours, self.theirs = ours.eval().to(device), theirs.eval().to(device)

    def material(self, seed: int) -> tuple[Tensor, Tensor]:
        """A clip in [0, 1] as ours takes it, and its latents."""
        clip = torch.rand(1, FRAMES, 3, self.side, self.side, generator=seeded(seed)).to(self.device)
        return clip, self.ours.encode(clip)

    def compare(self) -> None:
        """The answers must be the same, or the comparison means nothing."""
        clip, latents = self.material(0)
        gaps = (
            latents - self.theirs.encode(2 * clip.transpose(1, 2) - 1).latent_dist.mode(),
            2 * self.ours.decode(latents).transpose(1, 2) - 1 - self.theirs.decode(latents).sample,
        )
        worst = max(float(gap.abs().max()) for gap in gaps)
        assert worst < TOLERANCE, f"the outputs differ by up to {worst}"

    def measure(self, seed: int) -> dict[str, dict[str, float]]:
        """Frames a second of both in both kinds of work, in turns; who begins changes from round to round."""
        clip, latents = self.material(seed)
        video = 2 * clip.transpose(1, 2) - 1
        kinds = {
            "encode": {"armillary": lambda: self.ours.encode(clip), "diffusers": lambda: self.theirs.encode(video)},
            "decode": {"armillary": lambda: self.ours.decode(latents), "diffusers": lambda: self.theirs.decode(latents)},
        }
        found = {}
        for kind, subjects in kinds.items():
            order = list(subjects) if seed % 2 == 0 else list(reversed(subjects))
            taken = {who: seconds(subjects[who], self.device, 2) for who in order}
            found[kind] = {who: FRAMES / taken[who] for who in subjects}
        return found


def load_diffusers():
    """diffusers, which only this comparison and the parity tests need, without a word to its hub."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import diffusers
    except ImportError as error:
        raise ConfigError(
            "this benchmark compares with diffusers; install it: pip install -c constraints.txt --no-deps diffusers"
        ) from error
    return diffusers


def rows_of(rate: str, measured: Sequence[dict[str, dict[str, float]]]) -> list[dict]:
    """Frames a second, and the ratios within rounds; one measurement a round."""

    def row(who: str, metric: str, values: Sequence[float], unit: str) -> dict:
        return rows.row(NAME, f"{who}, {rate}", metric, bootstrap(values), seeds=len(values), unit=unit)

    found = []
    for kind in measured[0]:
        speeds = {who: [one[kind][who] for one in measured] for who in measured[0][kind]}
        found += [row(who, f"{kind}_frames_per_second", values, "1/s") for who, values in speeds.items()]
        ratios = [ours / theirs for ours, theirs in zip(speeds["armillary"], speeds["diffusers"], strict=True)]
        found.append(row("armillary / diffusers", f"{kind}_ratio", ratios, "x"))
    return found


@torch.no_grad()
def main() -> int:
    """Print the rows."""
    parser = rows.parser(f"benchmarks.{NAME}", __doc__ or "", seeds=5)
    parser.add_argument("--channels", type=int, default=CHANNELS, help=f"of the first layer, published 128 (default {CHANNELS})")
    parser.add_argument("--device", default="cpu", help="cpu (one thread) or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    channels, side = (4, QUICK_SIDE) if options.quick else (options.channels, SIDE)
    table, rounds = [], 2 if options.quick else options.seeds
    try:
        with rows.timed() as whole:
            for rate in RATES:
                rivals = Rivals(rate, channels, side, torch.device(options.device))
                rivals.compare()
                rivals.measure(0)  # warm up
                table += rows_of(rate, [rivals.measure(seed) for seed in range(rounds)])
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    usual = channels == CHANNELS and options.device == "cpu"
    name = NAME if usual else f"{NAME}_{channels}_{options.device}"
    device = "one thread" if options.device == "cpu" else options.device
    notes = [f"{channels} x [2, 4, 4] channels, {FRAMES} frames of {side} x {side} pixels, float32, {device}."]
    command = f"python -m benchmarks.{NAME} --channels {channels} --device {options.device}"
    rows.publish(name, table, options, command=command, wall_s=whole["s"], notes=notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
