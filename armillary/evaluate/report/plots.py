"""Curves by horizon, as PNG bytes, for a light and for a dark page."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from armillary.core import Estimate
from armillary.evaluate.report.words import name_of
from armillary.evaluate.result import OpenLoopResult


@dataclass(frozen=True)
class Theme:
    """Colours of a page that figures must fit."""

    background: str
    text: str
    grid: str
    subjects: dict[str, str]


LIGHT = Theme(
    background="#ffffff",
    text="#1c2430",
    grid="#dfe4ea",
    subjects={
        "model": "#0b62c4",
        "shuffled_actions": "#c2410c",
        "direct_unet": "#0f8a5f",
        "copy_last": "#8a6a00",
        "constant_velocity": "#9333a8",
        "mean_frame": "#6b7280",
    },
)
DARK = Theme(
    background="#161c26",
    text="#e7ecf3",
    grid="#2c3645",
    subjects={
        "model": "#6cb2ff",
        "shuffled_actions": "#ff8a5c",
        "direct_unet": "#4fd1a1",
        "copy_last": "#e3c04b",
        "constant_velocity": "#d58be6",
        "mean_frame": "#9aa5b4",
    },
)
THEMES = {"light": LIGHT, "dark": DARK}
STYLES = {
    "model": "-",
    "shuffled_actions": "--",
    "direct_unet": "-.",
    "copy_last": (0, (5, 1)),
    "constant_velocity": ":",
    "mean_frame": "-",
}
SPARE_COLOURS = ("#b91c5c", "#3f7d20", "#5b5bd6", "#a16207")


def plot_metric(result: OpenLoopResult, metric: str, label: str, theme: Theme) -> bytes:
    """A metric of every subject by seconds ahead, with 95 % bands."""
    return _figure(result, label, theme, {name: result.curve(metric, name) for name in result.subjects})


def plot_gain(result: OpenLoopResult, theme: Theme) -> bytes:
    """How much better than a copy of the last frame every other subject is, by seconds ahead, paired, with 95 % bands."""
    others = [name for name in result.subjects if name != "copy_last"]
    gains = {name: [result.gain("psnr", name, "copy_last", horizon_s) for horizon_s in result.horizons_s] for name in others}

    def zero(axes) -> None:
        axes.axhline(0.0, color=theme.text, linewidth=1.0)

    return _figure(result, "PSNR over copy-last (dB)", theme, gains, zero)


def _figure(
    result: OpenLoopResult, label: str, theme: Theme, curves: dict[str, Sequence[Estimate]], decorate: Callable | None = None
) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 4.2), dpi=180, facecolor=theme.background, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=theme.background)
    if decorate is not None:
        decorate(axes)
    spare = iter(SPARE_COLOURS * len(curves))
    for name, curve in reversed(curves.items()):
        colour = theme.subjects.get(name) or next(spare)
        axes.fill_between(result.horizons_s, [e.low for e in curve], [e.high for e in curve], color=colour, alpha=0.16, linewidth=0)
        width = 2.8 if name == "model" else 1.6
        values = [e.value for e in curve]
        axes.plot(result.horizons_s, values, color=colour, linestyle=STYLES.get(name, "-"), linewidth=width, label=name_of(name))
    axes.set_xlabel("seconds ahead", color=theme.text)
    axes.set_ylabel(label, color=theme.text)
    axes.set_xlim(0, result.horizons_s[-1])
    axes.tick_params(colors=theme.text, length=0)
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    looks = {"frameon": False, "labelcolor": theme.text, "fontsize": 9.5, "handlelength": 2.6, "columnspacing": 1.4}
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=2, **looks)
    written = io.BytesIO()
    figure.savefig(written, format="png", facecolor=theme.background, metadata={"Software": None})
    return written.getvalue()
