"""Layouts: each factor can be fixed, drawn, or given per world, and what does not exist is named."""

import pytest
import torch

from armillary.core import Prompt, WorldError, seeded
from armillary.worlds.catalog import SMALL, build_small
from armillary.worlds.small.drawn_themes import APART, COUNT, draw_theme
from armillary.worlds.small.factors import RANDOM, Factor, choose_factors
from armillary.worlds.small.themes import THEME_NAMES, every_theme, floors, palette

FACTORS = {"mass": Factor(1.0, 2.0, 1.5), "tilt": Factor(-1.0, 1.0, RANDOM)}


def test_defaults_numbers_rows_and_chance():
    chosen = choose_factors(FACTORS, {"mass": [1.0, 1.25, 2.0]}, 3, seeded(0))
    assert chosen["mass"].tolist() == [1.0, 1.25, 2.0]
    assert len(set(chosen["tilt"].tolist())) == 3
    assert choose_factors(FACTORS, None, 2, seeded(0))["mass"].tolist() == [1.5, 1.5]
    drawn = choose_factors(FACTORS, {"mass": RANDOM}, 4000, seeded(1))["mass"]
    assert 1.0 <= drawn.min() < 1.01 and 1.99 < drawn.max() <= 2.0


def test_fixing_one_factor_leaves_the_others_as_they_were():
    free, fixed = choose_factors(FACTORS, {"mass": RANDOM}, 5, seeded(3)), choose_factors(FACTORS, {"mass": 1.0}, 5, seeded(3))
    assert torch.equal(free["tilt"], fixed["tilt"])


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        ({"mas": 1.0}, "did you mean 'mass'"),
        ({"qqq": 1.0}, "it has theme, mass, tilt"),
        ({"mass": 3.0}, r"must lie in \[1.0, 2.0\], received 3.0"),
        ({"mass": float("nan")}, "must lie in"),
        ({"mass": "heavy"}, "received 'heavy'"),
        ({"mass": [1.0, 1.0]}, "needs 1 or 3 numbers"),
        ({"mass": {"a": 1}}, "takes a number"),
    ],
)
def test_what_is_not_possible_is_named(layout, complaint):
    with pytest.raises(WorldError, match=complaint):
        choose_factors(FACTORS, layout, 3, seeded(0))


@pytest.mark.parametrize("name", list(SMALL))
def test_every_factor_of_every_world_takes_both_its_ends(name):
    world = build_small(name, size=32)
    for factor, bounds in world.factors.items():
        state = world.start(Prompt(batch_size=2, layout={factor: [bounds.low, bounds.high]}), seeded(0))
        assert torch.isfinite(world.render(state)["rgb"]).all(), factor


def test_themes_by_name_by_row_and_by_chance():
    world = build_small("pusher", size=32)
    start = lambda theme: world.start(Prompt(batch_size=2, layout={"theme": theme}), seeded(0)).theme.tolist()  # noqa: E731
    assert start("candy") == [THEME_NAMES.index("candy")] * 2
    assert start(["paper", "candy"]) == [0, THEME_NAMES.index("candy")]
    many = world.start(Prompt(batch_size=200, layout={"theme": "random"}), seeded(0)).theme
    assert set(many.tolist()) == set(range(len(THEME_NAMES)))
    assert start(["drawn-0", "drawn-95"]) == [len(THEME_NAMES), len(every_theme()) - 1]
    drawn = world.start(Prompt(batch_size=400, layout={"theme": "drawn"}), seeded(0)).theme
    assert drawn.min() == len(THEME_NAMES) and drawn.max() == len(every_theme()) - 1
    for wrong, complaint in (("neon", "no theme 'neon'.*drawn-0 to drawn-95"), (["paper"] * 3, "one name or 2"), (7, "one name or 2")):
        with pytest.raises(WorldError, match=complaint):
            start(wrong)


@pytest.mark.parametrize("role", ["agent", "objects.0", "objects.1", "wall", "goal"])
def test_whatever_matters_stands_out_from_the_floor(role):
    floor = floors(32).mean(dim=(2, 3))
    assert ((palette(role) - floor).norm(dim=-1) > 0.2).all()


def test_the_agent_is_not_mistaken_for_the_block():
    assert ((palette("agent") - palette("objects.0")).norm(dim=-1) > 0.3).all()


def test_a_drawn_theme_is_always_the_same_and_its_things_stand_out_from_the_sky_and_from_each_other():
    assert draw_theme(7) == draw_theme(7) == every_theme()[len(THEME_NAMES) + 7]
    assert len({draw_theme(number) for number in range(COUNT)}) == COUNT
    for behind in ("sky_high", "sky_low", "hills"):
        for thing in ("agent", "ground", "grass", "wall", "objects.1"):
            apart = (palette(thing) - palette(behind)).norm(dim=-1)[len(THEME_NAMES) :]
            assert (apart > APART - 0.01).all(), (thing, behind)  # a hundredth: colours are rounded to bytes
    assert ((palette("agent") - palette("grass")).norm(dim=-1)[len(THEME_NAMES) :] > APART - 0.01).all()
