"""The loop: it learns, it can be repeated, and nothing that only watches changes what it learns."""

import json
import logging
import math
import signal

import pytest
import torch
from safetensors.torch import load_file

from armillary.core import CheckpointError, ConfigError, InterruptedRun, Loss, StorageError, TrainingError
from armillary.train import RunFolder, TrainConfig, distributed, fit, load_weights, loop
from armillary.train.checkpoint import read_state
from armillary.train.metrics_log import MetricsLog
from armillary.train.progress import Stopwatch
from tests.train.running import EPISODES, create, losses, toy_config, train, weights
from tests.train.toy import ToyWorld


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_it_learns_both_phases(tmp_path):
    run = create(tmp_path / "run")
    train(run, steps=300, learning_rate_scale=3.0)
    rows = run.metrics()
    assert [row["step"] for row in rows] == list(range(1, 301))
    assert [row["phase"] for row in rows] == ["see"] * 150 + ["move"] * 150
    for first, last in ((0, 150), (150, 300)):
        start, end = rows[first]["loss"], sum(row["loss"] for row in rows[last - 10 : last]) / 10
        assert end < 0.5 * start


def test_rows_say_what_happened(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    row = run.metrics()[4]
    assert row.keys() >= {"step", "phase", "loss", "reconstruction", "size", "learning_rate", "gradient_norm", "seconds"}
    assert row["loss"] == pytest.approx(row["reconstruction"] + 1e-3 * row["size"], rel=1e-5)
    assert "validation_loss" in row and "validation_loss" not in run.metrics()[3]


def test_watching_does_not_change_what_is_learned(tmp_path):
    quiet, busy = create(tmp_path / "quiet"), create(tmp_path / "busy")
    train(quiet, validate_every=0, checkpoint_every=0, workers=0)
    torch.manual_seed(99)
    train(busy, validate_every=1, checkpoint_every=1, workers=2, on_progress=lambda progress: torch.rand(3))
    assert losses(quiet) == losses(busy)


def test_another_seed_learns_otherwise(tmp_path):
    one, other = create(tmp_path / "one"), create(tmp_path / "other")
    train(one)
    train(other, seed=1)
    assert losses(one) != losses(other)


def test_one_phase_leaves_the_others_weights_alone(tmp_path):
    world, run = ToyWorld(), create(tmp_path / "run")
    before = world.state_dict()["memory.weight_hh_l0"].clone()
    seen = {}

    def note(progress):
        if progress.step == 10:
            seen["memory"] = world.state_dict()["memory.weight_hh_l0"].clone()
            seen["encoder"] = world.state_dict()["encoder.weight"].clone()

    train(run, world=world, on_progress=note, validate_every=0)
    assert torch.equal(seen["memory"], before)
    assert torch.equal(world.state_dict()["encoder.weight"], seen["encoder"])
    assert not torch.equal(world.state_dict()["memory.weight_hh_l0"], before)


def test_buffers_are_saved_and_after_step_is_called(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    assert load_file(run.weights("latest"))["num_updates"] == 20


def test_the_best_has_the_lowest_validation_loss_of_the_last_phase(tmp_path):
    world, run = ToyWorld(), create(tmp_path / "run")
    result = train(run, world=world, validate_every=1, steps=40, learning_rate_scale=20.0)
    looked = {row["step"]: row["validation_loss"] for row in run.metrics() if row["phase"] == "move"}
    assert result.best_step == min(looked, key=looked.get) != 40
    assert result.best_validation_loss == looked[result.best_step]
    best = load_file(result.best_weights)
    assert all(torch.equal(value, best[name]) for name, value in world.state_dict().items())
    assert not world.training
    assert {folder.name.split("-")[0] for folder in run.checkpoints.iterdir() if folder.is_dir()} == {"step", "best"}


def test_without_held_out_episodes_the_last_weights_are_the_best(tmp_path, caplog):
    world, run = ToyWorld(), create(tmp_path / "run")
    result = fit(world, run=run, train_episodes=EPISODES, validation_episodes=[], camera="view", config=toy_config())
    assert result.best_step is None
    assert result.best_weights == result.latest_weights


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("stop", [4, 10, 13])
def test_a_stopped_run_goes_on_to_the_bit(tmp_path, ema_decay, stop):
    unbroken, broken = create(tmp_path / "unbroken"), create(tmp_path / "broken")
    train(unbroken, ema_decay=ema_decay)

    def press(progress):
        if progress.step == stop - 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRun, match=f"after step {stop} of 20.*armillary resume"):
        train(broken, ema_decay=ema_decay, on_progress=press)
    assert read_state(broken.checkpoint("latest")).step == stop
    train(broken, world=ToyWorld(seed=5), ema_decay=ema_decay)  # other first weights: all must come from the checkpoint
    assert losses(broken) == losses(unbroken)
    one, other = weights(broken), weights(unbroken)
    assert one["checkpoints/step-00000020/training.safetensors"] == other["checkpoints/step-00000020/training.safetensors"]
    assert one["checkpoints/step-00000020/model.safetensors"] == other["checkpoints/step-00000020/model.safetensors"]


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    run = create(tmp_path / "run")

    class Slow(ToyWorld):
        def loss(self, batch, rng):
            if self.num_updates == 6:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return super().loss(batch, rng)

    handler = signal.getsignal(signal.SIGINT)  # a shell starts a background job with Ctrl-C ignored
    with pytest.raises(KeyboardInterrupt):
        train(run, world=Slow())
    assert len(run.metrics()) == 6
    assert read_state(run.checkpoint("latest")).step == 4
    assert signal.getsignal(signal.SIGINT) is handler


def test_averaged_weights_are_the_ones_to_use(tmp_path):
    run = create(tmp_path / "run")
    train(run, ema_decay=0.9, validate_every=0)
    folder = run.checkpoint("latest")
    model, training = load_file(folder / "model.safetensors"), load_file(folder / "training.safetensors")
    assert not torch.equal(model["out.weight"], training["unaveraged|out.weight"])
    assert "unaveraged|encoder.weight" not in training


def test_a_finished_run_is_not_trained_again(tmp_path):
    run = create(tmp_path / "run")
    first = train(run)
    again = train(run, world=ToyWorld(seed=3))
    assert (again.steps, again.best_step) == (first.steps, first.best_step)
    assert len(run.metrics()) == 20


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_loss_that_is_no_number_stops_and_names_step_and_episodes(tmp_path, where):
    class Breaks(ToyWorld):
        def loss(self, batch, rng):
            loss = super().loss(batch, rng)
            if self.num_updates < 6:
                return loss
            wrong = loss.total * math.nan if where == "loss" else (loss.total - loss.total.detach()).sqrt()
            return Loss(total=wrong, parts=loss.parts)

    run = create(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"at step 7, on windows of episodes \[1\d.*learning_rate_scale") as caught:
        train(run, world=Breaks())
    assert "step-00000004" in str(caught.value)
    assert len(run.metrics()) == 6
    load_weights(ToyWorld(), run.weights("latest"))


def test_other_settings_cannot_go_on_with_a_run(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    with pytest.raises(CheckpointError, match="seed 0 and 20 steps"):
        train(run, steps=30)


def test_a_run_opened_to_read_cannot_be_trained(tmp_path):
    create(tmp_path / "run").close()
    with pytest.raises(StorageError, match="write=True"):
        train(RunFolder.open(tmp_path / "run"))


def test_a_phase_that_trains_nothing_is_refused(tmp_path):
    class Frozen(ToyWorld):
        def begin_phase(self, name):
            self.requires_grad_(False)

    with pytest.raises(ConfigError, match="'see' trains nothing"):
        train(create(tmp_path / "run"), world=Frozen())


def test_bf16_on_a_cpu_without_its_units_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "cpu_has_bf16", lambda: False)
    with pytest.raises(ConfigError, match="bf16"):
        train(create(tmp_path / "run"), precision="bf16", device="cpu")


@pytest.mark.skipif(not distributed.cpu_has_bf16(), reason="this processor has no bf16 units")
def test_bf16_on_a_cpu_is_used_only_when_asked_for(tmp_path):
    assert distributed.choose_precision(TrainConfig(), torch.device("cpu")) == torch.float32
    losses = {}
    for precision in ("fp32", "bf16"):
        run = create(tmp_path / precision)
        train(run, precision=precision, device="cpu")
        losses[precision] = [row["loss"] for row in run.metrics()]
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.1)


def test_only_trainable_modules_are_fitted(tmp_path):
    with pytest.raises(TypeError, match="Trainable"):
        train(create(tmp_path / "run"), world=torch.nn.Linear(2, 2))


def test_short_held_out_episodes_are_said_to_be_too_short(tmp_path, caplog):
    short = [*EPISODES[:-1], EPISODES[-1].every(7)]
    with caplog.at_level(logging.WARNING):
        train(create(tmp_path / "run"), episodes=[*EPISODES[:-1], short[-1]])
    assert "phase move: no held-out episode has 5 frames" in caplog.text


def test_tensorboard_is_written_when_it_is_there(tmp_path):
    pytest.importorskip("tensorboard")
    run = create(tmp_path / "run")
    train(run, tensorboard=True)
    assert list((run.path / "tensorboard").glob("events.out.tfevents.*"))


def test_what_the_world_finds_wrong_is_told_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(ToyWorld, "diagnose", lambda self, row: f"collapsed at step {row['step']}; do less")
    run = create(tmp_path / "run")
    result = train(run, steps=6)
    assert result.diagnosis == "collapsed at step 6; do less"
    assert result.diagnosis in (run.path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_progress_counts_to_the_end(tmp_path):
    seen = []
    train(create(tmp_path / "run"), on_progress=seen.append)
    assert [p.step for p in seen] == list(range(1, 21))
    assert seen[0].seconds_left is None and seen[-1].seconds_left == 0
    assert "20/20" in seen[-1].line() and "validation" in seen[-1].line()


def test_the_stopwatch_forgets_the_first_steps(monkeypatch):
    now = iter([0.0, 0.0, 50.0, 50.0, 90.0, 90.0, 92.0, 92.0, 96.0])
    monkeypatch.setattr("armillary.train.progress.time.perf_counter", lambda: next(now))
    watch = Stopwatch(first_steps=2)
    for _ in range(4):
        watch.start()
        watch.stop()
    assert watch.left(10) == pytest.approx(30.0)


def test_metrics_are_plain_json(tmp_path):
    run = create(tmp_path / "run")
    train(run)
    for line in run.metrics_path.read_text().splitlines():
        assert isinstance(json.loads(line)["loss"], float)


def test_rows_are_on_the_disk_before_the_checkpoint_that_counts_on_them(tmp_path, monkeypatch):
    order = []
    for owner, name in ((MetricsLog, "sync"), (loop, "save_checkpoint")):
        real = getattr(owner, name)

        def noted(*args, real=real, name=name):
            order.append(name)
            return real(*args)

        monkeypatch.setattr(owner, name, noted)
    train(create(tmp_path / "run"), checkpoint_every=10)
    assert order == ["sync", "save_checkpoint"] * 3
