"""The transformer: what looks at what, its rotations, its sizes."""

from dataclasses import replace

import pytest
import torch

from armillary.core import seeded
from armillary.worlds.video_diffusion.blocks import Modulation
from armillary.worlds.video_diffusion.model import Acts, Layout, Text, TransformerConfig, VideoTransformer
from armillary.worlds.video_diffusion.rotary import video_turn
from armillary.worlds.video_diffusion.train import PRESETS
from armillary.worlds.video_diffusion.window import window_layout

SMALL = TransformerConfig(channels=4, out=3, width=24, depth=2, heads=2, rank=4, action_size=2, causal=True)


def settled(config: TransformerConfig) -> VideoTransformer:
    torch.manual_seed(0)
    network = VideoTransformer(config)
    for parameter in network.parameters():
        parameter.data = 0.4 * torch.randn(parameter.shape, generator=seeded(parameter.numel()))
    return network.eval()


def case(frames: int = 4, rate: int = 1, rows: int = 2) -> dict:
    steps = (frames - 1) * rate
    return {
        "cells": torch.randn(rows, 4, frames, 4, 6, generator=seeded(0)),
        "level": torch.rand(rows, frames, generator=seeded(1)),
        "layout": window_layout(frames, rate, 0.1, torch.device("cpu")),
        "acts": Acts(
            torch.randn(rows, steps, 2, generator=seeded(2)),
            torch.rand(rows, steps, generator=seeded(3)),
            torch.rand(rows, steps, generator=seeded(4)) < 0.5,
        ),
    }


@pytest.mark.parametrize("rate", [1, 2])
@torch.no_grad()
def test_no_step_looks_at_a_later_one(rate):
    """A step is a frame of cells and the actions that lead to it; they do look at one another."""
    network, given = settled(replace(SMALL, actions_per_frame=rate)), case(rate=rate)
    cells, acts = given["cells"].clone(), given["acts"]
    cells[:, :, 2] += 1.0
    values = acts.values.clone()
    values[:, 2 * rate - 1] += 1.0  # the last action that leads to frame 2
    for changed in ({"cells": cells}, {"acts": replace(acts, values=values)}):
        (drawn, done), (other, other_done) = network(**given), network(**(given | changed))
        assert torch.equal(drawn[:, :, :2], other[:, :, :2]) and torch.equal(done[:, :rate], other_done[:, :rate])
        for now, then in ((drawn[:, :, 2], other[:, :, 2]), (drawn[:, :, 3], other[:, :, 3]), (done[:, rate], other_done[:, rate])):
            assert not torch.allclose(now, then, atol=1e-4)


@torch.no_grad()
def test_a_prefix_is_drawn_as_in_the_whole():
    network, given = settled(SMALL), case()
    acts = Acts(*(part[:, :2] for part in vars(given["acts"]).values()))
    short = {"cells": given["cells"][:, :, :3], "level": given["level"][:, :3], "layout": case(frames=3)["layout"], "acts": acts}
    drawn, done = network(**given)
    part, part_done = network(**short)
    assert torch.allclose(drawn[:, :, :3], part, atol=1e-5) and torch.allclose(done[:, :2], part_done, atol=1e-5)


@torch.no_grad()
def test_without_a_causal_order_all_look_at_all():
    network, given = settled(replace(SMALL, causal=False)), case()
    later = given["cells"].clone()
    later[:, :, 3] += 1.0
    assert not torch.allclose(network(**given)[0][:, :, 0], network(**(given | {"cells": later}))[0][:, :, 0], atol=1e-4)


@torch.no_grad()
def test_a_given_action_steers_its_frame_beyond_its_token():
    """Marked as given, the same value at the same level says more."""
    network, given = settled(SMALL), case()
    acts = given["acts"]
    none = replace(acts, given=torch.zeros_like(acts.given))
    one = replace(none, given=none.given.index_fill(1, torch.tensor([1]), True))
    (drawn, _), (other, _) = network(**(given | {"acts": none})), network(**(given | {"acts": one}))
    assert torch.equal(drawn[:, :, :2], other[:, :, :2])
    assert not torch.allclose(drawn[:, :, 2], other[:, :, 2], atol=1e-4)


@torch.no_grad()
def test_views_share_one_attention_and_are_told_apart():
    """Two cameras, three steps: each frame knows what the other camera saw until then, and which camera it is."""
    network, given = settled(replace(SMALL, views=2)), case(frames=6)
    layout = case(frames=3)["layout"]
    twice = Layout(
        layout.times.repeat(2), layout.steps.repeat(2), layout.action_times, layout.action_steps, torch.tensor([0, 0, 0, 1, 1, 1])
    )
    acts = Acts(*(part[:, :2] for part in vars(given["acts"]).values()))
    given |= {"layout": twice, "acts": acts}
    drawn, _ = network(**given)
    cells = given["cells"].clone()
    cells[:, :, 4] += 1.0  # the second camera at the second step
    other, _ = network(**(given | {"cells": cells}))
    assert torch.equal(drawn[:, :, [0, 3]], other[:, :, [0, 3]])
    assert all(not torch.allclose(drawn[:, :, frame], other[:, :, frame], atol=1e-4) for frame in (1, 2, 4, 5))
    swapped, _ = network(**(given | {"layout": replace(twice, views=1 - twice.views)}))
    assert not torch.allclose(drawn, swapped, atol=1e-4)


def test_rotations_know_differences_of_time_place_and_rate_only():
    """Logits of queries and keys turned to two places depend on the difference of the places; twice the rate is half the time."""
    query, key = (torch.randn(1, 1, 1, 16, generator=seeded(seed)).expand(1, 12, 1, 16) for seed in (0, 1))

    def logits(times):
        turn = video_turn(times, times[:0], rows=2, columns=2, head_size=16)
        return (turn.rotate(query)[0, :, 0] @ turn.rotate(key)[0, :, 0].T).view(3, 4, 3, 4)

    first = logits(torch.tensor([0.0, 2.4, 4.8]))
    assert torch.allclose(first[0, :, 1], first[1, :, 2], atol=1e-5)
    assert torch.allclose(first, logits(torch.tensor([7.0, 9.4, 11.8])), atol=1e-5)
    assert torch.allclose(first[0, :, 1], logits(torch.tensor([0.0, 1.2, 2.4]))[0, :, 2], atol=1e-5)
    assert not torch.allclose(first[0, :, 1], logits(torch.tensor([0.0, 1.2, 2.4]))[0, :, 1], atol=1e-2)


def test_an_action_stands_between_its_frames():
    """Two frames of video a cell, at 10 a second: cells 2.4 ticks apart, as Cosmos counts; actions a quarter and three quarters in."""
    layout = window_layout(3, 2, 0.1, torch.device("cpu"))
    assert torch.allclose(layout.times, torch.tensor([0.0, 2.4, 4.8]))
    assert torch.allclose(layout.action_times, torch.tensor([0.6, 1.8, 3.0, 4.2]))
    assert layout.steps.tolist() == [0, 1, 2] and layout.action_steps.tolist() == [1, 1, 2, 2]


def test_an_untrained_network_says_nothing_and_learns_everywhere_after_a_step():
    torch.manual_seed(0)
    network, given = VideoTransformer(replace(SMALL, text_width=5, limits=(4, 2, 3))), case()
    given["text"] = Text(torch.randn(2, 3, 5, generator=seeded(5)))
    drawn, done = network(**given)
    assert not drawn.any() and not done.any()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        drawn, done = network(**given)
        ((drawn - 1).square().mean() + (done - given["acts"].values.sum(-1, keepdim=True)).square().mean()).backward()
        optimizer.step()
    assert [name for name, parameter in network.named_parameters() if not parameter.grad.any()] == []


def test_modulations_begin_as_a_plain_norm_behind_a_closed_gate():
    tokens, nothing = torch.randn(1, 3, 8, generator=seeded(0)), torch.zeros(1, 3, 24)
    modulation = Modulation(8, 2, 3)
    torch.nn.init.zeros_(modulation.up.weight)
    normed, gate = modulation(tokens, torch.ones(1, 3, 8), nothing, (1, 1, 1))
    assert torch.allclose(normed, torch.nn.functional.layer_norm(tokens, (8,), eps=1e-6)) and not gate.any()


def test_the_released_size_has_two_billion_weights():
    model = PRESETS["cosmos-2b"].model
    with torch.device("meta"):
        network = VideoTransformer(
            TransformerConfig(
                channels=18,
                out=16,
                width=model.width,
                depth=model.depth,
                heads=model.heads,
                patch=model.patch,
                rank=model.rank,
                text_width=model.text_width,
            )
        )
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e9 == pytest.approx(1.96, abs=0.05)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiples of the patch, received 5 x 6 and 2"):
        VideoTransformer(SMALL)(**(case() | {"cells": torch.zeros(2, 4, 4, 5, 6)}))
    with pytest.raises(ValueError, match="this network reads no text"):
        VideoTransformer(SMALL)(**case(), text=Text(torch.zeros(2, 1, 5)))
    with pytest.raises(ValueError, match="learned places for 3 frames, received 4"):
        VideoTransformer(replace(SMALL, limits=(3, 2, 3)))(**case())
