"""The doctor: a corrected copy of a dataset that does not hold what it says, and the end of an interrupted recording."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from armillary.core.errors import DataError, VideoError
from armillary.data.dataset import Dataset
from armillary.data.inspect_episode import inspect_episodes
from armillary.data.listing_v3 import RECORDING
from armillary.data.metadata import read_metadata
from armillary.data.record import finish_recording
from armillary.data.report import Quarantined, Report
from armillary.data.rewrite import Rewritten, rewrite
from armillary.data.validate import report_on, validate
from armillary.data.video import decode_video


def examine(path: Path | str, *, deep: bool = False, progress: Callable[[int, int], None] | None = None) -> Report:
    """Validate from scratch. `deep` also decodes every video strictly and quarantines the episodes that fail."""
    if not deep:
        return validate(path, remember=False, progress=progress)
    metadata = read_metadata(Path(path))
    report = report_on(metadata, inspect_episodes(metadata))
    return _decoded(Dataset(metadata, report), report, progress)


def repair(
    source: Path | str, destination: Path | str | None = None, *, deep: bool = False, progress: Callable[[int, int], None] | None = None
) -> Rewritten | None:
    """Write a correct v3.0 copy: true metadata, fresh bookkeeping, only usable episodes. The source is never touched.

    Killed and run again, it gives the same copy; run once more, it finds the copy and does nothing. Without
    `destination` a recording that was not closed is finished in place, anything else gets a copy beside it
    (`NAME-repaired`). None when nothing is left to repair. Raises DataError when not one episode is usable.
    """
    source = Path(source)
    if destination is None and (source / RECORDING).is_file():
        finish_recording(source)
        return None
    metadata = read_metadata(source)
    report = report_on(metadata, inspect_episodes(metadata))
    if deep:
        report = _decoded(Dataset(metadata, report), report, progress)
    if destination is None and report.ok:
        return None
    if not report.episodes:
        raise DataError(f"no episode can be saved. {report}")
    copy = Path(destination) if destination is not None else source.resolve().with_name(f"{source.resolve().name}-repaired")
    return rewrite(copy, [Dataset(metadata, report)], job="repair", progress=progress)


def _decoded(dataset: Dataset, report: Report, progress: Callable[[int, int], None] | None) -> Report:
    """The report after every video was decoded."""
    good, bad = [], list(report.quarantined)
    for number, record in enumerate(report.episodes):
        fault = _decoding_fault(dataset, record.index)
        if fault is None:
            good.append(record)
        else:
            bad.append(fault)
        if progress:
            progress(number + 1, len(report.episodes))
    return replace(report, episodes=tuple(good), quarantined=tuple(sorted(bad, key=lambda one: one.index)))


def _decoding_fault(dataset: Dataset, index: int) -> Quarantined | None:
    listed = dataset.listed(index)
    for camera, place in listed.videos.items():
        if not (dataset.path / place.file).is_file():
            continue
        try:
            clip = dataset.clip(index, camera)
            decode_video(clip.path, span_s=clip.span_s, expected_frames=listed.length, size=(8, 8))
        except VideoError as error:
            fix = "restore the file from its source, or let `armillary data doctor --deep --repair` leave this episode out"
            return Quarantined(index=index, reason=f"video of {camera} does not decode: {error}", file=place.file, fix=fix)
    return None
