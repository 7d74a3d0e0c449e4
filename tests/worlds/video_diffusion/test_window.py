"""Modes are masks: what each gives, hides and asks for; what is given is never altered, and what is hidden never looked at."""

from dataclasses import replace

import pytest
import torch

from armillary.core import ConfigError, seeded
from armillary.nn.pluecker import poses_along
from armillary.worlds.video_diffusion.config import ModelConfig, ModeWeights
from armillary.worlds.video_diffusion.window import DRAWN, GIVEN, HIDDEN, MODES, Noise, Window, served_modes, training_masks
from tests.worlds.video_diffusion.small_video import SHAPE, small_batch, small_world

CONFIG = ModelConfig(context_steps=3, chunk_steps=4)


def masks(mode: str, config: ModelConfig = CONFIG, rows: int = 400, frames: int = 7, actions: int = 6):
    return training_masks(config, {mode: 1.0}, rows=rows, frames=frames, actions=actions, rng=seeded(0))


def test_each_mode_gives_its_frames():
    """A first part of the window, whose sizes all occur; half of the windows have a full context."""
    expected = {
        "text_to_world": {0},
        "image_to_world": {1},
        "video_to_world": {1, 2, 3},
        "forward_dynamics": {1, 2, 3},
        "inverse_dynamics": {7},
        "policy": {1, 2, 3},
    }
    assert {*expected, "view_to_view"} == set(MODES), "the last one is for several cameras (test_views.py)"
    for mode, counts in expected.items():
        given, _ = masks(mode)
        assert set(given.sum(1).tolist()) == counts
        assert torch.equal(given, given.cumprod(1).bool())
    assert float((masks("policy")[0].sum(1) == 3).float().mean()) == pytest.approx(2 / 3, abs=0.06)


def test_each_mode_gives_hides_or_draws_its_actions():
    for mode in ("text_to_world", "image_to_world", "video_to_world"):
        assert bool((masks(mode)[1] == HIDDEN).all())
    assert bool((masks("inverse_dynamics")[1] == DRAWN).all())
    given, acted = masks("policy")
    between = torch.arange(6) < given.sum(1, keepdim=True) - 1
    assert bool((acted[~between] == DRAWN).all()) and set(acted[between].tolist()) == {HIDDEN, GIVEN}
    given, acted = masks("forward_dynamics")
    between = torch.arange(6) < given.sum(1, keepdim=True) - 1
    assert bool((acted[~between] == GIVEN).all()) and set(acted[between].tolist()) == {HIDDEN, GIVEN}


def test_where_a_cell_joins_frames_actions_may_end_anywhere():
    config = replace(CONFIG, tokenizer="run", latents=replace(CONFIG.latents, rate="4x8x8"), context_steps=5, chunk_steps=8)
    given, acted = masks("forward_dynamics", config, frames=4, actions=12)
    ends = (acted == GIVEN) * torch.arange(1, 13)
    assert set(ends.max(1).values.tolist()) == set(range(13))
    assert set(given.sum(1).tolist()) == {1, 2}


def test_modes_are_drawn_by_their_weights():
    given, acted = training_masks(CONFIG, {"inverse_dynamics": 0.25, "text_to_world": 0.75}, rows=4000, frames=7, actions=6, rng=seeded(0))
    assert float(given.all(1).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.equal(given.all(1), (acted == DRAWN).all(1)) and torch.equal(~given.any(1), (acted == HIDDEN).all(1))


def test_what_the_data_cannot_serve_is_left_out(caplog):
    weights = ModeWeights(text_to_world=1.0, image_to_world=1.0, video_to_world=0.0, forward_dynamics=2.0, inverse_dynamics=0.0, policy=0.0)
    assert served_modes(weights, has_text=False, has_actions=True) == (
        {"image_to_world": pytest.approx(1 / 3), "forward_dynamics": pytest.approx(2 / 3)},
        ("text_to_world",),
    )
    assert served_modes(weights, has_text=True, has_actions=False)[1] == ("forward_dynamics",)
    world = small_world(shape=replace(SHAPE, has_text=False))
    assert "mode text_to_world is left out: there is no text to train it with" in caplog.text
    assert sum(world.modes.values()) == pytest.approx(1.0)
    only_text = ModeWeights(**{name: float(name == "text_to_world") for name in MODES})
    with pytest.raises(ConfigError, match=r"serves none of the modes asked for \(text_to_world\)"):
        small_world(shape=replace(SHAPE, has_text=False), modes=only_text)
    with pytest.raises(ConfigError, match=r"model\.modes must be 0 or more, one of them above"):
        ModeWeights(policy=-1.0)


def window_and_noise(world, acted: int, given: int = 2):
    batch = small_batch(world, 2)
    cells = world.space.to_cells(batch.frames)
    frames, steps = cells.shape[2], batch.frames.shape[1] - 1
    window = Window(
        cells=cells,
        given=(torch.arange(frames) < given).expand(2, -1),
        augment=torch.tensor([0.0, 0.1]),
        actions=world.standardise(batch.actions[:, :steps]),
        acted=torch.full((2, steps), acted),
        text=torch.zeros(2, 6, dtype=torch.uint8),
    )
    return window, Noise.draw(tuple(cells.shape), tuple(window.actions.shape), seeded(3))


@pytest.mark.parametrize("noising", ["rectified-flow", "edm"])
@torch.no_grad()
def test_only_what_is_known_counts(noising):
    """The truth of frames and actions that are drawn or hidden changes nothing; that of given ones does."""
    world = small_world(noising=noising)
    read = world.reader(torch.zeros(2, 6, dtype=torch.uint8))
    for acted, counts in ((HIDDEN, False), (DRAWN, False), (GIVEN, True)):
        window, noise = window_and_noise(world, acted)
        drawn, done = world.denoiser.draw(window, noise, read)
        assert torch.equal(drawn[:, :, :2], window.cells[:, :, :2])
        assert torch.equal(done, window.actions) == (acted == GIVEN)
        other = replace(window, actions=window.actions + 1.0)
        assert torch.allclose(world.denoiser.draw(other, noise, read)[0][:, :, 2:], drawn[:, :, 2:], atol=1e-5) != counts
        truth = window.cells.clone()
        truth[:, :, 2:] += 1.0
        assert torch.equal(world.denoiser.draw(replace(window, cells=truth), noise, read)[0], drawn)
        seen = replace(window, cells=window.cells + 1.0)
        assert not torch.allclose(world.denoiser.draw(seen, noise, read)[0][:, :, 2:], drawn[:, :, 2:], atol=1e-2)


@torch.no_grad()
def test_the_loss_counts_what_is_drawn():
    """Errors of given frames and of hidden actions have no part in it; a perfect estimate has none."""
    world = small_world(carry=False)
    window, noise = window_and_noise(world, DRAWN)
    level = torch.tensor([0.5, 0.8])
    clean = torch.cat([window.cells.flatten(1), window.actions.flatten(1)], dim=1)
    world.denoiser.network = lambda *_: lambda x, told: clean
    assert all(part == 0 for part in world.denoiser.loss(window, noise, level, None).values())
    off = clean.clone()
    off[0, : window.cells[0].numel()] += (0.3 * ~window.given[0])[None, :, None, None].expand(window.cells[0].shape).flatten()
    world.denoiser.network = lambda *_: lambda x, told: off
    parts = world.denoiser.loss(window, noise, level, None)
    assert float(parts["video"]) == pytest.approx(0.5 * 0.09 / 0.25, rel=1e-4) and parts["actions"] == 0
    off[:, -1] += 1.0
    acts = [
        world.denoiser.loss(replace(window, acted=torch.full_like(window.acted, one)), noise, level, None)["actions"] for one in (0, 1, 2)
    ]
    assert acts[0] == acts[2] == 0 and float(acts[1]) == pytest.approx((1 / 0.25 + 1 / 0.64) / 2 / 15, rel=1e-4)


@torch.no_grad()
def test_the_last_frame_given_is_carried_on():
    world = small_world()
    cells = torch.arange(1.0, 7.0).view(1, 1, 6, 1, 1)
    held = world.denoiser._held(cells, torch.tensor([[True, True, False, False, True, False]]))
    assert held.flatten().tolist() == [1, 2, 2, 2, 5, 5]
    assert world.denoiser._held(cells, torch.zeros(1, 6, dtype=torch.bool)).abs().sum() == 0


@torch.no_grad()
def test_rays_follow_the_motions_that_are_known():
    """In the frame of the last camera given its middle ray is the axis z; after an unknown motion nothing is told."""
    shape = replace(SHAPE, action_size=6, action_mean=(0.1,) * 6, action_std=(0.2,) * 6)
    world = small_world(shape=shape, camera_condition=True, field_of_view_deg=60.0, patch=2)
    window, _ = window_and_noise(world, GIVEN)
    motions = window.actions * 0.2 + 0.1
    rays = world.denoiser._rays(window)
    poses = poses_along(motions)
    relative = torch.linalg.solve(poses[:, 1:2], poses)
    middle = rays[:, :, :, 7:9, 11:13].mean((3, 4))  # the four cells around the axis
    assert torch.allclose(middle[:, 3:, 1], torch.zeros(2, 3), atol=1e-6)
    assert torch.allclose(torch.nn.functional.normalize(middle[:, :3], dim=1), relative[:, :, :3, 2].transpose(1, 2), atol=1e-5)
    acted = window.acted.clone()
    acted[0, 3] = HIDDEN
    told = world.denoiser._rays(replace(window, acted=acted)).abs().sum((1, 3, 4)) > 0
    assert told.tolist() == [[True, True, True, True, False, False], [True] * 6]
    with pytest.raises(ConfigError, match=r"6 numbers, .* these have 3"):
        small_world(camera_condition=True)
    with pytest.raises(ConfigError, match=r"needs model\.field_of_view_deg, or data\.camera_motion"):
        small_world(shape=shape, camera_condition=True)


@torch.no_grad()
def test_motions_that_a_step_joins_follow_one_another():
    """Rays of steps of two motions are those of every second step of one motion; the data's field of view counts as the given one does."""
    one = replace(SHAPE, action_size=6, action_mean=(0.1,) * 6, action_std=(0.2,) * 6)
    two = replace(one, action_size=12, action_mean=(0.1,) * 12, action_std=(0.2,) * 12, field_of_view_deg=60.0)
    single = small_world(shape=one, camera_condition=True, field_of_view_deg=60.0)
    joined = small_world(shape=two, camera_condition=True)
    window, _ = window_and_noise(joined, GIVEN)
    fine = replace(
        window,
        cells=window.cells.repeat_interleave(2, dim=2)[:, :, :-1],
        given=(torch.arange(11) <= 2).expand(len(window.cells), 11),
        actions=window.actions.unflatten(-1, (2, 6)).flatten(1, 2),
        acted=torch.full((len(window.cells), 10), GIVEN),
    )
    assert torch.allclose(joined.denoiser._rays(window), single.denoiser._rays(fine)[:, :, ::2], atol=1e-5)
    assert not torch.allclose(joined.denoiser._rays(window)[:, :, 2], single.denoiser._rays(fine)[:, :, 2], atol=1e-2)


def test_rays_are_exact_in_half_precision():
    shape = replace(SHAPE, action_size=6, action_mean=(0.1,) * 6, action_std=(0.2,) * 6)
    world = small_world(shape=shape, camera_condition=True, field_of_view_deg=60.0)
    rays = []
    world.denoiser._rays, usual = lambda window: rays.append(usual(window)) or rays[-1], world.denoiser._rays
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            assert torch.isfinite(world.loss(small_batch(world), seeded(0)).total)
    assert len(rays) == 4 and all(torch.equal(*pair) for pair in zip(rays[:2], rays[2:], strict=True))  # of videos, of single frames
