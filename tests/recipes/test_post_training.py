"""What the tables about another robot and about fewer steps say, and how the new robot's recordings are read."""

import pytest

from recipes import diffusion_steps, new_robot
from recipes.bridge import CAMERA, FOLDER, FPS, bridge_episodes


def value(rows: list[dict], subject: str, metric: str) -> tuple[float, str]:
    return next((row["value"], row["unit"]) for row in rows if (row["subject"], row["metric"]) == (subject, metric))


def test_the_table_of_a_new_robot_has_units_and_horizons():
    one = {
        "gain of a single sample|lora|1.0": [1.0, 3.0],
        "gain of a single sample over scratch|lora|1.0": [0.5, 0.7],
        "PSNR|copy_last|1.0": [20.0, 22.0],
        "processor time of training|lora": [2.0],
        "parameters that learn|lora": [7],
    }
    rows = new_robot.rows([one, one])
    assert value(rows, "lora", "gain of a single sample, +1.0 s") == (2.0, "dB")
    assert value(rows, "lora", "gain of a single sample over scratch, +1.0 s") == (pytest.approx(0.6), "dB")
    assert value(rows, "copy_last", "PSNR, +1.0 s") == (21.0, "dB")
    assert value(rows, "lora", "processor time of training") == (2.0, "min")
    assert value(rows, "lora", "parameters that learn") == (7.0, "")


def test_the_table_of_fewer_steps_has_units():
    keys = {"gain of the mean of samples": "dB", diffusion_steps.LOSS: "dB", "sharpness": ""}
    rows = diffusion_steps.rows([{f"{key}|student, 4 steps": [1.0, 2.0] for key in keys} | {"frames a second|student, 4 steps": [30.0]}])
    assert all(value(rows, "student, 4 steps", f"{key}, +1.0 s") == (1.5, unit) for key, unit in keys.items())
    assert value(rows, "student, 4 steps", "frames a second") == (30.0, "")


def test_held_out_episodes_are_the_last_of_the_new_robot():
    config = new_robot.base_settings(0, quick=True)
    assert config.data.stride == 6 and config.model.chunk_steps + config.model.context_steps < 10
    share = (new_robot.HELD_OUT + 0.5) / (new_robot.LEARNED + new_robot.HELD_OUT)
    assert int(share * (new_robot.LEARNED + new_robot.HELD_OUT)) == new_robot.HELD_OUT


def test_an_action_of_bridge_leads_to_the_next_picture(real_data):
    """The file says a command a step; it is the state's change to the next step that follows it, not the one before."""
    import numpy as np

    episodes = [episode for path in sorted((real_data / FOLDER).glob("*.tfrecord-*")) for episode in bridge_episodes(path)]
    assert len(episodes) == new_robot.LEARNED + new_robot.HELD_OUT
    first = episodes[0]
    assert first.frames[CAMERA].shape == (10, 64, 64, 3) and first.seconds_per_step == 1.0 / FPS and first.task
    moved = np.concatenate([np.diff(episode.state[:, 2])[1:] for episode in episodes])  # upwards
    told, told_next = (np.concatenate([episode.actions[late : late + 8, 2] for episode in episodes]) for late in (1, 2))
    assert np.corrcoef(told, moved)[0, 1] > 0.8 > np.corrcoef(told_next, moved)[0, 1]
