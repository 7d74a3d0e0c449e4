"""The trained baseline learns, listens to actions, and is aligned with them."""

import numpy as np
import pytest
import torch

from armillary.core import DataError
from armillary.evaluate.direct_unet import DirectUnetConfig, fit_direct_unet
from armillary.evaluate.open_loop import Protocol, evaluate_open_loop
from tests.evaluate.toy import CAMERA, SIZE, Levels, walk

SMALL = DirectUnetConfig(steps=150, batch_size=32, horizons_per_window=4, learning_rate=3e-3, widths=(8, 8), condition_size=32)
PROTOCOL = Protocol(horizon_s=0.6, report_s=(0.3, 0.6))


@pytest.fixture(scope="module")
def unet():
    return fit_direct_unet([walk(index) for index in range(30)], camera=CAMERA, num_future=6, config=SMALL)


def test_it_beats_copy_last_and_needs_the_true_actions(unet):
    held_out = [walk(index) for index in range(100, 105)]
    gray = np.full((SIZE, SIZE, 3), 0.5, np.float32)

    def misled(context, context_actions, future_actions, rng):
        return unet(context, context_actions, -future_actions, rng)

    predictors = {"direct_unet": unet, "misled": misled}
    result = evaluate_open_loop(Levels(), held_out, camera=CAMERA, mean_frame=gray, protocol=PROTOCOL, predictors=predictors)
    assert result.gain("psnr", "direct_unet", "copy_last", 0.6).low > 3.0
    assert result.gain("psnr", "direct_unet", "misled", 0.6).low > 3.0


def test_a_frame_depends_only_on_the_actions_before_it(unet):
    context, actions = torch.rand(2, 1, 3, SIZE, SIZE), torch.randn(2, 6, 1)
    other = actions.clone()
    other[:, 4:] += 1.0
    none = torch.zeros(2, 0, 1)
    one, two = (unet(context, none, given, torch.Generator()) for given in (actions, other))
    assert torch.equal(one[:, :4], two[:, :4]) and not torch.equal(one[:, 4:], two[:, 4:])


def test_the_same_seed_gives_the_same_weights_and_odd_sizes_fit():
    config = DirectUnetConfig(steps=2, batch_size=4, widths=(8, 8), condition_size=8)
    episodes = [walk(0)]
    one, two = (fit_direct_unet(episodes, camera=CAMERA, num_future=3, config=config, seed=5) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert one(torch.rand(1, 2, 3, 19, 14), torch.zeros(1, 1, 1), torch.zeros(1, 3, 1), torch.Generator()).shape == (1, 3, 3, 19, 14)


def test_it_stops_when_its_time_is_over():
    steps = []
    config = DirectUnetConfig(steps=1000, seconds=1e-9, batch_size=2, widths=(8, 8), condition_size=8)
    fit_direct_unet([walk(0)], camera=CAMERA, num_future=3, config=config, on_step=lambda step, loss: steps.append(step))
    assert len(steps) == 0


def test_episodes_too_short_are_refused():
    with pytest.raises(DataError, match="at least 21 steps"):
        fit_direct_unet([walk(0, 20)], camera=CAMERA, num_future=20)
