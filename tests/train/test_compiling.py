"""Compiled blocks: those that repeat, only while they are trained, with the numbers of blocks that are not compiled."""

import pytest
import torch
from torch import nn

from armillary.core import ConfigError
from armillary.train.compiling import compiled, repeated_blocks

CPU = torch.device("cpu")
TOKENS = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """A residual layer (without type hints: what checks them at run time cannot be compiled)."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, tokens):
        return tokens + torch.tanh(self.layer(tokens))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, tokens):
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


def gradients(network: nn.Module, call) -> tuple[torch.Tensor, list[torch.Tensor]]:
    network.zero_grad()
    outputs = call(TOKENS)
    outputs.square().sum().backward()
    return outputs.detach(), [weight.grad.clone() for weight in network.parameters()]


def test_a_compiled_block_gives_what_it_gave(monkeypatch):
    network, traced, real_compile = Network(), [], torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, **options: traced.append(call) or real_compile(call, backend="aot_eager", **options))
    plain, slopes = gradients(network, network)
    with compiled(network, network, CPU) as call:
        assert len(traced) == 3
        found, compiled_slopes = gradients(network, call)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(compiled_slopes, slopes, atol=1e-4, rtol=1e-4)


def test_blocks_are_as_they_were_afterwards_even_if_training_failed():
    network = Network()
    with pytest.raises(RuntimeError, match="mid-training"), compiled(network, network, CPU):
        assert all("forward" in vars(block) for block in network.blocks)
        raise RuntimeError("mid-training")
    assert not any("forward" in vars(block) for block in network.blocks)


def test_only_outermost_lists_of_called_modules_of_one_size_repeat():
    inner = [nn.Sequential(nn.Linear(2, 2)) for _ in range(2)]
    nested = nn.ModuleList(nn.TransformerEncoderLayer(4, 1, 8) for _ in range(2))
    for layer in nested:
        layer.deep = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
    network = nn.ModuleDict(
        {
            "same": nn.ModuleList(inner),
            "nested": nested,
            "sizes differ": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 4)]),
            "one": nn.ModuleList([nn.Linear(2, 2)]),
            "never called": nn.ModuleList(nn.ModuleDict({"a": nn.Linear(1, 1)}) for _ in range(2)),
        }
    )
    assert repeated_blocks(network) == [*inner, *nested]


def test_a_network_that_repeats_nothing_is_compiled_whole(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda call, **_: ("compiled", call))
    network = nn.Linear(2, 2)
    with compiled(network, network, CPU) as call:
        assert call == ("compiled", network)


def test_a_processor_without_a_compiler_is_told_what_to_install(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="no-such-compiler was found: install one"), compiled(Network(), Network(), CPU):
        pass
