"""How fast V-JEPA 2's networks are: `python -m benchmarks.encoder_speed [--sizes NAME] [--device cuda] [--seeds N] [--quick] [--json]`.

Ours and transformers' `VJEPA2Model` (attention `sdpa`, as it comes) get the same weights, the same videos and the same masks, one after the
other, in turns, in one process of one thread. `inference` is frames a second through the encoder; `pretraining` frames a second of whole
steps: target encoder, encoder, predictor under both published masks, gradients, AdamW, moving average. There ours computes the
visible tokens only; transformers' encoder has no such way, so it computes all and hands the visible ones on.
A seed is one video, one pair of masks and one round of turns; `ratio` is ours over theirs within a round, its interval a bootstrap
over rounds. Before anything is measured, the outputs of both are compared.
"""

import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError, bootstrap, seeded
from armillary.worlds.jepa.masking import PUBLISHED, Masking, draw_maskings
from armillary.worlds.jepa.pretrain import HUGE, LARGE
from armillary.worlds.jepa.released import save_release
from armillary.worlds.jepa.vit import choose
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2
from benchmarks import rows

NAME = "encoder_speed"
FRAMES, SIDE, QUICK_SIDE, BATCH = 16, 256, 96, 1
LARGE_SIZES = LARGE.sizes()
SIZES = {
    "vit-b": replace(LARGE_SIZES, width=768, depth=12, heads=12),
    "vit-l": LARGE_SIZES,
    "vit-h": HUGE.sizes(),
}
QUICK = Sizes(width=192, depth=4, heads=3, patch_size=16, predictor_width=96, predictor_depth=2, predictor_heads=3)
TOLERANCE = 1e-4


class Rivals:
    """Both models with the same weights, and both optimisers."""

    def __init__(self, sizes: Sizes, side: int, device: torch.device):
        transformers = load_transformers()
        self.side, self.device = side, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.ours = VJepa2(sizes)
        with tempfile.TemporaryDirectory() as folder:
            save_release(self.ours, f"{folder}/given", side=side, num_frames=FRAMES)
            self.theirs = transformers.VJEPA2Model.from_pretrained(f"{folder}/given").eval()
        self.ours, self.theirs = self.ours.to(device), self.theirs.to(device)
        self.their_target = copy.deepcopy(self.theirs.encoder).requires_grad_(False)
        learned = [*self.ours.encoder.parameters(), *self.ours.predictor.parameters()]
        self.our_optimizer = torch.optim.AdamW(learned, lr=1e-5)
        self.their_optimizer = torch.optim.AdamW(self.theirs.parameters(), lr=1e-5)

    def material(self, seed: int) -> tuple[Tensor, list[Masking]]:
        """Pixels and masks of a round."""
        rng = seeded(seed)
        pixels = torch.randn(BATCH, FRAMES, 3, self.side, self.side, generator=rng)
        maskings = draw_maskings(PUBLISHED, self.ours.encoder.grid(pixels.shape), BATCH, rng)
        return pixels.to(self.device), [Masking(one.visible.to(self.device), one.hidden.to(self.device)) for one in maskings]

    @torch.no_grad()
    def compare(self) -> None:
        """The answers must be the same, or the comparison means nothing."""
        pixels, maskings = self.material(0)
        whole = self.ours.target_encoder(pixels)
        gaps = [(whole - self.theirs.encoder(pixels).last_hidden_state).abs().max().item()]
        for one in maskings:
            ours = self.ours.predictor(choose(whole, one.visible), self.ours.encoder.grid(pixels.shape), one.visible, one.hidden)
            gaps.append((ours - self.theirs.predictor(whole, [one.visible], [one.hidden]).last_hidden_state).abs().max().item())
        assert max(gaps) < TOLERANCE, f"the outputs differ by up to {max(gaps)}"

    @torch.no_grad()
    def our_inference(self, pixels: Tensor, maskings: Sequence[Masking]) -> None:
        self.ours.target_encoder(pixels)

    @torch.no_grad()
    def their_inference(self, pixels: Tensor, maskings: Sequence[Masking]) -> None:
        self.theirs(pixels, skip_predictor=True)

    def our_pretraining(self, pixels: Tensor, maskings: Sequence[Masking]) -> None:
        grid, targets = self.ours.encoder.grid(pixels.shape), self.ours.targets(pixels)
        errors = []
        for one in maskings:
            predicted = self.ours.predictor(self.ours.encoder(pixels, one.visible), grid, one.visible, one.hidden)
            errors.append((predicted - choose(targets, one.hidden)).abs().mean())
        learn(errors, self.our_optimizer)
        self.ours.follow(0.99925)

    def their_pretraining(self, pixels: Tensor, maskings: Sequence[Masking]) -> None:
        with torch.no_grad():
            targets = self.their_target(pixels).last_hidden_state
            targets = functional.layer_norm(targets, (targets.shape[-1],))
        tokens = self.theirs.encoder(pixels).last_hidden_state
        errors = []
        for one in maskings:
            predicted = self.theirs.predictor(tokens, [one.visible], [one.hidden]).last_hidden_state
            errors.append((predicted - choose(targets, one.hidden)).abs().mean())
        learn(errors, self.their_optimizer)
        follow(self.their_target, self.theirs.encoder, 0.99925)


def load_transformers():
    """transformers, which only this comparison and the parity tests need, without a word to its hub."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import transformers
    except ImportError as error:
        raise ConfigError("this benchmark compares with transformers; install it: pip install -c constraints.txt transformers") from error
    return transformers


def learn(errors: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> None:
    """One step on the mean of the errors."""
    torch.stack(list(errors)).mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """The moving average of one module in another."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1.0 - momentum)


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds of one turn: the clock on a GPU, this process's own time on a CPU, so that a busy machine does not count."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    begin = clock()
    for _ in range(repeats):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (clock() - begin) / repeats


def measure(rivals: Rivals, seed: int, repeats: int) -> dict[str, dict[str, float]]:
    """Frames a second of both subjects in both kinds of work, in turns; who begins changes from round to round."""
    pixels, maskings = rivals.material(seed)
    found = {}
    for kind in ("inference", "pretraining"):
        subjects = {"armillary": getattr(rivals, f"our_{kind}"), "transformers": getattr(rivals, f"their_{kind}")}
        order = list(subjects) if seed % 2 == 0 else list(reversed(subjects))
        taken = {name: seconds(lambda work=subjects[name]: work(pixels, maskings), rivals.device, repeats) for name in order}
        found[kind] = {name: BATCH * FRAMES / taken[name] for name in subjects}
    return found


def rows_of(measured: Sequence[dict[str, dict[str, float]]]) -> list[dict]:
    """Frames a second, and the ratios within rounds; one measurement a round."""

    def row(who: str, metric: str, values: Sequence[float], unit: str) -> dict:
        return rows.row(NAME, who, metric, bootstrap(values), seeds=len(values), unit=unit)

    found = []
    for kind in measured[0]:
        speeds = {who: [one[kind][who] for one in measured] for who in measured[0][kind]}
        found += [row(who, f"{kind}_frames_per_second", values, "1/s") for who, values in speeds.items()]
        ratios = [ours / theirs for ours, theirs in zip(speeds["armillary"], speeds["transformers"], strict=True)]
        found.append(row("armillary / transformers", f"{kind}_ratio", ratios, "x"))
    return found


def main() -> int:
    """Print the rows."""
    parser = rows.parser(f"benchmarks.{NAME}", __doc__ or "", seeds=5)
    parser.add_argument("--sizes", choices=sorted(SIZES), default="vit-b", help="of the encoder; the predictor is the published one")
    parser.add_argument("--device", default="cpu", help="cpu (one thread) or cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes, side = (QUICK, QUICK_SIDE) if options.quick else (SIZES[options.sizes], SIDE)
    try:
        rivals = Rivals(sizes, side, torch.device(options.device))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    with rows.timed() as whole:
        rivals.compare()
        measure(rivals, 0, 1)  # warm up
        rounds = 3 if options.quick else options.seeds
        measured = [measure(rivals, seed, 1 if options.device == "cpu" else 5) for seed in range(rounds)]
    command = f"python -m benchmarks.{NAME} --sizes {options.sizes} --device {options.device}"
    device = "one thread" if options.device == "cpu" else options.device
    notes = [f"Encoder {options.sizes}, predictor 12 x 384, {FRAMES} frames of {side} x {side} pixels, {device}."]
    name = NAME if options.sizes == parser.get_default("sizes") and options.device == "cpu" else f"{NAME}_{options.sizes}_{options.device}"
    rows.publish(name, rows_of(measured), options, command=command, wall_s=whole["s"], notes=notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
