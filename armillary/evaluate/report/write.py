"""Writing the report folder."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from armillary.core.storage import write_atomically, write_json, write_text
from armillary.data.video import encode_video
from armillary.evaluate.inverse_dynamics import InverseDynamicsResult
from armillary.evaluate.report.film import make_film, make_still, make_strip
from armillary.evaluate.report.page import Media, make_page
from armillary.evaluate.report.plots import THEMES, plot_gain, plot_metric
from armillary.evaluate.report.run_info import RunInfo
from armillary.evaluate.report.words import HEADLINE_S, nearest_reported
from armillary.evaluate.result import OpenLoopResult

COLUMNS = ("look", "metric", "horizon_s", "subject", "value", "low", "high", "n")


def write_report(
    folder: Path | str,
    result: OpenLoopResult,
    *,
    run_info: RunInfo,
    shifted: Mapping[str, OpenLoopResult] | None = None,
    inverse_dynamics: InverseDynamicsResult | None = None,
) -> Path:
    """Write index.html, table.csv, table.json, plots, film.mp4, poster.png and strip.png into `folder`; the path of the page.

    Every file is written whole or not at all; files already there under other names are left alone. Raises ValueError for a
    result without samples.
    """
    if not result.samples:
        raise ValueError("a report shows held-out windows, but this result has no samples; evaluate with num_samples >= 1")
    folder, shifted = Path(folder), shifted or {}
    folder.mkdir(parents=True, exist_ok=True)
    film = make_film(result.samples, result.seconds_per_step, poster_s=HEADLINE_S)
    encode_video(folder / "film.mp4", film.frames, film.fps, gop=12, crf=20)
    at = nearest_reported(result, HEADLINE_S)
    step = round(at / result.seconds_per_step)
    poster, strip = film.frames[film.poster], make_strip(result.samples[0], result.seconds_per_step, result.reported_s)
    looks = {name: make_still(judged.samples[0], step) for name, judged in shifted.items() if judged.samples}
    media = Media(
        film=(folder / "film.mp4").read_bytes(),
        poster=_image(poster, "jpeg"),
        strip=_image(strip, "jpeg"),
        plots=_plots(result),
        looks={name: _image(still, "jpeg") for name, still in looks.items()},
    )
    pictures = {"poster.png": _image(poster, "png"), "strip.png": _image(strip, "png")}
    pictures |= {f"{name}.png": themes["light"] for name, themes in media.plots.items()}
    pictures |= {f"look-{name}.png": _image(still, "png") for name, still in looks.items()}
    for name, content in pictures.items():
        write_atomically(folder / name, lambda temporary, content=content: temporary.write_bytes(content))
    rows = [{"look": "as recorded", **row} for row in result.rows()]
    rows += [{"look": look, **row} for look, judged in shifted.items() for row in judged.rows()]
    rows += [{"look": "as recorded", **row} for row in (inverse_dynamics.rows() if inverse_dynamics is not None else [])]
    write_json(folder / "table.json", {"run": asdict(run_info), "protocol": asdict(result.protocol), "rows": rows})
    write_text(folder / "table.csv", _csv(rows))
    write_text(folder / "index.html", make_page(result, run_info, media, shifted, inverse_dynamics))
    return folder / "index.html"


def _plots(result: OpenLoopResult) -> dict[str, dict[str, bytes]]:
    draw = {
        "psnr": lambda theme: plot_metric(result, "psnr", "PSNR (dB)", theme),
        "gain": lambda theme: plot_gain(result, theme),
        "ssim": lambda theme: plot_metric(result, "ssim", "SSIM", theme),
        "error": lambda theme: plot_metric(result, "mean_absolute_error", "mean absolute error (0 to 1)", theme),
    }
    return {name: {kind: make(theme) for kind, theme in THEMES.items()} for name, make in draw.items()}


def _csv(rows: list[dict]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _image(picture: UInt8[np.ndarray, "h w 3"], kind: str) -> bytes:
    from PIL import Image

    options = {"quality": 90, "subsampling": 0} if kind == "jpeg" else {}
    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(written, format=kind, **options)
    return written.getvalue()
