"""Names and colours of the subjects, and the verdict in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass

from armillary.core import Estimate
from armillary.evaluate.result import OpenLoopResult

HEADLINE_S = 1.0
SMALLEST_DB = 0.05
SMALLEST_SSIM = 0.0005
CLEAR_DB = 0.5
FEW_EPISODES = 5
FAIR_BASELINES = ("copy_last", "mean_frame", "constant_velocity", "direct_unet")

NAMES = {
    "model": "the model",
    "shuffled_actions": "the model, another episode's actions",
    "direct_unet": "direct U-Net",
    "copy_last": "copy of the last frame",
    "constant_velocity": "constant velocity",
    "mean_frame": "mean frame",
    "real": "the real pictures",
}
SHORT_NAMES = {
    "copy_last": "copy-last",
    "mean_frame": "the mean frame",
    "constant_velocity": "constant velocity",
    "direct_unet": "the direct U-Net",
}


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict and whether it speaks for the model: `good`, `bad` or `open`."""

    tone: str
    text: str


def name_of(subject: str) -> str:
    """How a subject is called on the page."""
    return NAMES.get(subject, subject.replace("_", " "))


def tone_of(gain: Estimate, smallest: float = SMALLEST_DB) -> str:
    """Whether a gain is clear of zero and worth naming, and on which side."""
    if abs(gain.value) < smallest:
        return "open"
    if gain.low > 0:
        return "good"
    return "bad" if gain.high < 0 else "open"


def verdict(result: OpenLoopResult, shifted: Mapping[str, OpenLoopResult] | None = None) -> list[Finding]:
    """What the numbers say, most important first; each sentence holds an interval or a comparison that can be looked up."""
    at = nearest_reported(result, HEADLINE_S)
    findings = [_against_copy_last(result, at)]
    if "shuffled_actions" in result.subjects:
        findings.append(_listens(result, at))
    findings += _against_others(result, at)
    findings += _structure(result, at)
    if shifted:
        findings.append(_in_other_looks(shifted))
    if (count := len(result.episodes)) < FEW_EPISODES:
        rough = "there is no interval" if count == 1 else "the intervals are rough"
        findings.append(Finding("open", f"Only {count} held-out episode{'s' if count > 1 else ''}: {rough}."))
    return findings


def nearest_reported(result: OpenLoopResult, wanted_s: float) -> float:
    """The reported horizon nearest to a time."""
    return min(result.reported_s, key=lambda horizon_s: abs(horizon_s - wanted_s))


def _against_copy_last(result: OpenLoopResult, at: float) -> Finding:
    gain = result.gain("psnr", "model", "copy_last", at)
    interval = f"(95 % interval {gain.low:.1f} to {gain.high:.1f})"
    if tone_of(gain) == "good":
        return Finding("good", f"It beats copy-last by {gain.value:.1f} dB at +{at:g} s {interval}.")
    if tone_of(gain) == "bad":
        return Finding(
            "bad", f"It loses to copy-last by {-gain.value:.1f} dB at +{at:g} s {interval}: a frozen picture is the better guess."
        )
    return Finding("open", f"At +{at:g} s it cannot be told from copy-last: {gain.value:+.1f} dB {interval}.")


def _listens(result: OpenLoopResult, at: float) -> Finding:
    gain = result.gain("psnr", "model", "shuffled_actions", at)
    told = f"With another episode's actions it changes by {-gain.value:+.1f} dB"
    if tone_of(gain) == "good":
        return Finding("good", f"With another episode's actions it loses {gain.value:.1f} dB: it listens to its actions.")
    if gain.value >= CLEAR_DB:
        return Finding("open", f"{told}: it seems to listen to its actions, but the interval holds zero.")
    return Finding("bad", f"{told}: it does not listen to its actions, whatever its pictures look like.")


def _against_others(result: OpenLoopResult, at: float) -> list[Finding]:
    others = [subject for subject in result.subjects if subject in FAIR_BASELINES and subject != "copy_last"]
    findings = []
    for subject in others:
        gain, name = result.gain("psnr", "model", subject, at), SHORT_NAMES[subject]
        if abs(gain.value) < SMALLEST_DB:
            findings.append(Finding("open", f"At +{at:g} s it is just as good as {name}."))
        elif tone_of(gain) == "bad":
            findings.append(Finding("bad", f"It is {-gain.value:.1f} dB worse than {name} at +{at:g} s."))
        elif tone_of(gain) == "open":
            findings.append(Finding("open", f"At +{at:g} s it cannot be told from {name} ({gain.value:+.1f} dB)."))
    gains = {subject: result.gain("psnr", "model", subject, at) for subject in others}
    beaten = [subject for subject, gain in gains.items() if tone_of(gain) == "good"]
    if beaten:
        told = [f"{SHORT_NAMES[subject]} by {gains[subject].value:.1f} dB" for subject in beaten]
        findings.append(Finding("good", f"At +{at:g} s it also beats {_listed(told)}."))
    return findings


def _structure(result: OpenLoopResult, at: float) -> list[Finding]:
    """PSNR forgives blur; a sentence only where SSIM does not agree with it."""
    pixels, structure = result.gain("psnr", "model", "copy_last", at), result.gain("ssim", "model", "copy_last", at)
    if tone_of(pixels) != "good" or tone_of(structure, SMALLEST_SSIM) == "good":
        return []
    return [Finding("open", f"SSIM does not confirm this ({structure.value:+.3f} over copy-last at +{at:g} s): its pictures are blurred.")]


def _in_other_looks(shifted: Mapping[str, OpenLoopResult]) -> Finding:
    tones = {}
    for shift, result in shifted.items():
        tones[shift] = tone_of(result.gain("psnr", "model", "copy_last", nearest_reported(result, HEADLINE_S)))
    above = [shift for shift, tone in tones.items() if tone == "good"]
    below = [shift for shift, tone in tones.items() if tone != "good"]
    if not below:
        return Finding("good", f"In every look that it never saw ({', '.join(above)}) it stays above copy-last.")
    held = f"; it stays above in {', '.join(above)}" if above else ""
    return Finding("bad", f"In another look it does not beat copy-last: {', '.join(below)}{held}.")


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
