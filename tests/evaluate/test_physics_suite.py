"""The physics suite on the simulator's own frames: its ceiling, its floors, and that its truth is the twin's."""

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, DataError, Prompt
from armillary.evaluate.physics_clips import MARKS, grouped, record_clip
from armillary.evaluate.physics_measures import contact_step
from armillary.evaluate.physics_suite import MEASURES, judge_physics, passive
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.world import TwinWorld
from tests.evaluate.toy import Levels

pytest.importorskip("mujoco", reason="twins need the extra of that name")


@pytest.fixture(scope="module")
def clips():
    return [record_clip("seesaw", 1, num_frames=21), record_clip("free_fall", 1, num_frames=21)]


@pytest.fixture(scope="module")
def result(clips):
    half = clips[0].frames.shape[-1] // 2

    def sideways(frames, steps, rng):
        """What is really next, but moved: sharp and wrong."""
        return torch.roll(frames[:, -1:].expand(-1, steps, -1, -1, -1), half, dims=-1)

    return judge_physics({"sideways": sideways}, clips)


@pytest.mark.parametrize("scene", ["seesaw", "free_fall"])
@pytest.mark.parametrize("frames", [1, 9])
def test_the_simulator_is_the_ceiling_and_the_floors_lie_far_below(result, scene, frames):
    def value(subject, measure):
        return result.estimate(scene, frames, subject, measure).value

    assert value("simulator", "iou") > 0.94
    assert value("simulator", "psnr") == 100.0 and value("simulator", "energy_error") < 0.01 and value("simulator", "count_error") <= 0.1
    assert value("copy_last", "iou") < 0.45 and value("copy_last", "momentum_error") > 5 * value("simulator", "momentum_error")
    assert value("sideways", "iou") < 0.1 and value("sideways", "psnr") < 30


def test_the_simulator_wins_and_what_is_wrong_does_not(result):
    for frames in (1, 9):
        assert set(result.won(frames, "simulator")) == {"seesaw", "free_fall"}
        assert result.won(frames, "sideways") == ()
    assert result.gain("free_fall", 9, "simulator", "copy_last", "momentum_error").low > 0


def test_rows_have_one_form(result):
    rows = result.rows()
    assert {tuple(row) for row in rows} == {("metric", "scene", "condition_frames", "subject", "value", "low", "high", "n")}
    assert {row["metric"] for row in rows} == {*MEASURES, "iou_gain_over_copy_last", "iou_gain_over_constant_velocity"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_the_moment_of_contact_is_the_simulators(clips):
    """What falls freely jumps in velocity when it first touches something, to within a step."""
    fall = clips[1]
    centres = np.array([[[*np.argwhere(mask).mean(axis=0)[::-1]] if mask.any() else [np.nan] * 2 for mask in row] for row in fall.masks])
    whole = ~np.isnan(centres).any(axis=(0, 2))
    assert whole.sum() >= 2
    touched_s = np.array([first_touch_s("free_fall", 1, thing) for (thing,) in fall.groups])
    assert np.abs(contact_step(centres[:, whole]) - touched_s[whole] / fall.seconds_per_step).max() <= 1


def first_touch_s(scene, seed, thing):
    """When the simulator first sees a thing touch anything, looking at every substep."""
    world = TwinWorld(build(scene, seed), seconds_per_step=0.002)
    ids = [number for number, label in enumerate(world.labels) if label.thing == thing]
    state = world.start(Prompt(), torch.Generator())
    for step in range(300):
        if np.isin(world.contacts(state).bodies, ids).any():
            return step * 0.002
        state = world.step(state, world.targets[None], torch.Generator())
    raise AssertionError(f"{thing} never touches anything")


def test_marks_change_no_motion_and_cover_what_moves(clips):
    seesaw = clips[0]
    assert set(seesaw.groups) == {("seesaw",), ("block",), ("ball",)} and (seesaw.masses_kg > 0).all()
    assert not (seesaw.masks.sum(axis=1) > 1).any()
    outside = ~seesaw.masks[0].any(axis=0)
    unlike = np.abs(seesaw.frames[0] - seesaw.plate).max(axis=0)
    assert unlike[seesaw.masks[0].any(axis=0)].min() > 0.1 and np.median(unlike[outside]) == 0.0
    again = record_clip("seesaw", 1, num_frames=2)
    assert np.array_equal(again.frames, seesaw.frames[:2])


def test_many_things_become_few_objects():
    parts = grouped(tuple("abcdefghijklm"))
    assert len(parts) == 4 and [thing for part in parts for thing in part] == list("abcdefghijklm")
    assert len(grouped(tuple("abcdefgh"))) == len(MARKS)


def test_a_world_dreams_by_itself_from_too_few_frames():
    dreamer = passive(Levels(context_steps=3))
    frames = torch.rand(2, 1, 3, 1, 1).expand(-1, -1, -1, 12, 12)
    told = dreamer(frames, 4, torch.Generator())
    assert told.shape == (2, 4, 3, 12, 12) and torch.allclose(told, frames.mean(dim=2, keepdim=True).expand_as(told), atol=1e-6)


def test_what_cannot_be_judged_is_refused(clips):
    with pytest.raises(ConfigError, match="belong to the floors and the ceiling: simulator"):
        judge_physics({"simulator": passive(Levels())}, clips)
    with pytest.raises(ConfigError, match=r"leave at least two of a clip's 21 frames to foretell, received \(20,\)"):
        judge_physics({}, clips, condition_frames=(20,))
    with pytest.raises(DataError, match="at least one clip"):
        judge_physics({}, [])
    with pytest.raises(ConfigError, match="no physics scene 'freefall'"):
        record_clip("freefall", 0)
