"""The page's tables, as HTML: a row per subject, a column per horizon, every number with its interval."""

from collections.abc import Mapping, Sequence
from html import escape

from armillary.core import Estimate
from armillary.evaluate.inverse_dynamics import InverseDynamicsResult
from armillary.evaluate.report.words import name_of, tone_of
from armillary.evaluate.result import OpenLoopResult


def metric_table(result: OpenLoopResult, metric: str, caption: str, decimals: int) -> str:
    """Every subject's value."""
    rows = [(subject, [result.estimate(metric, subject, horizon_s) for horizon_s in result.reported_s]) for subject in result.subjects]
    return table(caption, "who foretells", result.reported_s, rows, f".{decimals}f", decimals)


def gain_table(result: OpenLoopResult) -> str:
    """Every subject's paired gain over copy-last, green or red where it is clear of zero."""
    others = [subject for subject in result.subjects if subject != "copy_last"]
    rows = [(subject, [result.gain("psnr", subject, "copy_last", horizon_s) for horizon_s in result.reported_s]) for subject in others]
    caption = "PSNR over a copy of the last frame (dB), paired within episodes"
    return table(caption, "who foretells", result.reported_s, rows, "+.2f", 2, toned=True)


def shift_table(result: OpenLoopResult, shifted: Mapping[str, OpenLoopResult]) -> str:
    """The model's PSNR and its gain over copy-last in every look."""
    rows, looks = [], {"as recorded": result, **shifted}
    for look, judged in looks.items():
        rows.append((look, [judged.gain("psnr", "model", "copy_last", horizon_s) for horizon_s in result.reported_s]))
    caption = "the model's PSNR over a copy of the last frame (dB) in each look"
    return table(caption, "look", result.reported_s, rows, "+.2f", 2, toned=True)


def shift_values_table(result: OpenLoopResult, shifted: Mapping[str, OpenLoopResult]) -> str:
    """PSNR itself, of the model and of copy-last, in every look."""
    rows = []
    for look, judged in {"as recorded": result, **shifted}.items():
        for subject, name in (("model", "the model"), ("copy_last", "copy-last")):
            rows.append((f"{look}: {name}", [judged.estimate("psnr", subject, horizon_s) for horizon_s in result.reported_s]))
    return table("PSNR (dB) in each look", "look", result.reported_s, rows, ".2f", 2)


def inverse_dynamics_table(result: InverseDynamicsResult, target: str, caption: str) -> str:
    """R2 of what the probe reads, by whose pictures it reads."""
    rows = [(name, [result.r2(target, name, horizon_s) for horizon_s in result.reported_s]) for name in result.errors[target]]
    return table(caption, "pictures by", result.reported_s, rows, ".2f", 2)


def table(
    caption: str,
    corner: str,
    horizons_s: Sequence[float],
    rows: Sequence[tuple[str, Sequence[Estimate]]],
    form: str,
    decimals: int,
    *,
    toned: bool = False,
) -> str:
    """One table in a frame that scrolls sideways by keyboard, too."""
    head = "".join(f'<th scope="col">+{horizon_s:g} s</th>' for horizon_s in horizons_s)
    body = []
    for subject, estimates in rows:
        cells = []
        for found in estimates:
            tone = f' class="{tone_of(found)}"' if toned else ""
            interval = f"{number(found.low, f'.{decimals}f')} to {number(found.high, f'.{decimals}f')}"
            cells.append(f'<td{tone}>{number(found.value, form)}<span class="interval">{interval}</span></td>')
        ours = ' class="ours"' if subject in ("model", "as recorded") else ""
        body.append(f'<tr{ours}><th scope="row">{escape(name_of(subject))}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption, quote=True)}"><table>'
        f"<caption>{escape(caption)}</caption>"
        f'<thead><tr><th scope="col">{escape(corner)}</th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def number(value: float, form: str) -> str:
    """A number with a true minus sign."""
    return format(value, form).replace("-", "\u2212")
