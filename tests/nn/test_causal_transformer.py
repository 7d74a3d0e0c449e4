"""A Llama-style transformer against its closed forms, and its memory against the whole sequence."""

import math

import pytest
import torch

from armillary.nn.causal_transformer import CausalAttention, CausalTransformer, Recall, hidden_size
from armillary.nn.rms_norm import RmsNorm
from armillary.nn.rope3d import rotary_table
from armillary.nn.swiglu import SwiGlu

WIDTH, HEADS, DEPTH = 24, 2, 3


def transformer() -> CausalTransformer:
    torch.manual_seed(0)
    network = CausalTransformer(WIDTH, DEPTH, HEADS)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return network


def positions(first: int, last: int):
    places = torch.cartesian_prod(torch.arange(first, last), torch.arange(2), torch.arange(2))
    return rotary_table(places[None], WIDTH // HEADS)


def test_rms_norm_is_its_formula():
    norm, x = RmsNorm(5), torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(norm.scale)
    expected = [
        [value / math.sqrt(sum(v * v for v in row) / 5 + 1e-6) * s for value, s in zip(row, norm.scale.tolist(), strict=True)]
        for row in x.tolist()
    ]
    assert torch.allclose(norm(x), torch.tensor(expected), atol=1e-6)
    assert norm(x.bfloat16()).dtype == torch.bfloat16


def test_swiglu_is_its_formula():
    part, x = SwiGlu(4, 6), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    gate, value = x @ part.gate_value.weight[:6].T, x @ part.gate_value.weight[6:].T
    assert torch.allclose(part(x), (gate / (1 + torch.exp(-gate)) * value) @ part.narrow.weight.T, atol=1e-6)
    assert hidden_size(4096) == 10_944  # two thirds of 4 * 4096, up to a multiple of 32


def test_attention_is_softmax_of_normed_turned_queries_and_keys():
    """Against a float64 loop over heads and tokens."""
    torch.manual_seed(1)
    attention, tokens = CausalAttention(WIDTH, HEADS), torch.randn(1, 4, WIDTH)
    torch.nn.init.normal_(attention.query_norm.scale)
    torch.nn.init.normal_(attention.key_norm.scale)
    rotary, size = positions(0, 1), WIDTH // HEADS
    mixed = (tokens[0] @ attention.queries_keys_values.weight.T).double()
    seen = torch.zeros(4, WIDTH, dtype=torch.float64)
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        query, key, value = (mixed[:, start : start + WIDTH][:, part] for start in (0, WIDTH, 2 * WIDTH))
        query, key = (
            rotary.rotate((x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt() * norm.scale).float()[None])[0].double()
            for x, norm in ((query, attention.query_norm), (key, attention.key_norm))
        )
        for i in range(4):
            weights = torch.softmax((key[: i + 1] @ query[i]) / math.sqrt(size), dim=0)
            seen[i, part] = weights @ value[: i + 1]
    expected = seen @ attention.join.weight.T.double()
    assert torch.allclose(attention(tokens, rotary, None)[0].double(), expected, atol=1e-5)


@torch.no_grad()
def test_a_later_token_never_changes_an_earlier_output():
    network, tokens = transformer(), torch.randn(2, 8, WIDTH, generator=torch.Generator().manual_seed(2))
    before = network(tokens, positions(0, 2))
    tokens[:, 5] += 1.0
    after = network(tokens, positions(0, 2))
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(dim=-1).all()


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[1] * 8, [3, 1, 4]])
def test_chunk_by_chunk_with_a_recall_is_the_whole(chunks):
    network, tokens = transformer(), torch.randn(2, 8, WIDTH, generator=torch.Generator().manual_seed(2))
    rotary, whole = positions(0, 2), network(tokens, positions(0, 2))
    recall, found, first = Recall(tokens.new_empty(2, DEPTH, 2, 0, WIDTH), None, HEADS, room=8), [], 0
    for size in chunks:
        index = torch.arange(first, first + size)[None]
        allowed = torch.ones(size, first + size, dtype=torch.bool).tril(first)[None, None]
        found.append(network(tokens[:, first : first + size], rotary.take(index), allowed, recall))
        first += size
    assert torch.allclose(torch.cat(found, dim=1), whole, atol=1e-5)


@torch.no_grad()
def test_a_memory_serves_at_any_time():
    """What is remembered knows no positions: the same memory two frames later gives the same outputs there."""
    network, tokens = transformer(), torch.randn(2, 8, WIDTH, generator=torch.Generator().manual_seed(2))
    recall = Recall(tokens.new_empty(2, DEPTH, 2, 0, WIDTH), None, HEADS, room=4)
    network(tokens[:, :4], positions(0, 1), torch.ones(4, 4, dtype=torch.bool).tril()[None, None], recall)
    allowed = torch.ones(4, 8, dtype=torch.bool).tril(4)[None, None]
    found = []
    for time in (0, 2):
        later = Recall(recall.new(), positions(time, time + 1), HEADS, room=4)
        found.append(network(tokens[:, 4:], positions(time + 1, time + 2), allowed, later))
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert torch.allclose(found[0], network(tokens, positions(0, 2))[:, 4:], atol=1e-5)


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="24 and 5"):
        CausalAttention(24, 5)
