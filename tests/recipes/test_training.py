"""A recipe's run is loaded where it is finished, and only if it is the run that is asked for."""

import pytest

from armillary.core import ConfigError
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.worlds.small.record import record_episodes
from armillary.worlds.vmc.train import PRESETS
from recipes.training import processor_seconds, trained


def test_a_finished_run_is_loaded_and_one_of_other_settings_refused(tmp_path):
    data, folder = tmp_path / "data", tmp_path / "run"
    write_dataset(data, record_episodes("pusher", num_episodes=4, num_steps=40, seed=0, size=64), robot_type="pusher")
    config = override(PRESETS["default"], {"train.steps": "2", "train.workers": "0", "train.tensorboard": "false"})
    first = trained("vmc", config, data=data, folder=folder, replay=["x"])
    taken = processor_seconds(first)
    assert processor_seconds(trained("vmc", config, data=data, folder=folder, replay=["x"])) == taken, "not trained again"
    other = override(config, {"model.learning-rate": "0.5"})
    with pytest.raises(ConfigError, match="run is a run of other settings than are asked for"):
        trained("vmc", other, data=data, folder=folder, replay=["x"])
