"""Counterfactuals on worlds that obey their actions wholly, by half, not at all, or the wrong way round."""

import pytest
import torch

from armillary.core import DataError, Prompt, seeded
from armillary.evaluate.counterfactual import evaluate_counterfactual
from armillary.evaluate.open_loop import dream
from armillary.worlds.catalog import build_small
from tests.evaluate.toy import Level, Levels

ACTIONS = 0.01 * torch.randn(12, 9, 1, generator=torch.Generator().manual_seed(0))


class Simulator(Levels):
    """Levels that start by themselves."""

    def start(self, prompt, rng):
        return Level(torch.full((prompt.batch_size,), 0.5))


@pytest.fixture(scope="module")
def result():
    worlds = {"exact": 1.0, "half": 0.5, "ignores": 0.0, "opposite": -1.0}
    subjects = {name: dream(Levels(obeys, context_steps=3, trusting=True)) for name, obeys in worlds.items()}
    return evaluate_counterfactual(subjects, Simulator(), ACTIONS, num_context=3)


@pytest.mark.parametrize(
    ("subject", "correlation", "explained"),
    [("simulator", 1, 1), ("exact", 1, 1), ("half", 1, 0.75), ("ignores", 0, 0), ("copy_last", 0, 0), ("opposite", -1, -3)],
)
def test_scores_in_closed_form(result, subject, correlation, explained):
    """A difference of k times the true one has cosine sign(k) and explains 1 - (1 - k)^2 of it."""
    for horizon_s in (0.1, 0.7):
        found = result.correlation(subject, horizon_s), result.explained(subject, horizon_s)
        assert [one.value for one in found] == pytest.approx([correlation, explained], abs=1e-5)
        assert found[0].n == 12 and found[1].low == pytest.approx(explained, abs=1e-5)


def test_rows_have_the_documented_form(result):
    rows = result.rows()
    assert {tuple(row) for row in rows} == {("metric", "horizon_s", "subject", "value", "low", "high", "n")}
    assert {row["metric"] for row in rows} == {"counterfactual_correlation", "counterfactual_explained"}
    assert {row["horizon_s"] for row in rows} == {0.2, 0.4, 0.5, 0.7}


def test_a_pusher_that_moves_otherwise_is_found_out():
    """In the pusher: another simulation of the same start is perfect; one that turns actions by a quarter is not, though as sharp."""
    world = build_small("pusher", size=16)
    actions = torch.rand(5, 4, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1

    def roll(turn):
        def predict(context, context_actions, future_actions, rng):
            state = world.start(Prompt(batch_size=len(context)), seeded(0))
            ways = future_actions @ torch.tensor(turn)
            return torch.stack([world.render(one)["rgb"] for one in world.rollout(state, ways, rng)], dim=1)

        return predict

    subjects = {"same": roll([[1.0, 0.0], [0.0, 1.0]]), "turned": roll([[0.0, 1.0], [-1.0, 0.0]])}
    found = evaluate_counterfactual(subjects, world, actions, num_context=1)
    assert found.correlation("same", 0.4).value == pytest.approx(1.0)
    assert found.correlation("turned", 0.4).high < 0.6 and found.explained("turned", 0.4).high < 0.3


def test_too_few_ways_to_act_are_refused():
    with pytest.raises(DataError, match="two or more ways to act"):
        evaluate_counterfactual({}, Simulator(), ACTIONS[:1], num_context=1)
    with pytest.raises(DataError, match="at least num_context = 10 steps"):
        evaluate_counterfactual({}, Simulator(), ACTIONS, num_context=10)
