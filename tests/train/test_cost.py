"""An estimate beside what a run then takes."""

import pytest
import torch

from armillary.data.shape import DataShape
from armillary.train import estimate_cost
from tests.train.running import create, toy_config, train
from tests.train.toy import ToyWorld

SHAPE = DataShape(height=8, width=8, action_size=2, action_mean=(0.0, 0.0), action_std=(1.0, 1.0), seconds_per_step=0.1, has_rewards=False)


def test_parameters_and_phases():
    world = ToyWorld()
    before = {name: value.clone() for name, value in world.state_dict().items()}
    cost = estimate_cost(world, shape=SHAPE, config=toy_config(steps=1000))
    assert cost.parameters == sum(parameter.numel() for parameter in world.parameters())
    assert cost.seconds_by_phase.keys() == {"see", "move"}
    assert cost.seconds == pytest.approx(sum(cost.seconds_by_phase.values())) and cost.seconds > 0
    assert cost.ram_bytes > 50_000_000
    assert cost.vram_bytes == 0 or torch.cuda.is_available()
    assert all(torch.equal(value, before[name]) for name, value in world.state_dict().items()), "the world itself must not be trained"


def test_time_grows_with_steps():
    few, many = (
        estimate_cost(ToyWorld(), shape=SHAPE, config=toy_config(steps=steps, validate_every=0)).seconds for steps in (100, 10_000)
    )
    assert many > 10 * few


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_disk_is_near_what_a_run_takes(tmp_path, ema_decay):
    run = create(tmp_path / "run")
    train(run, ema_decay=ema_decay)
    taken = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    cost = estimate_cost(ToyWorld(), shape=SHAPE, config=toy_config(ema_decay=ema_decay))
    assert 0.6 * taken < cost.disk_bytes < 2.5 * taken
    with_cache = estimate_cost(ToyWorld(), shape=SHAPE, config=toy_config(ema_decay=ema_decay), cache_bytes=10**9)
    assert with_cache.disk_bytes == cost.disk_bytes + 10**9


def test_only_trainable_modules_have_a_cost():
    with pytest.raises(TypeError, match="Trainable"):
        estimate_cost(torch.nn.Linear(2, 2), shape=SHAPE, config=toy_config())
