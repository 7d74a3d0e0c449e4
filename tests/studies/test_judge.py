"""Judging a run on other recordings than those it began with."""

import pytest

from armillary.core import DataError
from armillary.core.settings import override
from armillary.studies.fit import train_family
from armillary.studies.judge import judge_run, judged_episodes
from armillary.worlds.vmc.train import Config
from tests.cli.small_data import SMALL, write_small_dataset

TINY = override(Config(), {name[2:]: value for name, value in zip(SMALL[::2], SMALL[1::2], strict=True)} | {"train.steps": "2"})


def test_other_recordings_are_judged_whole_but_never_fit_the_probe(tmp_path):
    learned, other = write_small_dataset(tmp_path / "learned"), write_small_dataset(tmp_path / "other", seed=7)
    train_family("vmc", data=learned, out=tmp_path / "run", config=TINY, replay=["test"])
    episodes, _ = judged_episodes(tmp_path / "run", other)
    found = judge_run(tmp_path / "run", data=other)
    assert len(found.held.episodes) == episodes and not found.held.training
    with pytest.raises(DataError, match="none of the run's training episodes"):
        judge_run(tmp_path / "run", data=other, inverse_dynamics=True)
