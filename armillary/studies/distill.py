"""A diffusion world that needs few sampling steps, learned from one that has many: an ordinary run, begun with its teacher's weights."""

from collections.abc import Sequence
from pathlib import Path

from armillary.core import ConfigError
from armillary.core.settings import override
from armillary.data.cache import cameras_beside
from armillary.studies.fit import FAMILIES, Watch, complete_settings, train_family
from armillary.train.loop import FitResult
from armillary.train.run import RunFolder

FAMILY = "diffusion"
# What a student's settings have beside its teacher's: it begins near its goal, and one frame a window costs least.
SETTINGS = {"train.steps": "400", "train.learning-rate-scale": "0.25", "model.frames-per-window": "1"}


def student_settings(teacher: Path | str, steps: int):
    """The settings of a student of the run `teacher` that takes so many sampling steps. Errors are those of `distill`."""
    recorded = RunFolder.open(teacher).config
    if recorded["family"] != FAMILY:
        raise ConfigError(f"{teacher} is a run of {recorded['family']}, which is not drawn in sampling steps; give a run of {FAMILY}")
    if steps < 1:
        raise ConfigError(f"--steps must be at least 1; received {steps}")
    config, _ = FAMILIES.settings(recorded)
    words = {"model.teacher": str(teacher), "model.sampling-steps": str(steps), "model.sampler": "euler"}
    most = max(config.model.teacher_steps, steps)
    cameras = "data.cameras" if len(cameras_beside(recorded["camera"])) > 1 else "data.camera"
    words |= {cameras: recorded["camera"], "data.stride": str(recorded["stride"]), "model.teacher-steps": str(most)}
    return complete_settings(FAMILY, override(config, words | SETTINGS))


def distill(
    teacher: Path | str, *, out: Path | str, config, data: Path | str | None = None, replay: Sequence[str], watch: Watch | None = None
) -> FitResult:
    """Train a student with these settings (see `student_settings`) into a new run folder.

    It learns on the teacher's own recordings, or on those at `data`, in the teacher's scales of actions. Raises ConfigError when the run
    is no diffusion world or the recordings are of another kind, CheckpointError when it is no run.
    """
    recorded = RunFolder.open(teacher).config
    return train_family(
        FAMILY,
        data=data or recorded["data_path"],
        out=out,
        config=config,
        replay=replay,
        watch=watch,
        init=teacher,
        shape=FAMILIES.settings(recorded)[1],
    )
