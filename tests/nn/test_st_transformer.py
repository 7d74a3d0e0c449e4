"""The ST transformer: causal in time, local to its window, and the same with a memory as without."""

import pytest
import torch

from armillary.nn.st_transformer import NormedAttention, STTransformer

GRID, WIDTH, PAST = (2, 3), 24, 2


def transformer(depth: int = 2) -> STTransformer:
    torch.manual_seed(0)
    made = STTransformer(grid=GRID, past_frames=PAST, width=WIDTH, depth=depth, heads=2).eval()
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def tokens(steps: int = 6) -> torch.Tensor:
    return torch.randn(2, steps, GRID[0] * GRID[1], WIDTH, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_a_later_frame_never_changes_an_earlier_one():
    model, given = transformer(), tokens()
    changed = given.clone()
    changed[:, 3:] += 1.0
    first, second = model(given)[0], model(changed)[0]
    assert torch.equal(first[:, :3], second[:, :3])
    assert not torch.allclose(first[:, 3], second[:, 3])


@torch.no_grad()
def test_a_frame_sees_as_many_frames_back_as_it_should():
    model, given = transformer(depth=1), tokens()
    changed = given.clone()
    changed[:, 0] += 1.0
    first, second = model(given)[0], model(changed)[0]
    differs = [not torch.allclose(first[:, step], second[:, step]) for step in range(6)]
    assert differs == [True] * (PAST + 1) + [False] * 3


@torch.no_grad()
def test_in_time_a_place_sees_its_own_place_alone():
    """With one block, what another place held a frame before is not seen; in its own frame it is."""
    model, given = transformer(depth=1), tokens(steps=2)
    changed = given.clone()
    changed[:, 0, 4] += 1.0
    first, second = model(given)[0], model(changed)[0]
    assert not torch.allclose(first[:, 0, 0], second[:, 0, 0])
    model.blocks[0].space.join.weight.zero_()
    first, second = model(given)[0], model(changed)[0]
    assert torch.equal(first[:, 1, 0], second[:, 1, 0]) and not torch.allclose(first[:, 1, 4], second[:, 1, 4])


@torch.no_grad()
def test_frame_by_frame_with_a_memory_is_one_pass():
    model, given = transformer(), tokens()
    whole, kept = model(given)
    memory, outputs = None, []
    for step in range(given.shape[1]):
        output, new = model(given[:, step : step + 1], memory)
        memory = new if memory is None else torch.cat([memory, new], dim=3)[:, :, :, -PAST:]
        outputs.append(output)
    assert torch.allclose(torch.cat(outputs, dim=1), whole, atol=1e-5)
    assert torch.allclose(memory, kept[:, :, :, -PAST:], atol=1e-5)


@torch.no_grad()
def test_frames_that_are_not_there_are_not_seen():
    model, given = transformer(), tokens(steps=4)
    there = torch.tensor([[False, False, True, True], [True] * 4])
    changed = given.clone()
    changed[0, :2] += 1.0
    first, second = model(given, there=there)[0], model(changed, there=there)[0]
    assert torch.equal(first[0, 2:], second[0, 2:])
    assert torch.allclose(first[0, 2:], model(given[:1, 2:])[0][0], atol=1e-5)
    assert torch.allclose(first[1], model(given[1:])[0][0], atol=1e-5)


@torch.no_grad()
def test_what_is_allowed_is_what_is_seen():
    """Masked frames look at remembered ones before them and at themselves."""
    model, given = transformer(depth=1), tokens(steps=3)
    memory = model(given)[1]
    allowed = torch.tensor([[[True, False, False, True, False], [True, True, False, False, True]]])
    asked = given[:, 1:].flip(1)
    first = model(asked, memory, first=1, allowed=allowed)[0]
    changed = memory.clone()
    changed[:, :, :, 1] += 1.0
    second = model(asked, changed, first=1, allowed=allowed)[0]
    assert torch.equal(first[:, 0], second[:, 0]) and not torch.allclose(first[:, 1], second[:, 1])


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="10 and 3"):
        NormedAttention(10, 3)
