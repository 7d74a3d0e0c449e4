"""The main job: recordings, a world model of them, its judgement beside the baselines, and a page that shows it all."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from armillary.core import ConfigError
from armillary.core.settings import to_plain
from armillary.core.storage import folder_written_whole, read_json, sweep_temporary, write_json
from armillary.data.record import write_dataset
from armillary.data.splits import measure, split_episodes
from armillary.evaluate.report.words import verdict
from armillary.studies.fit import Watch, resume, train_family
from armillary.studies.judge import judge_run, report
from armillary.studies.plans import describe_run, measured_steps
from armillary.studies.source import open_source, strided_from_every_frame
from armillary.worlds.small.record import DEMO_WORLD, record_episodes

FAMILY = "vmc"
MINUTES, MINUTES_WITH_DATA = 5.5, 12.0
FEWEST_STEPS, MOST_STEPS = 60, 6000
# Of the whole time: training gets what is left when this share is put aside for judging (in other looks too, with data) and the page.
JUDGING_SHARE, JUDGING_SHARE_WITH_DATA = 0.12, 0.2
LOOKS_EVERY_S = 2.0
# Large things in strong colours: what moves is many pixels, so that a few minutes are enough to learn how.
RECORDED_STEPS, THEME, LAYOUT = 60, "midnight", {"block_size_m": 0.3}
PRESET, PRESET_WITH_DATA = "small-world", "default"
PLAN = "demo.json"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """One demo: its settings, and how long it may take. `data` None: record a small world."""

    config: object
    data: Path | None
    out: Path
    minutes: float
    episodes: int
    fixed_steps: bool

    @staticmethod
    def of(config, *, data: str | None, out: str | None, minutes: float | None, episodes: int, fixed_steps: bool) -> "Demo":
        """A demo with defaults filled in."""
        minutes = minutes if minutes is not None else (MINUTES_WITH_DATA if data else MINUTES)
        if not minutes > 0:
            raise ConfigError(f"--minutes must be > 0, received {minutes}")
        if episodes < 5:
            raise ConfigError(f"--episodes must be >= 5, so that some are held out; received {episodes}")
        folder = Path(out) if out else Path("runs") / (f"demo-{Path(data).resolve().name}" if data else "demo")
        return Demo(
            config=config, data=Path(data) if data else None, out=folder, minutes=minutes, episodes=episodes, fixed_steps=fixed_steps
        )

    def to_json(self) -> dict:
        """Plain values. A number of steps that time decides is no setting."""
        return {
            "data": str(self.data.resolve()) if self.data else None,
            "out": str(self.out),
            "minutes": self.minutes,
            "episodes": self.episodes,
            "fixed_steps": self.fixed_steps,
            "config": to_plain(self.config),
        }


@dataclass(frozen=True, kw_only=True)
class Done:
    """Where the page is and what it says."""

    page: Path
    run: Path
    rows: list[dict]
    verdict: str
    seconds: float


def run_demo(demo: Demo, *, replay: Sequence[str], on_stage: Callable[[str], None], on_progress: Callable[[str], None]) -> Done:
    """Do the whole job in `demo.out`. Killed and called again with the same settings, it goes on where it was."""
    begin = time.perf_counter()
    _agree(demo)
    data = demo.data or _recorded(demo, on_stage)
    run = demo.out / "run"
    watch = Watch(
        on_cache=lambda progress: on_progress(f"decoding recordings  {progress.done}/{progress.total}"),
        on_train=lambda progress: on_progress(progress.line()),
    )
    if (run / "config.json").exists():
        state = describe_run(run)
        on_stage(f"3 of 5  train: going on from step {state['step']} of {state['steps']}")
        resume(run, data=data, watch=watch)
    else:
        config = _with_steps(demo, data, watch, begin, on_stage)
        on_stage(f"3 of 5  train: {config.train.steps} steps")
        train_family(FAMILY, data=data, out=run, config=config, replay=replay, watch=watch)
    on_stage("4 of 5  judge: dreams of held-out recordings beside what happened, and beside the baselines")
    judgement = judge_run(
        run, data=data, looks=demo.data is not None, looks_every_s=LOOKS_EVERY_S, on_stage=lambda stage: on_progress(f"judging  {stage}")
    )
    on_stage("5 of 5  report")
    page = report(judgement, demo.out / "report", replay=replay)
    said = " ".join(finding.text for finding in verdict(judgement.result, judgement.shifted))
    return Done(page=page, run=run, rows=judgement.rows(), verdict=said, seconds=time.perf_counter() - begin)


def _agree(demo: Demo) -> None:
    """Write down what this demo is, or refuse a folder that holds another one."""
    path, wanted = demo.out / PLAN, demo.to_json()
    if path.exists():
        kept = read_json(path)
        differing = [name for name in wanted if name != "out" and kept.get(name) != wanted[name]]
        if differing:
            what = ", ".join(differing)
            raise ConfigError(f"{demo.out} holds a demo with other settings ({what} differ); choose another --out or remove it")
        sweep_temporary(demo.out)
    elif demo.out.exists() and any(demo.out.iterdir()):
        raise ConfigError(f"{demo.out} is not empty and holds no demo; choose another --out")
    else:
        write_json(path, wanted)


def _recorded(demo: Demo, on_stage: Callable[[str], None]) -> Path:
    """The small world's recordings as a LeRobot v3 dataset, made now or by an earlier call."""
    folder = demo.out / "recordings"
    if not folder.exists():
        on_stage(f"1 of 5  data: recording {demo.episodes} episodes of the small world {DEMO_WORLD}")
        episodes = record_episodes(DEMO_WORLD, num_episodes=demo.episodes, num_steps=RECORDED_STEPS, seed=0, theme=THEME, layout=LAYOUT)
        with folder_written_whole(folder) as temporary:
            write_dataset(temporary / DEMO_WORLD, episodes, robot_type=f"armillary-{DEMO_WORLD}")
    return folder / DEMO_WORLD


def _with_steps(demo: Demo, data: Path, watch: Watch, begin: float, on_stage: Callable[[str], None]):
    """The settings, with as many training steps as the time that is left allows on this machine."""
    on_stage(f"2 of 5  look: checking and decoding {data}")
    config = demo.config
    source = open_source(data, config.data, watch.on_cache)
    for one in source.quarantined:
        on_stage(f"        not used: {one}")
    if demo.fixed_steps:
        return config
    training = split_episodes(source.episodes, config.data).choose("train", source.episodes)
    shape = measure(strided_from_every_frame(training, source.stride), config.data)
    judging_share = JUDGING_SHARE_WITH_DATA if demo.data else JUDGING_SHARE
    left = demo.minutes * 60 * (1 - judging_share) - (time.perf_counter() - begin)
    steps = measured_steps(FAMILY, config, shape, left)
    steps = min(max(steps, FEWEST_STEPS), MOST_STEPS)
    on_stage(f"        {len(training)} episodes to learn from; {steps} steps fit into {demo.minutes:g} minutes on this machine")
    return replace(config, train=replace(config.train, steps=steps))
