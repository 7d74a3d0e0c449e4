"""Shapes have the area that geometry gives them, wherever between the pixels they lie."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.worlds.small.drawing import Canvas

SIZE = 64
WHITE = torch.ones(1, 3)


def canvas() -> Canvas:
    return Canvas(torch.zeros(1, 3, SIZE, SIZE), metres_per_pixel=1.0 / SIZE)


def area(painted: Canvas) -> float:
    return float(painted.picture[0, 0].sum()) / SIZE**2


def middle_of_mass(painted: Canvas) -> tuple[float, float]:
    weight = painted.picture[0, 0]
    place = (torch.arange(SIZE) + 0.5) / SIZE
    return float((weight.sum(0) * place).sum() / weight.sum()), float((weight.sum(1) * place.flip(0)).sum() / weight.sum())


inside = st.floats(0.35, 0.65)


@settings(max_examples=40, deadline=None)
@given(inside, inside, st.floats(0.05, 0.25))
def test_a_disc(x, y, radius):
    painted = canvas()
    painted.disc(torch.tensor([[x, y]]), radius, WHITE)
    assert area(painted) == pytest.approx(math.pi * radius**2, rel=0.02)
    assert middle_of_mass(painted) == pytest.approx((x, y), abs=0.05 / SIZE)


@settings(max_examples=40, deadline=None)
@given(inside, inside, st.floats(0.03, 0.3), st.floats(0.005, 0.3))
def test_an_upright_rectangle_is_exact(x, y, half_width, half_height):
    painted = canvas()
    painted.rectangle(torch.tensor([[x, y]]), torch.tensor([[half_width, half_height]]), WHITE)
    assert area(painted) == pytest.approx(4 * half_width * half_height, rel=1e-3)
    assert middle_of_mass(painted) == pytest.approx((x, y), abs=0.5 / SIZE)


@settings(max_examples=40, deadline=None)
@given(inside, inside, st.floats(0.05, 0.2), st.floats(0.05, 0.2), st.floats(-4, 4))
def test_a_turned_box(x, y, half_width, half_height, angle):
    painted = canvas()
    painted.box(torch.tensor([[x, y]]), torch.tensor([[half_width, half_height]]), torch.tensor([angle]), WHITE)
    assert area(painted) == pytest.approx(4 * half_width * half_height, rel=0.04)
    assert middle_of_mass(painted) == pytest.approx((x, y), abs=0.2 / SIZE)


def test_angles_turn_anticlockwise_and_y_points_up():
    painted = canvas()
    painted.box(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.4, 0.02]]), torch.tensor([math.pi / 4]), WHITE)
    assert painted.picture[0, 0, 16, 47] > 0.9 and painted.picture[0, 0, 47, 16] > 0.9  # upper right, lower left
    assert painted.picture[0, 0, 16, 16] == 0


@settings(max_examples=40, deadline=None)
@given(inside, st.floats(0.1, 0.2), st.floats(0.03, 0.06))
def test_a_ring(x, radius, width):
    painted = canvas()
    painted.ring(torch.tensor([[x, 0.5]]), radius, width, WHITE)
    assert area(painted) == pytest.approx(2 * math.pi * radius * width, rel=0.03)


def test_a_frame_and_an_outline():
    painted = canvas()
    painted.frame(0.1, WHITE)
    assert area(painted) == pytest.approx(1 - 0.8**2, rel=0.02)
    painted = canvas()
    painted.box(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.3, 0.3]]), torch.zeros(1), WHITE, outline_m=0.05)
    assert area(painted) == pytest.approx(0.65**2 - 0.55**2, rel=0.03)


@settings(max_examples=40, deadline=None)
@given(inside, st.floats(0.001, 0.01))
def test_a_small_move_is_a_small_change(x, shift):
    """Anti-aliasing: what a hundredth of a pixel's move changes is in proportion, with no jump when a pixel's border is passed."""
    pictures = []
    for place in (x, x + shift / SIZE):
        painted = canvas()
        painted.disc(torch.tensor([[place, 0.5]]), 0.1, WHITE)
        pictures.append(painted.picture)
    assert (pictures[0] - pictures[1]).abs().max() <= 1.05 * shift


def test_opacity_mixes():
    painted = canvas()
    painted.disc(torch.tensor([[0.5, 0.5]]), 0.2, WHITE, opacity=0.25)
    assert painted.picture[0, 0, 32, 32] == pytest.approx(0.25)


def test_each_world_has_its_own_left_edge():
    painted = Canvas(torch.zeros(2, 3, SIZE, SIZE), metres_per_pixel=1.0 / SIZE, left=torch.tensor([0.0, 0.25]))
    painted.disc(torch.tensor([[0.5, 0.5], [0.5, 0.5]]), 0.1, WHITE.expand(2, 3))
    assert torch.allclose(painted.picture[0, :, :, 16:], painted.picture[1, :, :, :48], atol=1e-4)
