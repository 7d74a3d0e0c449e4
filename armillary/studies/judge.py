"""Judge a run on recordings that it has never learned from, and write what was found."""

import hashlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from armillary.core import ConfigError, DataError, Episode, Policy
from armillary.data import cache
from armillary.data.dataset import open_dataset
from armillary.data.splits import Split
from armillary.evaluate.diversity import DiversityResult, evaluate_diversity
from armillary.evaluate.drift import evaluate_drift
from armillary.evaluate.inverse_dynamics import InverseDynamicsResult, evaluate_inverse_dynamics, fit_probe
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.report import RunInfo, write_report
from armillary.evaluate.result import OpenLoopResult, Protocol
from armillary.evaluate.shift import SHIFTS, shift_episodes
from armillary.studies.runs import HeldOut, LoadedRun, held_out, load_run, run_folder
from armillary.train.environment import describe_environment, hardware
from armillary.train.run import RunFolder


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was found of one run on one dataset: as recorded, and where asked for in other looks, by inverse dynamics, in dreams of many
    times the training length, and of the spread of several samples."""

    loaded: LoadedRun
    held: HeldOut
    data: Path
    result: OpenLoopResult
    shifted: Mapping[str, OpenLoopResult]
    inverse_dynamics: InverseDynamicsResult | None
    drift: OpenLoopResult | None
    diversity: DiversityResult | None
    seed: int
    seconds: float

    def rows(self) -> list[dict]:
        """Every number in the one form; the metrics of another look carry its name."""
        rows = self.result.rows()
        for look, judged in self.shifted.items():
            rows += [{**row, "metric": f"{row['metric']} ({look})"} for row in judged.rows()]
        if self.drift is not None:
            rows += [{**row, "metric": f"drift_{row['metric']}"} for row in self.drift.rows()]
        return rows + [row for found in (self.inverse_dynamics, self.diversity) if found is not None for row in found.rows()]


def judge_run(
    run: Path | str,
    *,
    data: Path | str | None = None,
    protocol: Protocol | None = None,
    seed: int = 0,
    which: str = "best",
    looks: bool = False,
    looks_every_s: float | None = None,
    inverse_dynamics: bool = False,
    drift: int = 0,
    samples: int = 0,
    on_cache: Callable[[cache.Progress], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Judgement:
    """Load a run and judge it on every episode of `data` (default: its own dataset) whose content it has not seen.

    With `looks` also in every shifted look, there on windows that start every `looks_every_s` (default: as in the protocol). With
    `drift` also in dreams of so many times the length that it was trained on, with `samples` (2 or more) by how so many dreams differ.
    """
    on_stage, begin = on_stage or (lambda stage: None), time.perf_counter()
    loaded = load_run(run, which)
    if isinstance(loaded.world, Policy):
        raise ConfigError(f"{run} is a policy ({loaded.family}), which foretells nothing; `armillary plan {run} --env ENV` lets it act")
    data = Path(data or loaded.data_path)
    held = held_out(loaded, data, on_cache)
    protocol = protocol or Protocol()
    common = {"camera": loaded.camera, "seed": seed}

    def open_loop(episodes: Sequence[Episode], protocol: Protocol) -> OpenLoopResult:
        return evaluate_open_loop(loaded.world, episodes, mean_frame=held.mean_frame, protocol=protocol, **common)

    on_stage("open loop")
    result, shifted, read_back = open_loop(held.episodes, protocol), {}, None
    sparse = replace(protocol, starts_every_s=looks_every_s or protocol.starts_every_s)
    for look in SHIFTS if looks else ():
        on_stage(f"in the look {look}")
        shifted[look] = open_loop(shift_episodes(held.episodes, look, camera=loaded.camera), sparse)
    if inverse_dynamics:
        if not held.training:
            raise DataError(f"{data} holds none of the run's training episodes to fit the probe on; leave out --inverse-dynamics")
        on_stage("reading actions back from the dream")
        probe = fit_probe(held.training, camera=loaded.camera, seed=seed)
        read_back = evaluate_inverse_dynamics(loaded.world, probe, held.episodes, protocol=protocol, **common)
    drifted, diversity = None, None
    if drift:
        on_stage(f"dreaming for {drift} times the training length")
        drifted = evaluate_drift(loaded.world, held.episodes, trained_steps=_trained_steps(loaded), longer=drift, **common)
    if samples:
        on_stage(f"dreaming everything {samples} times")
        diversity = evaluate_diversity(loaded.world, held.episodes, protocol=protocol, num_samples=samples, **common)
    return Judgement(
        loaded=loaded,
        held=held,
        data=data,
        result=result,
        shifted=shifted,
        inverse_dynamics=read_back,
        drift=drifted,
        diversity=diversity,
        seed=seed,
        seconds=time.perf_counter() - begin,
    )


def _trained_steps(loaded: LoadedRun) -> int:
    """How many steps beyond its context a world dreamt in its last phase of training."""
    return max(loaded.world.phases()[-1].num_frames - loaded.world.spec.context_steps, 1)


def judged_episodes(run: Path | str, data: Path | str | None = None) -> tuple[int, str]:
    """(how many episodes a run may be judged on, the dataset), without decoding or writing anything."""
    folder = RunFolder.open(run_folder(run))
    data = str(data or folder.config["data_path"])
    split = Split.load(folder.path / "split.json")
    seen = {*split.train, *split.validation}
    return sum(record.content_hash not in seen for record in open_dataset(data, remember=False).episodes), data


def report(judgement: Judgement, folder: Path | str, *, replay: Sequence[str]) -> Path:
    """Write the report folder; the path of its page."""
    loaded, environment = judgement.loaded, describe_environment()
    digest = hashlib.sha256("".join(sorted(one.content_hash for one in judgement.held.episodes)).encode()).hexdigest()
    rows = RunFolder.open(loaded.path).metrics()
    trained = " ".join(loaded.recorded["replay"])
    info = RunInfo(
        model=loaded.family,
        dataset=judgement.data.resolve().name,
        camera=loaded.camera,
        command=shlex.join(replay),
        seed=loaded.config.train.seed,
        commit=str(environment["git_commit"] or "unknown") + (" with uncommitted changes" if environment["git_dirty"] else ""),
        data_hash=digest,
        hardware=hardware(),
        train_seconds=sum(row["seconds"] for row in rows) or None,
        evaluate_seconds=judgement.seconds,
        train_episodes=len(judgement.held.training),
        parameters=sum(parameter.numel() for parameter in loaded.world.parameters()),
        more={"trained by": trained, "training steps": str(loaded.config.train.steps)},
    )
    return write_report(folder, judgement.result, run_info=info, shifted=judgement.shifted, inverse_dynamics=judgement.inverse_dynamics)
