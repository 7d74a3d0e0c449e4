"""Several cameras in one world: each has a mask of its own, what one shows is never altered, and what none shows is drawn."""

from dataclasses import replace

import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from armillary.nn.pluecker import pinhole, pluecker_rays, pose_of, poses_along
from armillary.worlds.video_diffusion.config import ModelConfig, ModeWeights
from armillary.worlds.video_diffusion.state import film
from armillary.worlds.video_diffusion.window import DRAWN, GIVEN, HIDDEN, Noise, Window, training_masks, views_apart, views_beside
from tests.worlds.video_diffusion.small_video import SHAPE, small_batch, small_world
from tests.worlds.video_diffusion.test_latents import latent_world, tokenizer_run

CAMERAS = ("left", "right")
TWO = replace(SHAPE, width=2 * SHAPE.width, cameras=CAMERAS)
CONFIG = ModelConfig(context_steps=3, chunk_steps=4)


def two_views(**changes):
    return small_world(**({"shape": TWO, "chunk_steps": 3} | changes))


def left(frames):
    return frames[..., : SHAPE.width]


def right(frames):
    return frames[..., SHAPE.width :]


def begun(world, batch, *, frames=2, cameras=None, seed=0):
    part = left if cameras == ("left",) else right if cameras == ("right",) else lambda whole: whole
    prompt = Prompt(batch_size=len(batch), frames=part(batch.frames[:, :frames]), actions=batch.actions[:, : frames - 1], cameras=cameras)
    return world.start(prompt, seeded(seed))


@pytest.mark.parametrize("changes", [{}, {"causal": False, "context_steps": 1}])
def test_keeps_the_contract(changes):
    world = two_views(chunk_steps=2, **changes)
    check_world(world)
    height, width = world.spec.sees
    frames = torch.rand(3, world.config.context_steps, 3, height, width // 2, generator=seeded(0))
    check_world(world, Prompt(batch_size=3, frames=frames, cameras=("right",)))


def test_cameras_side_by_side_and_one_after_another():
    cells = torch.arange(2 * 3 * 4 * 5 * 6.0).view(2, 3, 4, 5, 6)
    apart = views_apart(cells, 2)
    assert apart.shape == (2, 3, 8, 5, 3)
    assert torch.equal(apart[:, :, :4], cells[..., :3]) and torch.equal(apart[:, :, 4:], cells[..., 3:])
    assert torch.equal(views_beside(apart, 2), cells)


def masks(mode: str, views: int = 3, frames: int = 7):
    given, acted = training_masks(CONFIG, {mode: 1.0}, rows=2000, frames=frames, actions=6, rng=seeded(0), views=views)
    given = given.unflatten(1, (views, frames))
    assert torch.equal(given, given.cumprod(2).bool()), "of each camera a first part"
    return given.sum(2), acted


def test_some_cameras_are_drawn_from_others():
    counts, acted = masks("view_to_view")
    whole = counts == 7
    assert set(whole.sum(1).tolist()) == {1, 2}, "never all cameras, and never none"
    assert set(counts[~whole].tolist()) == {0, 1, 2, 3}
    assert whole.float().mean(0).tolist() == [pytest.approx(0.5, abs=0.04)] * 3
    assert {tuple(set(row)) for row in acted.tolist()} == {(HIDDEN,), (GIVEN,)}


@pytest.mark.parametrize("mode", ["image_to_world", "forward_dynamics", "inverse_dynamics", "policy"])
def test_in_a_share_of_other_windows_some_cameras_are_not_seen(mode):
    counts, acted = masks(mode)
    lone = (counts == 0).any(1)
    assert float(lone.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert bool((counts > 0).any(1).all()) and set((counts[lone] == 0).sum(1).tolist()) == {1, 2}
    seen = counts[lone].max(1, keepdim=True).values
    assert bool(((counts[lone] == seen) | (counts[lone] == 0)).all()), "those that are seen show equally much"
    alone, alone_acted = masks(mode, views=1)
    assert torch.equal(counts.max(1).values, alone[:, 0]) and torch.equal(acted, alone_acted), "what else is drawn is as of one camera"


def window_and_noise(world, given: list[list[int]], acted: int = GIVEN):
    """Random truth of which each row gives so many frames of each camera."""
    batch = small_batch(world, len(given))
    cells = world.space.to_cells(batch.frames)
    actions = world.standardise(batch.actions[:, :-1])
    window = Window(
        cells=cells,
        given=(torch.arange(cells.shape[2]) < torch.tensor(given)[..., None]).flatten(1),
        augment=torch.zeros(len(given)),
        actions=actions,
        acted=torch.full(actions.shape[:2], acted),
        text=torch.zeros(len(given), 6, dtype=torch.uint8),
    )
    return window, Noise.draw(tuple(cells.shape), tuple(actions.shape), seeded(3))


@torch.no_grad()
def test_only_what_each_camera_gives_counts():
    world = two_views()
    read = world.reader(torch.zeros(2, 6, dtype=torch.uint8))
    window, noise = window_and_noise(world, [[5, 2], [0, 1]])
    drawn, _ = world.denoiser.draw(window, noise, read)
    assert torch.equal(left(drawn)[0], left(window.cells)[0]) and torch.equal(right(drawn)[0, :, :2], right(window.cells)[0, :, :2])
    assert torch.equal(right(drawn)[1, :, :1], right(window.cells)[1, :, :1])
    assert not torch.allclose(left(drawn)[1], left(window.cells)[1], atol=1e-2)
    truth = views_apart(window.cells, 2)
    other = views_beside(torch.where(window.given[:, None, :, None, None], truth, truth + 1.0), 2)
    assert torch.equal(world.denoiser.draw(replace(window, cells=other), noise, read)[0], drawn)
    other = views_beside(torch.where(window.given[:, None, :, None, None], truth + 1.0, truth), 2)
    changed = world.denoiser.draw(replace(window, cells=other), noise, read)[0]
    assert not torch.allclose(right(changed)[0, :, 2:], right(drawn)[0, :, 2:], atol=1e-2)
    assert not torch.allclose(left(changed)[1], left(drawn)[1], atol=1e-2), "what a camera shows tells what another one sees"


@torch.no_grad()
def test_each_camera_carries_its_own_last_frame():
    cells = torch.arange(1.0, 9.0).view(1, 1, 8, 1, 1)
    given = torch.tensor([[True, True, False, False, False, False, False, False]])
    assert two_views().denoiser._held(cells, given).flatten().tolist() == [1, 2, 2, 2, 0, 0, 0, 0]
    assert two_views().denoiser._held(cells, given.roll(4, 1)).flatten().tolist() == [0, 0, 0, 0, 5, 6, 6, 6]


@torch.no_grad()
def test_the_loss_counts_the_frames_that_are_drawn_of_each_camera():
    world = two_views(carry=False)
    window, noise = window_and_noise(world, [[5, 2], [5, 5]])
    off = window.cells + 0.3 * views_beside((~window.given)[:, None, :, None, None].expand(2, 3, 10, 16, 24).float(), 2)
    world.denoiser.network = lambda *_: lambda x, told: torch.cat([off.flatten(1), window.actions.flatten(1)], dim=1)
    parts = world.denoiser.loss(window, noise, torch.tensor([0.5, 0.8]), None)
    assert float(parts["video"]) == pytest.approx(0.09 / 0.25, rel=1e-4)


def test_loss_reaches_every_part():
    modes = ModeWeights(forward_dynamics=0.4, inverse_dynamics=0.4, policy=0.4, view_to_view=0.4)
    world = two_views(image_share=0.25, modes=modes)
    world.begin_phase("diffusion")
    loss = world.loss(small_batch(world, 16), seeded(0))
    loss.total.backward()
    assert all(part > 0 for part in loss.parts.values())
    assert [name for name, one in world.named_parameters() if one.grad is None or not one.grad.any()] == []
    assert world.denoiser.transformer.view.weight.shape[0] == 2


@torch.no_grad()
def test_a_dream_of_all_cameras_begins_with_what_some_of_them_saw():
    world = two_views()
    batch = small_batch(world, 2)
    state = begun(world, batch, cameras=("left",))
    shown = world.render(state)
    assert torch.equal(shown["left"], left(batch.frames[:, 1])) and torch.equal(
        shown["rgb"], torch.cat([shown[c] for c in CAMERAS], dim=-1)
    )
    assert not torch.allclose(shown["right"], right(batch.frames[:, 1]), atol=1e-2)
    other = begun(world, replace(batch, frames=batch.frames.flip(0)), cameras=("left",))
    assert not torch.allclose(world.render(replace(other, noise=state.noise))["right"], shown["right"], atol=1e-3)
    whole = begun(world, batch)
    assert torch.equal(world.render(whole)["rgb"], batch.frames[:, 1])
    states = world.rollout(state, batch.actions[:, 1:5], seeded(7))
    chunk = film(world.chunks, states[2], 2, 3)
    assert torch.equal(left(chunk[:, :2]), left(batch.frames[:, :2]))
    for step, one in enumerate((state, *states[:3])):
        assert torch.allclose(world.render(one)["rgb"], chunk[:, 1 + step], atol=1e-4), "no picture changes by what is done later"
    assert bool(states[3].seen.all()) and torch.allclose(states[3].context, chunk[:, -2:], atol=1e-4), "the next chunk has seen all"
    seen = world.observe(state, batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    assert bool(seen.seen.all()) and seen.augment.tolist() == [pytest.approx(0.02)] * 2
    assert torch.equal(seen.context[:, 1], batch.frames[:, 2]) and torch.allclose(seen.context[:, 0], chunk[:, 1], atol=1e-4)


@torch.no_grad()
def test_imagine_goes_on_from_some_cameras():
    world = two_views()
    frames = small_batch(world, 2).frames
    found = world.imagine(Prompt(frames=right(frames[:, :2]), cameras=("right",)), seeded(0), steps=7)
    assert found.shape == (2, 7, 3, 16, 48)
    other = world.imagine(Prompt(frames=right(frames[:, 2:4]), cameras=("right",)), seeded(0), steps=7)
    assert not torch.allclose(left(found[:, 0]), left(other[:, 0]), atol=1e-3)
    turned = Prompt(frames=torch.cat([right(frames[:, :2]), left(frames[:, :2])], dim=-1), cameras=("right", "left"))
    assert torch.equal(world.imagine(turned, seeded(0)), world.imagine(Prompt(frames=frames[:, :2]), seeded(0))), "in any order"


@torch.no_grad()
def test_a_policy_acts_by_what_some_cameras_saw():
    """What stands in the place of a camera that is not shown is not taken for a picture of it."""
    world = two_views()
    frames = small_batch(world, 2).frames[:, :3]
    found = world.act(Prompt(frames=left(frames), cameras=("left",)), seeded(0))
    grey = torch.cat([left(frames), torch.zeros_like(left(frames))], dim=-1)
    assert found.shape == (2, 3, 3) and not torch.allclose(found, world.act(Prompt(frames=grey), seeded(0)), atol=1e-3)
    assert not torch.allclose(found, world.act(Prompt(frames=1.0 - left(frames), cameras=("left",)), seeded(0)), atol=1e-3)


@torch.no_grad()
def test_what_the_others_saw_is_drawn_over_the_whole_film():
    """Longer than a window, in pieces that go on from one another; in causal order the first piece is the same in a longer film."""
    world = two_views()
    frames = small_batch(world, 2).frames
    long = torch.cat([frames, frames.flip(1), frames], dim=1)
    found = world.see_from_all(Prompt(frames=left(long), cameras=("left",)), seeded(0))
    assert found.shape == long.shape and torch.equal(left(found), left(long))
    other = long.clone()
    other[:, 9:] = 0.5
    assert torch.equal(right(world.see_from_all(Prompt(frames=left(other), cameras=("left",)), seeded(0)))[:, :5], right(found)[:, :5])
    changed = world.see_from_all(Prompt(frames=1.0 - left(long), cameras=("left",)), seeded(0))
    assert not torch.allclose(right(changed), right(found), atol=1e-2)


def test_cells_of_a_tokenizer_know_one_camera_each(tmp_path):
    tokenizer_run(tmp_path / "run")
    one, two = latent_world(tmp_path / "run"), latent_world(tmp_path / "run", shape=TWO)
    frames = torch.rand(2, 5, 3, 16, 48, generator=seeded(0))
    cells = two.space.to_cells(frames)
    alone = torch.cat([one.space.to_cells(part(frames)) for part in (left, right)], dim=-1)
    assert torch.allclose(cells, alone, atol=1e-5)
    film = torch.cat([one.space.to_frames(part) for part in alone.chunk(2, dim=-1)], dim=-1)
    assert torch.allclose(two.space.to_frames(cells), film, atol=1e-5)
    with torch.no_grad():
        check_world(two, Prompt(batch_size=3, frames=torch.rand(3, 3, 3, 16, 24, generator=seeded(0)), cameras=("left",)))


@torch.no_grad()
def test_rays_of_all_cameras_are_in_one_frame():
    """That of the first camera when the last frame was given; where another one is beside it, its own six numbers say."""
    posed = replace(
        TWO, action_size=12, action_mean=(0.1,) * 12, action_std=(0.2,) * 12, more_fields_of_view_deg=(80.0,), field_of_view_deg=60.0
    )
    world = two_views(shape=posed, camera_condition=True)
    window, _ = window_and_noise(world, [[2, 0], [5, 1]])
    rays = world.denoiser._rays(window)
    motions, rig = (window.actions * 0.2 + 0.1).split(6, dim=-1)
    poses = poses_along(motions)
    for row, origin in enumerate((1, 4)):
        first = torch.linalg.solve(poses[row, origin], poses[row])
        second = first[1:] @ pose_of(rig[row])
        sizes = {"height": 16, "width": 24, "rows": 16, "columns": 24}
        expected = [pluecker_rays(pinhole(16, 24, field), of, **sizes).transpose(0, 1) for field, of in ((60.0, first), (80.0, second))]
        assert torch.allclose(rays[row, :, :5], expected[0], atol=1e-5)
        assert torch.allclose(rays[row, :, 6:], expected[1], atol=1e-5)
        assert not rays[row, :, 5].any(), "before any action nobody has said where the second camera is"
    acted = window.acted.index_fill(1, torch.tensor([2]), DRAWN)
    told = world.denoiser._rays(replace(window, acted=acted)).abs().sum((1, 3, 4)) > 0
    assert told.tolist() == [[True] * 3 + [False] * 2 + [False] + [True] * 2 + [False] * 2, [False] * 3 + [True] * 2 + [False] * 4 + [True]]
    assert torch.isfinite(world.loss(small_batch(world, 8), seeded(0)).total)
    with pytest.raises(ConfigError, match=r"12 numbers \(6 of the first and 6 of where each other one is beside it\).* these have 3"):
        two_views(camera_condition=True)
    with pytest.raises(ConfigError, match=r"needs model\.field_of_view_deg"):
        two_views(shape=replace(posed, more_fields_of_view_deg=()), camera_condition=True)


def test_what_does_not_fit_is_refused():
    world, frames = two_views(), torch.rand(2, 2, 3, 16, 24)
    for cameras, message in (
        (("left", "up"), "must be some of left, right, each once; received left, up"),
        (("left", "left"), "each once"),
        ((), "received none"),
        (CAMERAS, r"side by side must be 16 x 48 \(height x width\), received \(2, 2, 3, 16, 24\)"),
    ):
        with pytest.raises(WorldError, match=message):
            world.start(Prompt(batch_size=2, frames=frames, cameras=cameras), seeded(0))
    with pytest.raises(WorldError, match=r"must be b t \(3, 16, 48\)"):
        world.start(Prompt(batch_size=2, frames=frames), seeded(0))
    with pytest.raises(WorldError, match=r"trained on one camera; leave out Prompt\.cameras, received left"):
        small_world().start(Prompt(batch_size=2, frames=frames, cameras=("left",)), seeded(0))
    with pytest.raises(WorldError, match=r"shows all cameras; name in Prompt\.cameras those that it has, of left, right"):
        world.see_from_all(Prompt(frames=frames.repeat(1, 1, 1, 1, 2)), seeded(0))
    with pytest.raises(WorldError, match="was not trained for view_to_view"):
        small_world().see_from_all(Prompt(frames=frames), seeded(0))
    with pytest.raises(ConfigError, match=r"picture sides must be multiples of 8 .* received 16 x 20"):
        two_views(shape=replace(TWO, width=40))
    only = ModeWeights(**{name: float(name == "view_to_view") for name in vars(ModeWeights())})
    with pytest.raises(ConfigError, match=r"serves none of the modes asked for \(view_to_view\)"):
        small_world(modes=only)
