"""armillary tokenize RUN VIDEO: a video as latents or codes, and what comes back of them."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

_EPILOG = """OUT holds tokens.safetensors (latents, or a discrete tokenizer's codes), reconstruction.mp4, tokens.json.
Train a tokenizer with: armillary train tokenizer --data PATH --out RUN [--preset small-discrete] [--model.rate 8x8x8]"""


def add(verbs) -> None:
    """Declare the verb."""
    description = "a video through a trained tokenizer: latents or codes, and what comes back of them"
    parser = shared.new_verb(verbs, "tokenize", run, description, epilog=_EPILOG)
    parser.add_argument("run_folder", metavar="RUN", help="the folder that train tokenizer --out made")
    parser.add_argument("video", metavar="VIDEO", help="a video file; its shorter side is shrunk to the height that the tokenizer learned")
    parser.add_argument("--out", required=True, metavar="OUT", help="the folder to make")


def run(options: Namespace, console: Console) -> int:
    """The verb."""
    from armillary.studies.tokenize import planned, tokenize_video

    if options.dry_run:
        plan = planned(options.run_folder, options.video)
        text = f"would tokenize {plan.frames} frames of {plan.height} x {plan.width} pixels into {options.out}; nothing was written"
        console.result(vars(plan), text)
        return 0
    facts = tokenize_video(options.run_folder, options.video, options.out, on_frames=console.count("tokenizing frames"))
    console.result(facts, told(options.out, facts))
    return 0


def told(out: str, facts: dict) -> str:
    """The facts in a few lines."""
    shape = " x ".join(map(str, facts["tokens"]))
    if "codes" in facts:
        cost = f"{shape} codes, {facts['codes_used']} of {facts['codes']} used, {facts['bits_of_a_pixel']:.3f} bits a pixel"
    else:
        cost = f"latents of {shape}, {facts['numbers_of_a_pixel']:.3f} numbers a pixel"
    left_out = facts["frames_left_out_at_the_end"]
    return (
        f"{out}: {facts['frames']} frames of {facts['height']} x {facts['width']} as {cost}\n"
        f"what comes back: PSNR {facts['psnr_db']:.2f} dB, SSIM {facts['ssim']:.3f}"
        + (f"; the last {left_out} frames make no whole latent and were left out" if left_out else "")
    )
