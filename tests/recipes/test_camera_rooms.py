"""What the table of camera_rooms says, and that its two worlds differ in nothing but the camera."""

from dataclasses import replace

import pytest

from recipes import camera_rooms
from recipes.camera_rooms import HORIZONS, MEASURES, STEP_S, WORLDS


def test_the_table_has_units_and_the_ratio_of_the_bar():
    ends = [f"{step * STEP_S:.1f}" for step in HORIZONS]
    error = {"conditioned": [1.0, 3.0], "unconditioned": [4.0, 6.0], "true pictures": [0.2, 0.2]}
    one = {f"{what}|{subject}|{end}": values for what in MEASURES for subject, values in error.items() for end in ends}
    one |= {"PSNR|conditioned|0.8": [20.0, 22.0], "processor time of training|conditioned": [10.0]}
    found = {(row["subject"], row["metric"]): (row["value"], row["unit"]) for row in camera_rooms.rows([one, one])}
    assert found["conditioned", "rotation error, +0.8 s"] == (2.0, "deg")
    assert found["true pictures", "place error, +0.4 s"] == (0.2, "m")
    assert found["conditioned", "PSNR, +0.8 s"] == (21.0, "dB")
    assert found["conditioned", "processor time of training"] == (10.0, "min")
    for what in MEASURES:
        assert found["conditioned / unconditioned", f"{what}, +0.8 s"] == (pytest.approx(0.4), "")


def test_the_worlds_differ_in_what_they_are_told_alone():
    told, untold = (camera_rooms.recipe(subject, 1, quick=False) for subject in WORLDS)
    assert told.model.camera_condition and not untold.model.camera_condition
    assert (told.model.modes.forward_dynamics, untold.model.modes.image_to_world) == (1.0, 1.0)
    assert replace(told, model=replace(told.model, camera_condition=False, modes=untold.model.modes)) == untold
    assert max(HORIZONS) <= told.model.chunk_steps and told.model.context_steps == 1
