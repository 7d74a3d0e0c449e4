"""armillary plan and armillary data record: what they print, write and refuse."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

from armillary.cli.plan import table
from armillary.core import ConfigError, Policy, World
from armillary.data.dataset import open_dataset
from armillary.data.video import probe_video
from armillary.studies import plan as study
from armillary.studies.recording import shows_goal
from tests.cli.small_data import run, run_json

TINY = ("--model.batch-size", "2", "--model.latent-size", "16", "--train.tensorboard", "no", "--train.workers", "0", "--steps", "2")
FAST = (
    *("--episodes", "2", "--steps", "3", "--planner.samples", "8", "--planner.elites", "2"),
    *("--planner.horizon", "3", "--planner.iterations", "1"),
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "rooms"
    words = ("--episodes", 5, "--steps", 16, "--size", 32, "--no-goal", "--layout.wall-x-m", "random")
    assert run("data", "record", "--env", "two-rooms", "--out", folder, *words) == 0
    return folder


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "jepa"
    size = ("--data.height", 32, "--data.width", 32)
    assert run("train", "jepa", "--data", recordings, "--out", folder, *size, *TINY) == 0
    return folder


def test_recordings_are_a_dataset_that_knows_of_its_goal(recordings, tmp_path):
    dataset = open_dataset(recordings)
    assert len(dataset.episodes) == 5 and dataset.info.robot_type == "armillary-two-rooms-no-goal"
    assert len({float(dataset.load(i, cameras=()).state[0, 2]) for i in range(3)}) == 3, "a wall of its own in each episode"
    assert shows_goal(recordings) is False and shows_goal(tmp_path) is None
    assert run("data", "record", "--env", "pusher", "--out", tmp_path / "seen", "--episodes", 1, "--steps", 3, "--size", 16) == 0
    assert shows_goal(tmp_path / "seen") is True


def test_plan_writes_rows_and_a_film(trained, tmp_path, capsys):
    found = run_json(capsys, "plan", trained, "--env", "two-rooms", "--out", tmp_path / "plan", "--layout.wall-x-m", "random", *FAST)
    assert {row["subject"] for row in found["rows"]} == {"jepa", "random", "expert", "simulator"}
    assert {row["metric"] for row in found["rows"]} == {
        "success",
        "final_distance_m",
        "seconds_an_action",
        "seconds_an_action_in_batch",
    }
    assert found["goal_mark"] is False, "as in the recordings"
    kept = json.loads((tmp_path / "plan" / "rows.json").read_text())
    assert kept["rows"] == found["rows"] and len(kept["solved_at"]["jepa"]) == 2 and kept["settings"]["planner"]["samples"] == 8
    assert kept["replay"].startswith("armillary plan")
    assert probe_video(tmp_path / "plan" / "episodes.mp4").frames > 3


def test_the_table_is_for_people(trained, tmp_path, capsys):
    assert run("plan", trained, "--env", "two-rooms", "--out", tmp_path / "plan", "--no-simulator", "--planner", "mppi", *FAST) == 0
    printed = capsys.readouterr().out
    assert "success, %" in printed and "random" in printed and "simulator" not in printed and "episodes.mp4" in printed


def test_a_world_that_only_draws_plans_by_pixels(recordings, tmp_path, capsys):
    small = (
        *TINY[:2],
        "--model.width",
        24,
        "--model.heads",
        2,
        "--model.depth",
        1,
        "--model.read-size",
        8,
        "--model.chunk-steps",
        4,
        *TINY[4:],
    )
    size = ("--data.height", 32, "--data.width", 32, "--model.sampling-steps", 2)
    assert run("train", "diffusion", "--data", recordings, "--out", tmp_path / "run", *size, *small) == 0
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save(tmp_path / "goal.png")
    words = ("plan", tmp_path / "run", "--env", "two-rooms", "--no-simulator", "--objective.steps", "final", *FAST)
    found = run_json(capsys, *words, "--out", tmp_path / "plan")
    assert {row["subject"] for row in found["rows"]} == {"diffusion", "random", "expert"}
    found = run_json(capsys, *words, "--out", tmp_path / "goal", "--goal", tmp_path / "goal.png")
    far = {row["metric"]: row["value"] for row in found["rows"] if row["subject"] == "diffusion"}
    assert 0 < far["distance_to_goal_picture_end"] < 1, "in mean absolute difference of pixels"


def test_one_goal_picture_is_gone_towards_but_not_judged(trained, tmp_path, capsys):
    goal = tmp_path / "goal.png"
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save(goal)
    found = run_json(capsys, "plan", trained, "--env", "two-rooms", "--out", tmp_path / "plan", "--goal", goal, *FAST)
    assert {row["subject"] for row in found["rows"]} == {"jepa", "random"}
    metrics = {row["metric"] for row in found["rows"]}
    assert {"distance_to_goal_picture_start", "distance_to_goal_picture_end"} <= metrics and "success" not in metrics
    assert run("plan", trained, "--env", "two-rooms", "--out", tmp_path / "plan", "--goal", goal, *FAST) == 0
    assert "cannot be judged" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(trained, tmp_path, capsys):
    found = run_json(capsys, "plan", trained, "--env", "two-rooms", "--out", tmp_path / "plan", "--dry-run", "--episodes", 3)
    assert found["episodes"] == 3 and found["steps"] == 50 and found["settings"]["planner"]["horizon"] == 20
    assert run("data", "record", "--env", "pusher", "--out", tmp_path / "data", "--dry-run") == 0
    assert not list(tmp_path.iterdir())


def test_a_policy_run_acts_as_it_is(trained, monkeypatch):
    """Whatever is a Policy with `with_goal` gets the goal pictures, and no planner."""

    class Cloned(Goalless):
        def with_goal(self, goal):
            self.goal = goal
            return self

    loaded = study.load_run(trained)
    cloned = Cloned()
    cloned.spec = loaded.world.spec
    monkeypatch.setattr(study, "load_run", lambda *_: replace(loaded, world=cloned, family="cloning"))
    protocol = study.ClosedLoopProtocol(episodes=2, max_steps=2)
    prepared = study.prepare(study.PlanJob(run=trained, env="two-rooms", protocol=protocol, simulator=False))
    result = study.run_closed_loop(prepared.tasks, prepared.subjects, protocol)
    assert list(result.outcomes) == ["cloning", "random", "expert"] and cloned.goal.shape[1:] == (3, 32, 32)


def test_every_planner_looks_two_seconds_ahead():
    for name in ("icem", "mppi", "cem", "gradient", "random-shooting"):
        found = study.plan_settings(name, {}).planner
        assert found.horizon * found.block == 20 and (found.block == 1) == hasattr(found, "noise_exponent"), name


def test_settings_that_are_right_only_together_may_come_in_any_order():
    for words in ({"planner.samples": "8", "planner.elites": "2"}, {"planner.elites": "300", "planner.samples": "400"}):
        found = study.plan_settings("icem", words).planner
        assert {f"planner.{name}": str(getattr(found, name)) for name in ("samples", "elites")} == words
    with pytest.raises(ConfigError, match="received 30"):
        study.plan_settings("icem", {"planner.samples": "8", "planner.elites": "30"})


def test_planning_stays_within_what_the_body_can_do(trained):
    loaded = study.load_run(trained)
    env = study.build_env("two-rooms", size=32)
    bounded = study.within(loaded.world, env.spec.action_space)
    assert (bounded.spec.action_space.high <= 1.0).all() and (bounded.spec.action_space.low >= -1.0).all()
    assert (loaded.world.spec.action_space.high > 1.0).any(), "the run itself keeps its own bounds"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--env", "two-room"), 2, "did you mean 'two-rooms'"),
        (("--env", "bouncing-balls"), 2, "has no goals"),
        (("--env", "two-rooms", "--planner", "icm"), 2, "did you mean 'icem'"),
        (("--env", "two-rooms", "--planner.sampels", "5"), 2, "did you mean planner.samples"),
        (("--env", "two-rooms", "--layout.wall-x", "0.5"), 2, "did you mean 'wall_x_m'"),
        (("--env", "two-rooms", "--planner.elites", "900"), 2, "received 900"),
        (("--env", "two-rooms", "--goal", "{new}.png"), 2, "there is no file"),
        (("--env", "two-rooms", "--goal", "{large}"), 3, "64 x 64 pixels (height x width), the world sees 32 x 32"),
        (("--env", "two-rooms", "--goal", "{clear}"), 3, "RGBA"),
        (("--env", "two-rooms", "--goal", "{text}"), 3, "cannot be read as a picture"),
        (("--env", "two-rooms", "--goal-mark", "perhaps"), 2, "received 'perhaps'"),
        (("--env", "two-rooms", "--episodes", "0"), 2, "received 0"),
    ],
)
def test_errors_come_before_anything_is_planned(words, code, said, trained, tmp_path, capsys):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "large.png")
    Image.fromarray(np.zeros((32, 32, 4), np.uint8)).save(tmp_path / "clear.png")
    (tmp_path / "text.png").write_text("no picture")
    places = {"large": tmp_path / "large.png", "clear": tmp_path / "clear.png", "text": tmp_path / "text.png", "new": tmp_path / "new"}
    assert run("plan", trained, "--out", tmp_path / "plan", *(word.format(**places) for word in words)) == code
    printed = capsys.readouterr()
    assert said in printed.err and "Traceback" not in printed.err and not (tmp_path / "plan").exists()


class Blind(torch.nn.Module, World):
    """A world that neither shows itself nor embeds."""

    start = step = None


class Goalless(torch.nn.Module, Policy):
    """A policy that takes no goal."""

    def start(self, batch_size):
        return None

    def act(self, observation, memory, rng):
        return torch.zeros(len(observation), 2), None


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Blind(), "neither embeds nor draws what it sees"),
        (torch.nn.Linear(1, 1), "is an encoder without actions"),
        (Goalless(), "is a policy that takes no goal"),
    ],
)
def test_a_run_that_cannot_plan_says_so(module, said, trained, monkeypatch):
    loaded = replace(study.load_run(trained), world=module)
    monkeypatch.setattr(study, "load_run", lambda *_: loaded)
    with pytest.raises(ConfigError, match=said):
        study.prepare(study.PlanJob(run=trained, env="two-rooms"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action_space": gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)}, r"takes actions of shape \(3,\)"),
        ({"seconds_per_step": 1.0}, "learned steps of 1.000 s"),
        ({"frame_size": (32, 48)}, "sees 32 x 48 pixels"),
        ({"prompt": ("frames", "state")}, "starts from frames, state"),
    ],
)
def test_a_run_that_does_not_fit_the_world_is_refused(change, said, trained, monkeypatch):
    loaded = study.load_run(trained)
    loaded.world.spec = replace(loaded.world.spec, **change)
    monkeypatch.setattr(study, "load_run", lambda *_: loaded)
    with pytest.raises(ConfigError, match=said):
        study.prepare(study.PlanJob(run=trained, env="two-rooms"))


def test_record_refuses_what_it_cannot_record(recordings, tmp_path, capsys):
    for words, code, said in (
        (("--env", "pushr"), 2, "did you mean 'pusher'"),
        (("--env", "platformer", "--no-goal"), 2, "draws no goal"),
        (("--env", "pusher", "--policy", "clever"), 2, "clever"),
        (("--env", "pusher", "--layout.frictoin", "0.1"), 2, "did you mean 'friction'"),
        (("--env", "pusher", "--train.steps", "3"), 2, "--layout.NAME"),
        (("--env", "pusher", "--seed", "-1"), 2, "received -1"),
    ):
        assert run("data", "record", "--out", tmp_path / "new", *words) == code, words
        assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert run("data", "record", "--env", "pusher", "--out", recordings, "--episodes", "1", "--steps", "2") == 5


def test_the_table_counts_tasks_and_not_blocks_of_time():
    rows = [{"metric": "success", "subject": "jepa", "value": 1.0, "low": 0.6, "high": 1.0, "n": 6}]
    rows += [{"metric": "seconds_an_action", "subject": "jepa", "value": 0.1, "low": 0.1, "high": 0.1, "n": 8}]
    assert "\n6 tasks; success" in table(rows, "random")
