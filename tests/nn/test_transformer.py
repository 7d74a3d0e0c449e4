"""Attention and the block against loops written out, forward and gradient; what may not be seen changes nothing."""

import math

import pytest
import torch

from armillary.core import seeded
from armillary.nn.attention import Attention
from armillary.nn.rope3d import rotary_table
from armillary.nn.transformer import Block, initialise


def made(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    rng = seeded(seed)
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
    return module.double()


def naive_attention(attention: Attention, tokens: torch.Tensor, table) -> torch.Tensor:
    count, width = tokens.shape
    size = width // attention.heads
    mixed = tokens @ attention.queries_keys_values.weight.T + attention.queries_keys_values.bias
    query, key, value = mixed.split(width, dim=-1)
    parts = []
    for head in range(attention.heads):
        cut = slice(head * size, (head + 1) * size)
        turned = [table.rotate(one[None, :, cut])[0] for one in (query, key)]
        out = []
        for i in range(count):
            weights = torch.stack([torch.exp((turned[0][i] * turned[1][j]).sum() / math.sqrt(size)) for j in range(count)])
            out.append(sum(weights[j] / weights.sum() * value[j, cut] for j in range(count)))
        parts.append(torch.stack(out))
    return torch.cat(parts, dim=-1) @ attention.join.weight.T + attention.join.bias


def test_attention_equals_loops_forward_and_gradient():
    attention = made(Attention(16, 2))
    table = rotary_table(torch.tensor([[[0, 0, 0], [0, 1, 2], [1, 0, 1]]]), 8)
    table = type(table)(table.cos.double(), table.sin.double())
    tokens = torch.randn(1, 3, 16, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    ours, naive = attention(tokens, table)[0], naive_attention(attention, tokens[0], table)
    torch.testing.assert_close(ours, naive, atol=1e-10, rtol=0)
    leaves = [tokens, *attention.parameters()]
    for mine, theirs in zip(*(torch.autograd.grad(one.square().sum(), leaves) for one in (ours, naive)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-9, rtol=0)


def test_the_block_adds_both_parts_to_what_came_in():
    block = made(Block(8, 2, mlp_ratio=2.0))
    tokens = torch.randn(2, 5, 8, dtype=torch.float64, generator=seeded(2))
    between = tokens + block.attention(torch.nn.functional.layer_norm(tokens, (8,), *block.attention_norm.parameters(), 1e-6))
    entered = torch.nn.functional.layer_norm(between, (8,), *block.feed_forward_norm.parameters(), 1e-6)
    inner = entered @ block.feed_forward.widen.weight.T + block.feed_forward.widen.bias
    inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
    expected = between + inner @ block.feed_forward.narrow.weight.T + block.feed_forward.narrow.bias
    torch.testing.assert_close(block(tokens), expected, atol=1e-10, rtol=0)


def test_a_token_that_may_not_be_seen_changes_nothing():
    block = made(Block(8, 2))
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    tokens = torch.randn(1, 6, 8, dtype=torch.float64, generator=seeded(3))
    changed = tokens.clone()
    changed[:, 4, 0] += 1.0
    before, after = block(tokens, None, causal), block(changed, None, causal)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 5], after[:, 5])


def test_deeper_blocks_begin_smaller():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        blocks = torch.nn.ModuleList(Block(64, 2) for _ in range(8))
        initialise(blocks, blocks)
    for layer, block in enumerate(blocks, start=1):
        for last in (block.attention.join, block.feed_forward.narrow):
            assert last.weight.std().item() == pytest.approx(0.02 / math.sqrt(2 * layer), rel=0.1)
        assert block.attention.queries_keys_values.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_a_width_that_heads_do_not_share_is_refused():
    with pytest.raises(ValueError, match="10 and 4"):
        Attention(10, 4)
