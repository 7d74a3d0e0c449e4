"""What computes a learned world: chosen by name, refused with a reason, and the same pictures from the same seed and keys."""

import pytest
import torch

from armillary.core import ConfigError, Portable, Prompt, Renders, Rewards, seeded
from armillary.serve.backends import EXPORTED, on_backend
from armillary.serve.moved_world import moved
from armillary.serve.open_world import open_world
from armillary.worlds.catalog import build_small
from tests.serve.portable import Lamp
from tests.worlds.vmc.small_vmc import small_world


def test_eager_is_the_world_itself():
    world = Lamp()
    assert on_backend(world, "eager", "lamp") is world


def test_what_cannot_be_is_refused_with_what_can(monkeypatch):
    with pytest.raises(ConfigError, match="eager, onnx, cuda; received 'tpu'"):
        on_backend(Lamp(), "tpu", "lamp")
    with pytest.raises(ConfigError, match=f"pusher cannot be exported .* {', '.join(EXPORTED)}"):
        on_backend(build_small("pusher"), "onnx", "pusher")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        on_backend(Lamp(), "cuda", "lamp")
    with pytest.raises(ConfigError, match="platformer is a simulator"):
        open_world("platformer", backend="onnx")


def test_families_that_are_named_can_be_exported():
    assert EXPORTED == ("vmc",)
    assert all(isinstance(small_world(members=members), Portable) for members in (1, 2))


@torch.no_grad()
def test_a_moved_world_draws_the_same_chance():
    world = small_world(temperature=0.7).eval()
    there = moved(world, "cpu")
    assert isinstance(there, Rewards) and isinstance(there, Renders) and not isinstance(moved(Lamp(), "cpu"), Rewards)
    prompt = Prompt(batch_size=2, frames=torch.rand(2, 3, 3, 64, 64, generator=seeded(0)), actions=torch.zeros(2, 2, 3))
    one, other = (each.start(prompt, seeded(1)) for each in (world, there))
    for step in range(3):
        one, other = (each.step(state, torch.ones(2, 3), seeded(step)) for each, state in ((world, one), (there, other)))
    assert torch.equal(world.render(one)["rgb"], there.render(other)["rgb"])
    assert all(torch.equal(a, b) for a, b in zip(world.reward(one), there.reward(other), strict=True))
    seen = there.observe(other, torch.ones(2, 3), prompt.frames[:, 0], seeded(9))
    assert torch.equal(seen.context, prompt.frames[:, 0])


def test_only_modules_are_moved():
    with pytest.raises(ConfigError, match="a Pusher cannot be moved"):
        moved(build_small("pusher"), "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_a_gpu_shows_what_the_cpu_shows():
    prompt = Prompt(batch_size=1, frames=torch.rand(1, 3, 3, 64, 64, generator=seeded(0)), actions=torch.zeros(1, 2, 3))
    pictures = []
    for backend in ("eager", "cuda"):
        world = on_backend(small_world(temperature=0.7).eval(), backend, "vmc")
        state = world.start(prompt, seeded(1))
        for step in range(3):
            state = world.step(state, torch.ones(1, 3), seeded(step))
        pictures.append(world.render(state)["rgb"])
    assert torch.allclose(*pictures, atol=1e-2)
