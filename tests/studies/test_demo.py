"""The demo: whole on few steps, resumed after a kill at any stage, and its time turned into steps."""

from dataclasses import replace

import pytest

from armillary.core import ConfigError
from armillary.core.settings import override
from armillary.core.storage import TEMPORARY_PREFIX, read_json
from armillary.studies import demo as module
from armillary.studies.demo import Demo, run_demo
from armillary.studies.plans import describe_run
from armillary.worlds.vmc.train import Config
from tests.cli.small_data import SMALL, write_small_dataset

TINY = override(Config(), {name[2:]: value for name, value in zip(SMALL[::2], SMALL[1::2], strict=True)})


def small_demo(out, *, steps: int = 2, data=None, minutes=1.0) -> Demo:
    config = replace(TINY, train=replace(TINY.train, steps=steps or 100))
    return Demo.of(config, data=data, out=str(out), minutes=minutes, episodes=5, fixed_steps=bool(steps))


def run(demo: Demo) -> tuple[module.Done, list[str]]:
    stages: list[str] = []
    done = run_demo(demo, replay=["armillary", "demo"], on_stage=stages.append, on_progress=lambda text: None)
    return done, stages


def test_from_nothing_to_a_page_and_once_more(tmp_path):
    done, stages = run(small_demo(tmp_path / "demo"))
    assert [stage[0] for stage in stages if stage[0] != " "] == ["1", "2", "3", "4", "5"]
    page = done.page.read_text()
    assert done.page == tmp_path / "demo" / "report" / "index.html" and "data:video/mp4" in page
    assert {row["subject"] for row in done.rows} >= {"model", "copy_last", "shuffled_actions"} and done.verdict
    again, stages = run(small_demo(tmp_path / "demo"))
    assert "going on from step 2 of 2" in stages[0] and again.rows == done.rows


def test_goes_on_after_a_kill_while_recording_and_while_training(tmp_path, monkeypatch):
    demo = small_demo(tmp_path / "demo", steps=3)

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_dataset", killed)
        with pytest.raises(KeyboardInterrupt):
            run(demo)
    leftover = tmp_path / "demo" / f"{TEMPORARY_PREFIX}left-by-kill-9"
    leftover.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(module, "judge_run", killed)
        with pytest.raises(KeyboardInterrupt):
            run(demo)
    assert not leftover.exists() and not (tmp_path / "demo" / "report").exists()
    done, _ = run(demo)
    assert done.page.exists() and describe_run(done.run)["finished"]


def test_time_is_turned_into_steps_that_are_written_down(tmp_path, monkeypatch):
    data = write_small_dataset(tmp_path / "data")
    monkeypatch.setattr(module, "FEWEST_STEPS", 2)
    monkeypatch.setattr(module, "measured_steps", lambda family, config, shape, seconds: int(seconds // 10))
    done, stages = run(small_demo(tmp_path / "demo", steps=0, data=str(data), minutes=0.9))
    steps = describe_run(done.run)["steps"]
    assert steps in (2, 3, 4) and any(f"{steps} steps fit" in stage for stage in stages), "48 s less judging's share, 10 s a step"
    assert read_json(done.run / "config.json")["config"]["train"]["steps"] == steps


def test_another_demos_folder_is_refused(tmp_path):
    demo = small_demo(tmp_path / "demo")
    module._agree(demo)
    module._agree(demo)
    with pytest.raises(ConfigError, match="config"):
        module._agree(small_demo(tmp_path / "demo", steps=5))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="not empty"):
        module._agree(small_demo(tmp_path / "mine"))


@pytest.mark.parametrize(("minutes", "episodes"), [(0.0, 5), (-1.0, 5), (1.0, 4)])
def test_settings_that_cannot_be(tmp_path, minutes, episodes):
    with pytest.raises(ConfigError):
        Demo.of(TINY, data=None, out=str(tmp_path), minutes=minutes, episodes=episodes, fixed_steps=True)
