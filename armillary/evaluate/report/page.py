"""One HTML page that holds everything: no script, no request to anywhere, pictures and film as data URIs, a strict policy."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from armillary.core import Estimate
from armillary.evaluate.inverse_dynamics import InverseDynamicsResult
from armillary.evaluate.report import tables
from armillary.evaluate.report.run_info import RunInfo
from armillary.evaluate.report.words import HEADLINE_S, nearest_reported, tone_of, verdict
from armillary.evaluate.result import OpenLoopResult
from armillary.evaluate.shift import SHIFTS

MARKS = {"good": ("✓", "good:"), "bad": ("✗", "bad:"), "open": ("≈", "open:")}
WRONG_ACTIONS = (
    "The wrong actions are those of another held-out episode at the same offset (its last ones where it is shorter), with the same "
    "context and the same noise. No episode ever gets its own."
)
PLOT_TEXTS = {
    "psnr": "PSNR by seconds ahead, higher is better",
    "gain": "PSNR over a copy of the last frame: above the line is better than a frozen picture",
    "ssim": "SSIM by seconds ahead, higher is better: it punishes blur that PSNR forgives",
    "error": "Mean absolute error by seconds ahead, lower is better",
}


@dataclass(frozen=True, kw_only=True)
class Media:
    """What the page shows: the film (mp4), its poster, a strip, stills of the shifted looks (JPEG), plots by name and theme (PNG)."""

    film: bytes
    poster: bytes
    strip: bytes
    plots: Mapping[str, Mapping[str, bytes]]
    looks: Mapping[str, bytes]


def make_page(
    result: OpenLoopResult,
    info: RunInfo,
    media: Media,
    shifted: Mapping[str, OpenLoopResult],
    inverse_dynamics: InverseDynamicsResult | None,
) -> str:
    """The whole page as text."""
    style = files("armillary.evaluate.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; media-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"{info.model} on {info.dataset}: how well does it foretell?"
    sections = [
        _verdict_section(result, shifted),
        _film_section(result, media),
        _plot_section(media),
        _number_section(result),
        _look_section(result, shifted, media) if shifted else "",
        _reading_section(inverse_dynamics) if inverse_dynamics is not None else "",
        _method_section(result),
        _provenance_section(result, info),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n<body>\n'
        '<a class="skip" href="#verdict">Skip to the verdict</a>\n'
        f"<header>\n{_header(result, info)}\n</header>\n<main>\n{''.join(sections)}</main>\n"
        "<footer><p>Written by Armillary. This page loads nothing from anywhere and runs no script.</p></footer>\n</body>\n</html>\n"
    )


def _header(result: OpenLoopResult, info: RunInfo) -> str:
    tasks = sorted({sample.task for sample in result.samples if sample.task})
    task = f" The recordings show: “{escape(tasks[0])}”" if len(tasks) == 1 else ""
    return (
        '<p class="kicker">Armillary · open-loop prediction</p>'
        f"<h1>{escape(info.model)} on {escape(info.dataset)}</h1>"
        f'<p class="lede">The model saw {_seconds(_context_s(result))} of each recording, then was told only the actions '
        f"and foretold the next {_seconds(result.horizons_s[-1])}. Judged on {len(result.episodes)} held-out "
        f"episode{'s' if len(result.episodes) > 1 else ''}, {sum(result.windows)} windows.{task}</p>"
    )


def _verdict_section(result: OpenLoopResult, shifted: Mapping[str, OpenLoopResult]) -> str:
    cards = []
    for horizon_s in [h for h in result.reported_s if h in {0.5, 1.0, 2.0}] or result.reported_s[-3:]:
        gain = result.gain("psnr", "model", "copy_last", horizon_s)
        cards.append(_card(gain, f"over copy-last at +{horizon_s:g} s"))
    if "shuffled_actions" in result.subjects:
        at = nearest_reported(result, HEADLINE_S)
        cards.append(_card(result.gain("psnr", "model", "shuffled_actions", at), f"over its own dream from wrong actions at +{at:g} s"))
    found = "".join(
        f'<li class="{finding.tone}"><span class="mark" role="img" aria-label="{MARKS[finding.tone][1]}">{MARKS[finding.tone][0]}</span>'
        f"<span>{escape(finding.text)}</span></li>"
        for finding in verdict(result, shifted)
    )
    return _section("verdict", "The verdict", f'<ul class="cards">{"".join(cards)}</ul><ul class="findings">{found}</ul>')


def _card(gain: Estimate, what: str) -> str:
    low, high = tables.number(gain.low, ".1f"), tables.number(gain.high, ".1f")
    return (
        f'<li><span class="number {tone_of(gain)}">{tables.number(gain.value, "+.1f")} <small>dB</small></span>'
        f'<span class="what">{escape(what)}<br>95 % interval {low} to {high}</span></li>'
    )


def _film_section(result: OpenLoopResult, media: Media) -> str:
    shown = ", ".join(str(sample.episode) for sample in result.samples[:3])
    alt = (
        "Rows are held-out episodes, columns are: what happened, what the model foretells, its error, and what it foretells "
        "when it is told another episode's actions."
    )
    film = (
        f'<figure><video controls autoplay loop muted playsinline preload="auto" aria-label="{escape(alt, quote=True)}" '
        f'poster="{_data("image/jpeg", media.poster)}" src="{_data("video/mp4", media.film)}"></video>'
        f"<figcaption>Held-out episodes {shown}, each at the moment when most happens, at the pace of reality. While the bar is gray "
        "the model sees the real pictures; while it is blue it sees nothing. The space key pauses the film.</figcaption></figure>"
    )
    strip = (
        f'<figure><img src="{_data("image/jpeg", media.strip)}" alt="One held-out window: the last frame seen and the frames at each '
        'reported second, real and by each subject, one below the other.">'
        f"<figcaption>The same in stills: episode {result.samples[0].episode}.</figcaption></figure>"
    )
    return _section("film", "Watch it", film + strip)


def _plot_section(media: Media) -> str:
    figures = "".join(
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{_data("image/png", themes["dark"])}">'
        f'<img src="{_data("image/png", themes["light"])}" width="972" height="756" alt="Plot: {escape(PLOT_TEXTS[name], quote=True)}. '
        'The numbers are in the tables below."></picture>'
        f"<figcaption>{escape(PLOT_TEXTS[name])}.</figcaption></figure>"
        for name, themes in media.plots.items()
    )
    intro = "<p>Bands are 95 % intervals, bootstrapped over episodes. Where two bands overlap, see the paired difference below.</p>"
    return _section("curves", "How long it holds", f'{intro}<div class="plots">{figures}</div>')


def _number_section(result: OpenLoopResult) -> str:
    parts = [
        tables.gain_table(result),
        "<h3>The values themselves</h3>",
        tables.metric_table(result, "psnr", "PSNR (dB), mean over frames, windows and episodes; higher is better", 2),
        "<h3>Structure</h3>",
        tables.metric_table(result, "ssim", "SSIM (Wang et al. 2004); higher is better, 1 is equal", 3),
    ]
    return _section("numbers", "The numbers", "".join(parts))


def _look_section(result: OpenLoopResult, shifted: Mapping[str, OpenLoopResult], media: Media) -> str:
    stills = "".join(
        f'<figure><img src="{_data("image/jpeg", still)}" alt="Last frame seen, what happened and what the model foretold.">'
        f"<figcaption><strong>{escape(name)}</strong>: {escape(SHIFTS[name].description if name in SHIFTS else '')}</figcaption></figure>"
        for name, still in media.looks.items()
    )
    intro = (
        "<p>The same held-out episodes, their looks changed in ways that training never shows. The actions mean what they meant; "
        "a model that only remembers one room fails here. Stills: last frame seen, what happened, what the model foretold.</p>"
    )
    numbers = (
        f"<h3>Over copy-last</h3>{tables.shift_table(result, shifted)}"
        f"<details><summary>The values themselves</summary>{tables.shift_values_table(result, shifted)}</details>"
    )
    return _section("looks", "In looks that it never saw", f'{intro}<div class="stills">{stills}</div>{numbers}')


def _reading_section(result: InverseDynamicsResult) -> str:
    captions = {
        "state": "R² of the robot's state, read from foretold pictures",
        "action": "R² of the action between two frames, read from foretold pictures",
    }
    intro = (
        "<p>A small probe learned from real pictures to read the robot's state and action. What it reads from real held-out pictures is "
        "the mark to reach; a frozen picture and wrong actions are the floors. 1 is perfect, 0 is as good as always saying the mean.</p>"
    )
    shown = [tables.inverse_dynamics_table(result, target, captions[target]) for target in result.errors]
    return _section("reading", "Is the robot where its actions put it?", intro + "".join(shown))


def _method_section(result: OpenLoopResult) -> str:
    protocol = result.protocol
    items = [
        f"Windows start every {protocol.starts_every_s:g} s of every held-out episode. In each the subject sees "
        f"{_seconds(_context_s(result))} of frames and the actions between them, then gets the recorded actions one by one "
        f"({result.seconds_per_step:g} s a step) and no more pictures.",
        "A number is averaged over the windows of an episode first, then over episodes. Intervals are 95 % percentile bootstraps over "
        "episodes (10,000 resamples); differences are taken within episodes.",
        *([WRONG_ACTIONS] if len(result.episodes) > 1 and "shuffled_actions" in result.subjects else []),
        "Copy-last repeats the last frame seen; constant velocity carries the optical flow of the last two frames on; the mean frame is "
        "the training set's. The direct U-Net, where shown, draws each future frame straight from the last one and the actions.",
        *result.notes,
    ]
    return _section("method", "How it was judged", f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>")


def _provenance_section(result: OpenLoopResult, info: RunInfo) -> str:
    facts = {
        "model": info.model + (f", {info.parameters:,} parameters" if info.parameters else ""),
        "dataset": info.dataset,
        "camera": info.camera,
        "episodes": f"{info.train_episodes} for training, {len(result.episodes)} held out",
        "data hash": info.data_hash,
        "seed": str(info.seed),
        "commit": info.commit,
        "hardware": info.hardware,
        "training took": _duration(info.train_seconds),
        "judging took": _duration(info.evaluate_seconds),
        **info.more,
    }
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    again = f'<p>To get these numbers again:</p><pre tabindex="0"><code>{escape(info.command)}</code></pre>'
    files_beside = '<p class="note">Beside this page: table.csv, table.json, the plots, film.mp4 and poster.png.</p>'
    return _section("again", "Run it again", f"{again}<dl>{listed}</dl>{files_beside}")


def _section(name: str, title: str, inner: str) -> str:
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{inner}</section>\n'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _context_s(result: OpenLoopResult) -> float:
    return len(result.samples[0].context) * result.seconds_per_step


def _seconds(duration_s: float) -> str:
    rounded = round(duration_s, 1)
    return f"{rounded:g} second" + ("" if rounded == 1 else "s")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} minutes"
