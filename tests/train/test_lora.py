"""Low-rank updates begin as nothing, are all that learns, and add up to plain weights."""

import pytest
import torch
from torch import nn

from armillary.core import CheckpointError, ConfigError, seeded
from armillary.nn.causal_convolution import SpaceConvolution
from armillary.train.lora import add_low_rank, is_update, merged, plain_name
from tests.worlds.diffusion.small_diffusion import small_batch, small_world

LEARNED = ("reader.cell.weight_ih",)


def stir(module: nn.Module) -> None:
    """Give the updates values, since they begin as zero."""
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if is_update(name):
                parameter.normal_(std=0.1)


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.SiLU(), nn.Conv2d(6, 4, 1, bias=False), nn.Flatten(), nn.Linear(36, 5))


def test_updates_begin_as_nothing():
    plain, updated = small_world(), small_world()
    add_low_rank(updated, 3, learned=LEARNED, seed=0)
    first, second = (world.eval().loss(small_batch(world), seeded(2)).total for world in (plain, updated))
    assert torch.equal(first, second)


@pytest.mark.parametrize("phase", ["guess", "diffusion"])
def test_only_updates_and_what_was_named_learn(phase):
    world = small_world()
    before = {name: tensor.clone() for name, tensor in world.named_parameters()}
    add_low_rank(world, 3, learned=LEARNED, seed=0)
    stir(world)
    assert {name for name, _ in world.named_parameters() if not is_update(name)} == set(LEARNED)
    world.begin_phase(phase)
    optimizer = torch.optim.AdamW(world.parameters(), lr=0.1, weight_decay=0.1)
    world.loss(small_batch(world), seeded(2)).total.backward()
    moved = {name for name, tensor in world.named_parameters() if tensor.grad is not None and tensor.grad.any()}
    prefixes = ("reader", "painter") if phase == "guess" else ("transformer", "finish", "embed_action")
    assert moved and all(name.startswith(prefixes) for name in moved)
    assert set(LEARNED) & moved == (set(LEARNED) if phase == "guess" else set())
    optimizer.step()
    after = {plain_name(name): tensor for name, tensor in world.state_dict().items() if not is_update(name)}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if name not in LEARNED)


@torch.no_grad()
def test_merged_weights_give_what_the_updated_module_gives():
    plain, updated, pictures = layers(), layers(), torch.randn(2, 3, 8, 8, generator=seeded(1))
    add_low_rank(updated, 2, learned=(), seed=0)
    stir(updated)
    wanted = updated(pictures)
    assert not torch.allclose(plain(pictures), wanted, atol=1e-2)
    plain.load_state_dict(merged(updated.state_dict()))
    assert torch.allclose(plain(pictures), wanted, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_whole_world_merged_draws_the_same():
    plain, updated = small_world().eval(), small_world().eval()
    add_low_rank(updated, 3, learned=LEARNED, seed=0)
    stir(updated)
    plain.load_state_dict(merged(updated.state_dict()))
    for phase in ("guess", "diffusion"):
        plain.begin_phase(phase)
        updated.begin_phase(phase)
        first, second = (world.loss(small_batch(world), seeded(2)).total for world in (plain, updated))
        assert torch.allclose(first, second, rtol=1e-5)


def test_merging_is_what_peft_does():
    updated = layers()
    add_low_rank(updated, 2, learned=(), seed=0)
    stir(updated)
    ours = merged(updated.state_dict())
    for name in ("0", "2", "4"):
        layer = updated.get_submodule(name)
        layer.merge()
        assert torch.allclose(layer.base_layer.weight, ours[f"{name}.weight"], atol=1e-6)


def test_a_small_layer_gets_a_rank_that_it_can_use():
    updated = layers()
    add_low_rank(updated, 16, learned=(), seed=0)
    assert updated.state_dict()["2.lora_A.default.weight"].shape == (4, 6, 1, 1)


def test_layers_that_peft_would_get_wrong_stay_as_they_are():
    """One that reads its own weight, dilated, in groups, padded with what lies at the other side."""
    wrong = [SpaceConvolution(2, 2), *(nn.Conv2d(2, 2, 3, **one) for one in ({"dilation": 2}, {"groups": 2}, {"padding_mode": "circular"}))]
    module = nn.ModuleList([*wrong, nn.Linear(2, 2)])
    add_low_rank(module, 1, learned=(), seed=0)
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"4"}


def test_a_layer_is_meant_by_its_whole_name():
    inner = nn.ModuleDict({"enter": nn.Conv2d(2, 2, 3, dilation=2), "other": nn.Linear(8, 8)})
    module = nn.ModuleDict({"enter": nn.Linear(2, 8), "inner": inner, "xother": nn.Linear(8, 8)})
    add_low_rank(module, 4, learned=("inner.other.weight", "inner.other.bias"), seed=0)
    ranks = {name: len(tensor) for name, tensor in module.state_dict().items() if name.endswith("lora_A.default.weight")}
    assert ranks == {"enter.lora_A.default.weight": 2, "xother.lora_A.default.weight": 4}


def test_the_seed_decides_the_first_updates_and_nothing_else_is_drawn():
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    found = []
    for seed in (0, 0, 1):
        module = layers()
        torch.manual_seed(3)
        add_low_rank(module, 2, learned=(), seed=seed)
        assert torch.equal(torch.rand(1), wanted)
        found.append(module.state_dict()["4.lora_A.default.weight"])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_what_cannot_be_updated_is_said():
    with pytest.raises(ConfigError, match="at least 1; received -2"):
        add_low_rank(layers(), -2, learned=(), seed=0)
    with pytest.raises(ConfigError, match="no linear or convolutional layer"):
        add_low_rank(nn.Sequential(nn.GRUCell(2, 2)), 2, learned=(), seed=0)
    updated = layers()
    add_low_rank(updated, 2, learned=(), seed=0)
    half = {name: tensor for name, tensor in updated.state_dict().items() if name != "4.lora_B.default.weight"}
    with pytest.raises(CheckpointError, match="update of 4 is not whole"):
        merged(half)
