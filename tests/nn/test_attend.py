"""Attention in 16 bits with a gradient, on a CPU: computed in 32, the answer of 32, whatever autocast says."""

import pytest
import torch

from armillary.nn.attend import attend


def heads(dtype: torch.dtype) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 5, 8, generator=draw).bfloat16().to(dtype).requires_grad_() for _ in range(3)]


def slopes(parts: list[torch.Tensor], allowed: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """The answer, then the gradients of its squares' sum."""
    seen = attend(*parts, allowed)
    return seen.detach(), *torch.autograd.grad(seen.float().square().sum(), parts)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_sixteen_bits_learn_as_thirty_two(masked: bool, autocast: bool):
    allowed = torch.ones(5, 5, dtype=torch.bool).tril() if masked else None
    wide = slopes(heads(torch.float32), allowed)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        narrow = slopes(heads(torch.bfloat16), allowed)
    for found, exact in zip(narrow, wide, strict=True):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), exact, rtol=0.02, atol=0.02)


def test_what_is_learned_in_sixteen_bits_is_attended_in_thirty_two(monkeypatch):
    asked, real = [], torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda query, *rest, **said: asked.append(query.dtype) or real(query, *rest, **said),
    )
    with torch.autocast("cpu", torch.bfloat16):
        attend(*heads(torch.bfloat16))
        with torch.no_grad():
            attend(*(one.detach() for one in heads(torch.bfloat16)))
    assert asked == [torch.float32, torch.bfloat16]
