"""Planted violations are what they say, by the exact places of the balls, and the films beside them are possible and otherwise the same."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Prompt, seeded
from armillary.worlds.small.bouncing_balls import BouncingBalls
from armillary.worlds.small.record import CAMERA
from armillary.worlds.small.violations import DEEPEST, KINDS, LEAST_JUMP_M, MARGIN, Planted, plant, possible_episodes

RADIUS_M = 0.1
SCENES = 6


@cache
def planted(kind: str, num_balls: int = 3) -> Planted:
    return plant(kind, SCENES, seed=3, size=16, num_balls=num_balls)


def apart(positions: torch.Tensor) -> torch.Tensor:
    """The least distance of any two balls, by film and frame."""
    first, second = torch.triu_indices(positions.shape[2], positions.shape[2], 1)
    return (positions[:, :, first] - positions[:, :, second]).norm(dim=-1).nan_to_num(9.0).amin(dim=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_films_are_the_same_up_to_the_step_of_the_violation(kind):
    found = planted(kind)
    assert len(found.scene.unique()) == SCENES and found.kind == kind
    assert len(found) == SCENES * (1 if kind == "pass-through" else 2)
    assert found.actions.shape == (len(found), 24, 2) and found.possible.frames.shape == (len(found), 24, 16, 16, 3)
    for row, step in enumerate(found.step.tolist()):
        assert MARGIN <= step <= 24 - MARGIN
        assert np.array_equal(found.possible.frames[row, :step], found.impossible.frames[row, :step])
        torch.testing.assert_close(
            found.possible.positions[row, :step], found.impossible.positions[row, :step], rtol=0, atol=0, equal_nan=True
        )
        assert not np.array_equal(found.possible.frames[row, step], found.impossible.frames[row, step])


@pytest.mark.parametrize("kind", ["vanish", "teleport"])
def test_no_picture_and_no_set_of_pictures_tells_twins_from_the_films_cut_from_them(kind):
    found = planted(kind)
    for scene in range(SCENES):
        rows = (found.scene == scene).nonzero()[:, 0].tolist()
        possible, cut = (
            Counter(picture.tobytes() for row in rows for picture in films.frames[row]) for films in (found.possible, found.impossible)
        )
        assert possible == cut
        assert torch.equal(found.actions[rows[0]], found.actions[rows[1]]) and found.step[rows[0]] == found.step[rows[1]]


@pytest.mark.parametrize("kind", KINDS)
def test_possible_films_follow_physics(kind):
    """No ball comes or goes, jumps, or overlaps another."""
    positions = planted(kind).possible.positions
    there = ~positions.isnan().any(dim=-1)
    assert torch.equal(there, there[:, :1].expand_as(there))
    assert (positions[:, 1:] - positions[:, :-1]).norm(dim=-1).nan_to_num(0.0).max() < 0.75 * LEAST_JUMP_M
    assert apart(positions).min() > 2 * RADIUS_M - 0.02


def test_a_ball_vanishes_or_appears_and_the_others_go_on():
    found = planted("vanish")
    there = ~found.impossible.positions.isnan().any(dim=-1)
    assert there[:, :, :2].all()
    late = torch.arange(24) >= found.step[:, None]
    assert torch.equal(there[0::2, :, 2], ~late[0::2]) and torch.equal(there[1::2, :, 2], late[1::2])
    # in the frame of the violation the others are where they are in the possible film, unless the missing ball would have met them
    rows = torch.arange(len(found))
    moved = found.impossible.positions[rows, found.step, :2] - found.impossible.positions[rows, found.step - 1, :2]
    assert moved.norm(dim=-1).max() < 0.75 * LEAST_JUMP_M


def test_one_ball_teleports_at_its_own_speed():
    found = planted("teleport")
    rows, positions = torch.arange(len(found)), found.impossible.positions
    moved = (positions[:, 1:] - positions[:, :-1]).norm(dim=-1)
    jumped = moved > 0.75 * LEAST_JUMP_M
    assert torch.equal(jumped.sum(dim=(1, 2)), torch.ones(len(found), dtype=torch.long))
    assert jumped[rows, found.step - 1].any(dim=-1).all()
    assert len(jumped[rows, found.step - 1].float().argmax(dim=-1).unique()) > 1  # not always the same ball


def test_two_balls_pass_through_each_other():
    found = planted("pass-through")
    near = apart(found.impossible.positions)
    assert (near.amin(dim=1) < DEEPEST * 2 * RADIUS_M).all()
    early = torch.arange(24) < found.step[:, None]
    assert (near > 2 * RADIUS_M - 0.02)[early].all()


def test_balls_without_contact_fly_on_as_if_alone():
    world = BouncingBalls(size=16, num_balls=2, without_contact=[(1, 0)])
    state = world.start(Prompt(layout={"gravity_m_s2": 0.0, "push_m_s2": 0.0}), seeded(0))
    state = replace(state, position=torch.tensor([[[0.3, 0.5], [0.7, 0.5]]]), velocity=torch.tensor([[[0.8, 0.0], [-0.4, 0.0]]]))
    for _ in range(6):
        state = world.step(state, torch.zeros(1, 2), seeded(0))
    torch.testing.assert_close(state.position, torch.tensor([[[0.54, 0.5], [0.58, 0.5]]]))
    torch.testing.assert_close(state.velocity, torch.tensor([[[0.8, 0.0], [-0.4, 0.0]]]))


def test_the_same_seed_plants_the_same_and_another_seed_others():
    again, other = plant("vanish", SCENES, seed=3, size=16), plant("vanish", SCENES, seed=4, size=16)
    assert np.array_equal(again.impossible.frames, planted("vanish").impossible.frames)
    assert not np.array_equal(again.impossible.frames, other.impossible.frames)


def test_episodes_to_learn_from_hold_each_number_of_balls():
    episodes = list(possible_episodes(5, seed=3, num_steps=10, size=16, num_balls=(1, 4)))
    assert [episode.index for episode in episodes] == list(range(5))
    assert all(episode.frames[CAMERA].shape == (10, 16, 16, 3) and episode.actions.shape == (10, 2) for episode in episodes)
    empty = np.median(np.concatenate([episode.frames[CAMERA] for episode in episodes[::2]]), axis=0)
    painted = [(np.abs(episode.frames[CAMERA].astype(float) - empty).max(axis=-1) > 40).mean() for episode in episodes]
    assert min(painted[1::2]) > 2 * max(painted[0::2])


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("melt", {}, "choose one of vanish, teleport, pass-through"),
        ("vanish", {"num_steps": 16}, "more than 16 frames"),
        ("vanish", {"num_balls": 1}, "2 balls"),
        ("pass-through", {"layout": {"speed_m_s": 0.0, "gravity_m_s2": 0.0, "push_m_s2": 0.0}}, "only 0 of 1 scenes hold a pass-through"),
    ],
)
def test_what_cannot_be_planted_is_refused(kind, options, said, monkeypatch):
    monkeypatch.setattr("armillary.worlds.small.violations.MOST_DRAWS", 1)
    with pytest.raises(ConfigError, match=said):
        plant(kind, 1, seed=0, **{"size": 16, **options})
