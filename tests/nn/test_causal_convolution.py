"""Folded convolutions are the 3-D ones; chunks with a memory are the whole; nothing looks ahead."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from armillary.core import WorldError, seeded
from armillary.nn.causal_convolution import FactorisedConvolution, Memory, SpaceConvolution, StreamState, TimeConvolution


def made(frames: int = 5, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, channels, frames, 6, 4, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("lies_together", [True, False])
@torch.no_grad()
def test_folded_convolutions_are_3d_convolutions(lies_together):
    video = made().contiguous(memory_format=torch.channels_last_3d) if lies_together else made()
    space, time = SpaceConvolution(3, 4).double(), TimeConvolution(3).double()
    torch.testing.assert_close(space(video), functional.conv3d(video, space.weight, space.bias, padding=(0, 1, 1)))
    longer = torch.cat([video[:, :, :1], video[:, :, :1], video], dim=2)
    torch.testing.assert_close(time(video, Memory()), functional.conv3d(longer, time.weight, time.bias))
    strided = SpaceConvolution(3, 4, stride=2, padded=False).double()
    expected = functional.conv3d(video, strided.weight, strided.bias, stride=(1, 2, 2))
    torch.testing.assert_close(strided(video), expected)


@torch.no_grad()
def test_what_lies_together_stays_together():
    video = made().contiguous(memory_format=torch.channels_last_3d)
    out = FactorisedConvolution(3, 5).double()(video, Memory())
    assert out.is_contiguous(memory_format=torch.channels_last_3d)


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5))
@torch.no_grad()
def test_chunks_are_the_whole(sizes):
    layer, video = FactorisedConvolution(3, 2).double(), made(sum(sizes))
    state, parts = None, []
    for chunk in video.split(sizes, dim=2):
        memory = Memory(state, keeps=True)
        parts.append(layer(chunk, memory))
        state = memory.state((6, 4))
    torch.testing.assert_close(torch.cat(parts, dim=2), layer(video, Memory()))


@torch.no_grad()
def test_a_later_frame_changes_nothing_before_it():
    layer, video = FactorisedConvolution(3, 2).double(), made()
    changed = video.clone()
    changed[:, :, 3] += 1.0
    before, after = layer(video, Memory()), layer(changed, Memory())
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert not torch.allclose(before[:, :, 4], after[:, :, 4])


def stream(layer: torch.nn.Module, video: torch.Tensor) -> StreamState:
    memory = Memory(keeps=True)
    layer(video, memory)
    return memory.state((6, 4))


@torch.no_grad()
def test_a_state_branches_and_is_rebuilt_from_its_tensors():
    layer = FactorisedConvolution(3, 2).double()
    state = stream(layer, made())
    assert state.batch_size == 2
    branched = state.rows([1, 1, 0])
    chunk = made(2, seed=1)[[1, 1, 0]]
    torch.testing.assert_close(layer(chunk, Memory(branched)), layer(made(2, seed=1), Memory(state))[[1, 1, 0]])
    rebuilt = state.map(torch.zeros_like).with_tensors(state.tensors())
    assert all(torch.equal(a, b) for a, b in zip(rebuilt.layers, state.layers, strict=True)) and rebuilt.picture == (6, 4)
    with pytest.raises(WorldError, match=r"layers\.0"):
        state.with_tensors({})


@torch.no_grad()
def test_a_state_of_another_network_is_refused():
    layer = FactorisedConvolution(3, 2).double()
    state = stream(layer, made())
    wider = FactorisedConvolution(3, 4).double()
    with pytest.raises(WorldError, match=r"a layer wrote \(2, 2, 2, 6, 4\) and now sees \(2, 4, 5, 6, 4\)"):
        wider(made(), Memory(state))
    with pytest.raises(WorldError, match="fewer layers"):
        memory = Memory(state)
        layer(layer.space(made())[:, [0, 1, 0]], memory)
        layer(made(), memory)
    with pytest.raises(WorldError, match="more layers"):
        Memory(state).state((6, 4))
