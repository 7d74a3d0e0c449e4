"""armillary evaluate RUN: open-loop prediction on recordings that the run has never learned from, beside the baselines."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

_EPILOG = """The table: PSNR (dB) and SSIM of what each subject foretells, at every reported horizon, mean over held-out episodes.
--json prints rows {"metric", "horizon_s", "subject", "value", "low", "high", "n"}; low and high are the 95 % interval.
The protocol can be changed: --protocol.context-s 0.5 --protocol.horizon-s 2 --protocol.report-s 0.5,1,2"""


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(
        verbs, "evaluate", run, "judge a run on held-out recordings, beside the baselines", takes_settings=True, epilog=_EPILOG
    )
    parser.add_argument("run_folder", metavar="RUN", help="the folder that train --out made")
    parser.add_argument("--data", metavar="PATH", help="the dataset to judge on (default: the one it was trained on)")
    parser.add_argument("--report", metavar="DIR", help="write the report: table, plots, video, one page")
    parser.add_argument("--looks", action="store_true", help="judge in shifted looks too (brightness, hue, background, camera)")
    parser.add_argument("--inverse-dynamics", action="store_true", help="read actions and states back from the dream")
    parser.add_argument("--drift", type=int, default=0, metavar="TIMES", help="also dream for so many times the training length")
    parser.add_argument("--samples", type=int, default=0, metavar="N", help="also dream all N times: do dreams differ as they err?")
    parser.add_argument("--weights", choices=("best", "latest"), default="best", help="which checkpoint (default: best)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws the noise, the wrong actions and the bootstrap")


def run(options: Namespace, console: Console) -> int:
    """Judge; print rows or a table; write the report if asked."""
    from armillary.core.settings import override
    from armillary.evaluate.result import Protocol
    from armillary.studies.judge import Judgement, judge_run, judged_episodes
    from armillary.studies.judge import report as write_report

    names = {name.removeprefix("protocol."): value for name, value in options.settings.items()}
    protocol = override(Protocol(), names)
    counted = console.count("decoding recordings")

    def on_cache(progress):
        counted(progress.done, progress.total)

    if options.dry_run:
        count, path = judged_episodes(options.run_folder, options.data)
        where = f" and write a report to {options.report}" if options.report else ""
        console.result({"episodes": count, "data": path, "report": options.report}, f"would judge {count} episodes of {path}{where}")
        return 0
    judgement: Judgement = judge_run(
        options.run_folder,
        data=options.data,
        protocol=protocol,
        seed=options.seed,
        which=options.weights,
        looks=options.looks,
        inverse_dynamics=options.inverse_dynamics,
        drift=options.drift,
        samples=options.samples,
        on_cache=on_cache,
        on_stage=lambda stage: console.progress(f"judging  {stage}"),
    )
    text = table(judgement.rows())
    if options.report:
        text += f"\nreport: {write_report(judgement, options.report, replay=options.replay)}"
    console.result(judgement.rows(), text)
    return 0


def table(rows: list[dict]) -> str:
    """The rows as a table: a line per metric and subject, a column per horizon."""
    horizons = sorted({row["horizon_s"] for row in rows})
    cells = {(row["metric"], row["subject"], row["horizon_s"]): row for row in rows}
    keys = list(dict.fromkeys((row["metric"], row["subject"]) for row in rows))
    width = [max(len(key[i]) for key in keys) + 2 for i in (0, 1)]
    head = f"{'metric':<{width[0]}}{'subject':<{width[1]}}" + "".join(f"{f'+{horizon:g} s':>26}" for horizon in horizons)
    lines = [head]
    for metric, subject in keys:
        shown = [cells.get((metric, subject, horizon)) for horizon in horizons]
        texts = ["" if row is None else f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" for row in shown]
        lines.append(f"{metric:<{width[0]}}{subject:<{width[1]}}" + "".join(f"{text:>26}" for text in texts))
    lines.append(f"means over {rows[0]['n']} held-out episodes, 95 % bootstrap intervals" if rows else "no rows")
    return "\n".join(lines)
