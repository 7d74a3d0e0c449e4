"""V-JEPA 2's maths: only visible tokens are computed, the loss written out, the target encoder's average, and clear errors."""

from dataclasses import replace

import pytest
import torch

from armillary.core import Batch, ConfigError, WorldError, seeded
from armillary.core.settings import from_plain, to_plain
from armillary.data.shape import DataShape
from armillary.worlds.jepa.masking import BlockMask, FutureMask, draw_masking, draw_maskings
from armillary.worlds.jepa.pretrain import PRESETS, Config, ModelConfig, VideoPretraining, build, other_cuts
from armillary.worlds.jepa.released import save_release
from armillary.worlds.jepa.vit import choose
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2

SIZES = Sizes(width=24, depth=2, heads=2, predictor_width=16, predictor_depth=2, predictor_heads=2)
SHAPE = DataShape(
    height=32, width=24, action_size=2, action_mean=(0.0, 0.0), action_std=(1.0, 1.0), seconds_per_step=0.1, has_rewards=False
)
CONFIG = Config(model=ModelConfig(**vars(SIZES), num_frames=4, batch_size=3))


def networks(sizes: Sizes = SIZES) -> VJepa2:
    """Float64 weights at which every part matters, the target encoder's unlike the encoder's."""
    found, rng = VJepa2(sizes).double(), seeded(0)
    for parameter in found.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
    return found


def video(steps: int = 4, rows: int = 2) -> torch.Tensor:
    return torch.rand(rows, steps, 3, 32, 24, dtype=torch.float64, generator=seeded(1))


def batch_of(frames: torch.Tensor) -> Batch:
    return Batch(frames=frames, actions=torch.full((*frames.shape[:2], 2), torch.nan))


def test_a_tokens_pixels_are_its_tubelet():
    frames = video()
    patches = networks().encoder.patches(frames)
    time, row, column = 1, 2, 1
    cut = frames[:, 2:4, :, 16:24, 8:16].movedim(1, 2).flatten(1)
    assert torch.equal(patches[:, (time * 4 + row) * 3 + column], cut)


def test_visible_tokens_alone_are_those_of_attention_that_sees_nothing_else():
    encoder, frames = networks().encoder, video(rows=1)
    grid = encoder.grid(frames.shape)
    visible = draw_masking(BlockMask(blocks=2, area=0.3), grid, 1, seeded(2)).visible
    assert 0 < visible.shape[1] < grid.count
    seen = torch.zeros(grid.count, dtype=torch.bool)
    seen[visible[0]] = True
    allowed = seen[None, :] | torch.eye(grid.count, dtype=torch.bool)
    tokens, table = encoder.embed(encoder.patches(frames)), encoder.table(grid, frames.device)
    for block in encoder.blocks:
        tokens = block(tokens, table, allowed)
    torch.testing.assert_close(encoder(frames, visible), choose(encoder.norm(tokens), visible), atol=1e-9, rtol=0)


def test_hidden_pixels_reach_neither_encoder_nor_prediction():
    model, frames = networks(), video()
    grid = model.encoder.grid(frames.shape)
    masking = draw_masking(BlockMask(blocks=1, area=0.4), grid, 2, seeded(3))
    hidden = torch.zeros(2, grid.count)
    hidden.scatter_(1, masking.hidden, 1.0)
    tubes = hidden.unflatten(1, (grid.times, grid.rows, grid.columns))
    pixels = tubes.repeat_interleave(2, 1).repeat_interleave(8, 2).repeat_interleave(8, 3)[:, :, None]
    changed = frames + pixels.double()

    def predict(video: torch.Tensor) -> torch.Tensor:
        return model.predictor(model.encoder(video, masking.visible), grid, masking.visible, masking.hidden)

    assert torch.equal(predict(frames), predict(changed))
    assert not torch.allclose(model.targets(frames), model.targets(changed))


def test_predictions_do_not_depend_on_the_order_of_what_is_seen():
    model, frames = networks(), video(rows=1)
    grid = model.encoder.grid(frames.shape)
    masking = draw_masking(BlockMask(blocks=1, area=0.4), grid, 1, seeded(4))
    order = torch.randperm(masking.visible.shape[1], generator=seeded(5))
    mixed = masking.visible[:, order]
    straight, other = (model.predictor(model.encoder(frames, v), grid, v, masking.hidden) for v in (masking.visible, mixed))
    torch.testing.assert_close(straight, other, atol=1e-9, rtol=0)


def test_the_loss_equals_a_loop_forward_and_gradient():
    model, frames = networks(), video()
    grid = model.encoder.grid(frames.shape)
    maskings = draw_maskings((BlockMask(blocks=2, area=0.2), BlockMask(blocks=1, area=0.5)), grid, 2, seeded(6))
    ours = model.prediction_loss(frames, maskings)
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    pixels = (frames - mean) / std
    whole = model.target_encoder(pixels).detach()
    kinds = []
    for masking in maskings:
        errors = []
        for row in range(2):
            visible, hidden = masking.visible[row : row + 1], masking.hidden[row : row + 1]
            predicted = model.predictor(model.encoder(pixels[row : row + 1], visible), grid, visible, hidden)[0]
            for number, token in enumerate(hidden[0].tolist()):
                target = whole[row, token]
                target = (target - target.mean()) / (target.var(correction=0) + 1e-5).sqrt()
                errors += [(value - wanted).abs() for value, wanted in zip(predicted[number], target, strict=True)]
        kinds.append(sum(errors) / len(errors))
    naive = sum(kinds) / len(kinds)
    assert ours.total.item() == pytest.approx(naive.item(), abs=1e-6)  # targets are kept in float32
    assert ours.parts["prediction_1"].item() == pytest.approx(kinds[1].item(), abs=1e-6)
    leaves = [*model.encoder.parameters(), *model.predictor.parameters()]
    gradients = (torch.autograd.grad(one, leaves) for one in (ours.total, naive))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-4)


def test_what_a_collapsed_encoder_gives_is_seen():
    model = networks()
    for part in (model.target_encoder.norm.weight, model.target_encoder.norm.bias):
        part.data.fill_(0.0)
    model.target_encoder.norm.bias.data[0] = 1.0
    parts = model.prediction_loss(
        video(), draw_maskings((BlockMask(blocks=1, area=0.4),), model.encoder.grid((2, 4, 3, 32, 24)), 2, seeded(7))
    ).parts
    assert parts["spread"] < 1e-6 and parts["mean_target"] < 1e-6


def test_the_target_encoder_is_the_average_written_out():
    model, momentum, rng = networks(), 0.9, seeded(8)
    slow = {name: parameter.detach().clone() for name, parameter in model.target_encoder.named_parameters()}
    for _ in range(5):
        for parameter in model.encoder.parameters():
            parameter.data = torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
        model.follow(momentum)
        slow = {name: momentum * old + (1 - momentum) * dict(model.encoder.named_parameters())[name].detach() for name, old in slow.items()}
    for name, parameter in model.target_encoder.named_parameters():
        torch.testing.assert_close(parameter.detach(), slow[name], atol=1e-12, rtol=0)


def test_a_training_step_moves_the_target_by_the_average_only():
    world = build(CONFIG, SHAPE)
    world.begin_phase("pretrain")
    before = world.networks.target_encoder.embed.weight.clone()
    loss = world.loss(batch_of(video(rows=3).float()), seeded(9))
    loss.total.backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in world.networks.target_encoder.parameters())
    assert all(parameter.grad is not None for parameter in world.networks.encoder.parameters())
    assert all(parameter.grad is not None for parameter in world.networks.predictor.parameters())
    torch.optim.SGD([p for p in world.parameters() if p.requires_grad], lr=1.0).step()
    assert torch.equal(world.networks.target_encoder.embed.weight, before)
    world.after_step()
    moved = CONFIG.model.momentum * before + (1 - CONFIG.model.momentum) * world.networks.encoder.embed.weight
    torch.testing.assert_close(world.networks.target_encoder.embed.weight, moved)
    assert not torch.equal(moved, before)


def test_maskings_of_what_comes_next_join_those_of_blocks_or_stand_alone():
    batch = batch_of(video(rows=3).float())
    both, alone = (
        build(replace(CONFIG, model=replace(CONFIG.model, future_masks=1, **blocks)), SHAPE)
        for blocks in ({}, {"mask_blocks": (), "mask_areas": ()})
    )
    assert {"prediction_0", "prediction_1", "prediction_2"} <= both.loss(batch, seeded(0)).parts.keys()
    loss = alone.loss(batch, seeded(0))
    assert [name for name in loss.parts if name.startswith("prediction")] == ["prediction_0"]
    # what is asked for is the end of the window alone, and it is foreseen from the beginning alone
    changed = replace(batch, frames=torch.cat([batch.frames[:, :2], torch.rand_like(batch.frames[:, 2:])], dim=1))
    grid = alone.networks.encoder.grid(batch.frames.shape)
    masking = draw_masking(FutureMask(), grid, 3, seeded(0))
    assert masking.visible.shape[1] == grid.rows * grid.columns
    seen = [alone.networks.encoder(alone.networks.normalise(one.frames), masking.visible) for one in (batch, changed)]
    assert torch.equal(*seen)
    targets = choose(alone.networks.targets(alone.networks.normalise(batch.frames)), masking.hidden)
    predicted = alone.networks.predictor(seen[0], grid, masking.visible, masking.hidden)
    assert loss.total.item() == pytest.approx((predicted - targets).abs().mean().item(), rel=1e-6)


def test_the_same_seed_gives_the_same_loss():
    world, batch = build(CONFIG, SHAPE), batch_of(video(rows=3).float())
    world.begin_phase("pretrain")
    first, again, other = (world.loss(batch, seeded(seed)).total.item() for seed in (1, 1, 2))
    assert first == again != other


def test_a_still_picture_is_a_tubelet_that_stands_still():
    model, frames = networks(), video(steps=1)
    assert model.encode(frames).shape == (2, 1, 4, 3, 24)
    torch.testing.assert_close(model.encode(frames), model.encode(frames.expand(-1, 2, -1, -1, -1)))


def test_another_cut_is_the_same_in_every_frame_and_off_by_default():
    frames = video(rows=64)[:, :1].expand(-1, 4, -1, -1, -1)
    assert other_cuts(frames, 1.0, False, seeded(0)) is frames
    cut = other_cuts(frames, 0.3, True, seeded(0))
    assert cut.shape == frames.shape and cut.min() >= 0 and cut.max() <= 1
    torch.testing.assert_close(cut[:, 0], cut[:, 3])
    assert not torch.allclose(cut[0], frames[0])
    turned = other_cuts(frames, 1.0, True, seeded(0))
    straight = torch.tensor([torch.allclose(a, b) for a, b in zip(turned, frames, strict=True)])
    mirrored = torch.tensor([torch.allclose(a, b.flip(-1)) for a, b in zip(turned, frames, strict=True)])
    assert (straight ^ mirrored).all() and 16 < mirrored.sum() < 48


@torch.no_grad()
def test_windows_are_moved_in_training_alone():
    plain, moved = (build(replace(CONFIG, model=replace(CONFIG.model, shift_pixels=most)), SHAPE) for most in (0, 4))
    moved.load_state_dict(plain.state_dict())
    batch = batch_of(video().float())
    for world in (plain, moved):
        world.train()
    assert not torch.equal(plain.loss(batch, seeded(0)).total, moved.loss(batch, seeded(0)).total)
    for world in (plain, moved):
        world.eval()
    assert torch.equal(plain.loss(batch, seeded(0)).total, moved.loss(batch, seeded(0)).total)


def test_a_ramp_is_cut_to_a_ramp_of_the_published_share():
    """On a picture whose value is its column, the range that is left says how wide the cut was; likewise for rows."""
    column = ((torch.arange(64) + 0.5) / 64).expand(64, 64)
    frames = torch.stack([column, column.T, column])[None, None].expand(200, 1, -1, -1, -1)
    cut = other_cuts(frames, 0.3, False, seeded(1))[:, 0]
    width = (cut[:, 0, 32, -1] - cut[:, 0, 32, 0]) * 64 / 63
    height = (cut[:, 1, -1, 32] - cut[:, 1, 0, 32]) * 64 / 63
    assert (width * height).min() > 0.25 and (width * height).max() < 1.05
    assert 0.5 < (width * height).mean() < 0.7
    assert (width / height).min() > 0.7 and (width / height).max() < 1.4


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 3, 3, 32, 24), "multiple of 2 frames"),
        ((1, 4, 3, 30, 24), "patch of 8 pixels, received 30 x 24.*data.height.*24 and 24"),
        ((1, 4, 3, 32, 4), "received 32 x 4"),
        ((1, 4, 1, 32, 24), "3 channels"),
    ],
)
def test_frames_that_cannot_be_cut_are_refused(shape, words):
    with pytest.raises(WorldError, match=words):
        VJepa2(SIZES).encoder(torch.zeros(shape))


def test_what_a_run_cannot_train_on_is_refused_when_it_is_built():
    with pytest.raises(WorldError, match="received 33 x 24"):
        build(CONFIG, replace(SHAPE, height=33))
    world = build(CONFIG, SHAPE)
    with pytest.raises(ConfigError, match=r"model.num_frames = 4 pictures, received 2"):
        world.loss(batch_of(torch.zeros(1, 2, 3, 32, 24)), seeded(0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_frames": 5}, "num_frames must be 1"),
        ({"mask_blocks": (8,)}, "pair up"),
        ({"mask_blocks": (), "mask_areas": ()}, "needs a masking"),
        ({"future_masks": -1}, "received .* and -1"),
        ({"future_masks": 1, "num_frames": 2}, "num_frames >= 4, received 2"),
        ({"mask_areas": (0.15, 1.7)}, "between 0 and 1"),
        ({"momentum": 1.5}, "momentum"),
        ({"smallest_crop": 0.0}, "smallest_crop"),
        ({"shift_pixels": -1}, "shift_pixels must be >= 0"),
        ({"least_visible": 1.0}, "least_visible"),
        ({"heads": 5}, "multiple of model.heads"),
        ({"depth": 0}, "model.depth"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        replace(ModelConfig(), **settings)


def test_released_weights_are_read_once_when_training_begins(tmp_path):
    given = VJepa2(SIZES)
    save_release(given, tmp_path / "given", side=32, num_frames=4)
    world = build(replace(CONFIG, model=replace(CONFIG.model, init=str(tmp_path / "given"))), SHAPE)
    assert not torch.equal(world.networks.encoder.embed.weight, given.target_encoder.embed.weight)
    world.begin_phase("pretrain")
    for part in (world.networks.encoder, world.networks.target_encoder):
        assert torch.equal(part.embed.weight, given.target_encoder.embed.weight)
    assert world.networks.encoder.embed.weight.requires_grad and not world.networks.target_encoder.embed.weight.requires_grad
    world.networks.encoder.embed.weight.data.fill_(7.0)
    again = VideoPretraining(world.config, SHAPE)
    again.load_state_dict(world.state_dict())
    again.begin_phase("pretrain")
    assert (again.networks.encoder.embed.weight == 7.0).all()
    other = build(replace(CONFIG, model=replace(world.config, depth=3)), SHAPE)
    with pytest.raises(ConfigError, match=r"--model.depth 2"):
        other.begin_phase("pretrain")


@pytest.mark.parametrize(("preset", "millions"), [("tiny", 1.0), ("vit-l", 303.0), ("vit-h", 630.0), ("vit-g", 1012.0)])
def test_encoders_have_their_published_sizes(preset, millions):
    """Table 4 of the paper rounds to 300 M, 600 M and 1 B; the tiny one counts encoder and predictor."""
    config = PRESETS[preset].model
    with torch.device("meta"):
        model = VJepa2(config.sizes())
    parts = (model.encoder, model.predictor) if preset == "tiny" else (model.encoder,)
    count = sum(parameter.numel() for part in parts for parameter in part.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.02 if preset != "tiny" else 0.2)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_survives_a_runs_config_file_and_keeps_its_last_weights(preset):
    assert PRESETS[preset].train.validate_every == 0  # a lower loss on moving targets says nothing
    assert from_plain(Config, to_plain(PRESETS[preset])) == PRESETS[preset]
