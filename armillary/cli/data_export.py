"""armillary data export: labelled episodes as COCO, BOP, WebDataset or OpenUSD."""

from argparse import Namespace
from dataclasses import asdict

from armillary.cli import options as shared
from armillary.cli.console import Console


def add(jobs) -> None:
    """Declare the job among those of `armillary data`."""
    epilog = (
        "coco: images and instances with exact masks. bop: 6D poses, depth, masks and models.\n"
        "webdataset: tar files of one sample a frame. usd: each episode as an animated OpenUSD stage."
    )
    job = shared.new_verb(jobs, "export", export_dataset, "write a simulated dataset with its labels for other tools", epilog=epilog)
    job.add_argument("dataset", metavar="DATASET", help="what `armillary simulate` wrote, or a copy that data convert or merge made")
    job.add_argument("--to", required=True, metavar="FORMAT", help="coco, bop, webdataset or usd")
    job.add_argument("--out", required=True, metavar="OUT", help="the folder to make")
    job.add_argument("--episodes", metavar="N,N", help="which ones, separated by commas (default: all)")
    job.add_argument("--camera", metavar="NAME", help="which one (default: all)")


def export_dataset(options: Namespace, console: Console) -> int:
    """data export."""
    from armillary.studies.export import export

    found = export(
        options.dataset,
        options.to,
        options.out,
        episodes=_numbers(options.episodes),
        camera=options.camera,
        dry_run=options.dry_run,
        progress=console.count("exporting episodes"),
    )
    seen = f" of {', '.join(found.cameras)}" if found.cameras else ""
    what = f"{len(found.episodes)} episodes, {found.frames} frames{seen}, as {found.format}"
    line = f"would export {what} to {found.path}; nothing was written" if options.dry_run else f"{found.path}: {what}"
    console.result(asdict(found) | {"path": str(found.path)}, "\n".join([line, *(f"  note: {note}" for note in found.notes)]))
    return 0


def _numbers(words: str | None) -> list[int] | None:
    from armillary.core import ConfigError

    if words is None:
        return None
    if not all(word.strip().isdecimal() for word in words.split(",")):
        raise ConfigError(f"--episodes must be whole numbers separated by commas, such as 0,1,5, received {words!r}")
    return [int(word) for word in words.split(",")]
