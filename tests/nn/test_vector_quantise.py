"""Vector quantisation against loops over plain numbers, alone and over two processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from armillary.core import ConfigError, seeded
from armillary.nn import vector_quantise
from armillary.nn.vector_quantise import VectorQuantiser
from tests.nn.quantise_together import learn

ROOT = Path(__file__).parents[2]


def quantiser(seed: int = 0, **settings) -> VectorQuantiser:
    torch.manual_seed(seed)
    return VectorQuantiser(**({"num_codes": 7, "size": 3} | settings))


def step(vq: VectorQuantiser, z: torch.Tensor, rng: torch.Generator | None = None):
    made = vq.quantise(z)
    vq.observe(z, made.codes, rng or seeded(0))
    vq.after_step()
    return made


def _start(script: list[str], environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(script, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def nearest_by_hand(row: np.ndarray, vectors: np.ndarray) -> int:
    return int(np.argmin([sum((a - b) ** 2 for a, b in zip(row, vector, strict=True)) for vector in vectors]))


def test_each_latent_gets_the_nearest_vector(monkeypatch):
    vq, z = quantiser(num_codes=20), torch.randn(2, 3, 4, 5, generator=seeded(1))
    made = vq.quantise(z)
    for b, h, w in np.ndindex(2, 4, 5):
        code = nearest_by_hand(z[b, :, h, w].double().numpy(), vq.vectors.double().numpy())
        assert int(made.codes[b, h, w]) == code
        assert torch.equal(made.z[b, :, h, w], vq.vectors[code])
    monkeypatch.setattr(vector_quantise, "DISTANCES_AT_ONCE", 60)  # three latents at a time
    assert torch.equal(vq.quantise(z).codes, made.codes)


def test_far_from_zero_the_nearest_is_still_found():
    vq = quantiser(num_codes=50)
    z = torch.randn(400, 3, generator=seeded(2))
    near = vq.quantise(z).codes
    vq.vectors += 4096.0
    moved = (z + 4096.0).double()
    expected = [nearest_by_hand(row, vq.vectors.double().numpy()) for row in moved.numpy()]
    assert vq.quantise(moved.float()).codes.tolist() == expected
    assert float((near == torch.tensor(expected)).float().mean()) > 0.95  # the shift itself costs float32 some bits


def test_the_gradient_passes_through_and_the_commitment_draws_the_latents_to_their_codes():
    vq, weight = quantiser(commitment=0.4), torch.randn(10, 3, generator=seeded(3))
    z = torch.randn(10, 3, generator=seeded(4), requires_grad=True)
    made = vq.quantise(z)
    (passed,) = torch.autograd.grad((made.z * weight).sum(), z)
    assert torch.equal(passed, weight)
    far = z.detach() - vq.vectors[made.codes]
    assert float(made.losses["commitment"].detach()) == pytest.approx(0.4 * float((far**2).mean()), rel=1e-5)
    (drawn,) = torch.autograd.grad(made.losses["commitment"], z)
    torch.testing.assert_close(drawn, 0.4 * 2 * far / far.numel())


def test_moving_averages_equal_the_sums_written_out():
    vq = quantiser(decay=0.8, restart_after=None).double()
    vectors = vq.vectors.numpy().copy()
    counts, sums = np.zeros(7), np.zeros((7, 3))
    for index in range(12):
        z = torch.randn(9, 3, generator=seeded(100 + index), dtype=torch.float64)
        step(vq, z)
        chosen = [nearest_by_hand(row, vectors) for row in z.numpy()]
        for code in range(7):
            mine = [row for row, its in zip(z.numpy(), chosen, strict=True) if its == code]
            counts[code] = 0.8 * counts[code] + 0.2 * len(mine)
            sums[code] = 0.8 * sums[code] + 0.2 * np.sum(mine, axis=0)
            if mine:
                vectors[code] = sums[code] / counts[code]
        np.testing.assert_allclose(vq.vectors.numpy(), vectors, rtol=1e-12)


def test_several_looks_in_a_step_count_as_one():
    z = torch.randn(30, 3, generator=seeded(5))
    whole, parts = quantiser(restart_after=None), quantiser(restart_after=None)
    step(whole, z)
    for part in z.split(10):
        parts.observe(part, parts.quantise(part).codes, seeded(0))
    parts.after_step()
    torch.testing.assert_close(parts.vectors, whole.vectors)
    before = parts.vectors.clone()
    parts.after_step()  # nothing was seen since
    assert torch.equal(parts.vectors, before)


def test_unused_codes_start_again_at_latents_of_the_step():
    vq, near = quantiser(num_codes=4, size=2, restart_after=3), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    vq.vectors.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0], [90.0, 0.0], [0.0, 90.0]]))
    vq.mean_sums.copy_(vq.vectors)
    vq.mean_counts.fill_(1.0)
    vq.idle_steps.zero_()
    for waited in range(2):
        step(vq, near)
        assert vq.idle_steps.tolist() == [0, 0, waited + 1, waited + 1]
        assert vq.vectors[2:].tolist() == [[90.0, 0.0], [0.0, 90.0]]
    step(vq, near)
    assert vq.idle_steps.tolist() == [0, 0, 0, 0]
    assert not vq.mean_counts[2:].any() and not vq.mean_sums[2:].any()  # the past goes with the place
    assert sorted(vq.vectors[2:].tolist()) == near.tolist()  # two codes, two latents: each is taken once


def test_more_unused_codes_than_latents_wait_their_turn():
    vq = quantiser(num_codes=50, restart_after=1)
    step(vq, torch.randn(4, 3, generator=seeded(6)))
    assert int((vq.idle_steps == 0).sum()) <= 4 + 4  # those that were hit, and one start for each latent
    for index in range(20):
        step(vq, torch.randn(4, 3, generator=seeded(7 + index)))
    assert bool(torch.isfinite(vq.vectors).all())


def test_the_first_batch_places_every_code():
    vq, z = quantiser(num_codes=16), 50 + torch.randn(200, 3, generator=seeded(8))
    step(vq, z)
    assert float((vq.vectors - 50).abs().max()) < 5
    again = quantiser(num_codes=16)
    step(again, z)
    assert torch.equal(again.vectors, vq.vectors)  # the same generator, the same starts
    other = quantiser(num_codes=16)
    step(other, z, seeded(1))
    assert not torch.equal(other.vectors, vq.vectors)


def test_what_was_learned_travels_with_the_weights():
    first = quantiser(restart_after=2)
    for index in range(5):
        step(first, torch.randn(9, 3, generator=seeded(index)))
    second = quantiser(seed=1, restart_after=2)
    second.load_state_dict(first.state_dict())
    for index in range(5, 12):
        z = torch.randn(9, 3, generator=seeded(index))
        assert torch.equal(step(first, z).codes, step(second, z).codes)
    assert torch.equal(first.vectors, second.vectors)


def test_two_processes_learn_what_one_does(tmp_path):
    """With the noise of the loop, down to which latents the unused codes start from; the two agree to the bit."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WORLD_SIZE": "2"}
    script = [sys.executable, str(Path(__file__).parent / "quantise_together.py"), str(tmp_path)]
    pair = [_start(script, environment | {"RANK": str(rank)}) for rank in range(2)]
    try:
        said = [process.communicate(timeout=300)[0] for process in pair]
    finally:
        for process in pair:
            process.kill()
    assert [process.returncode for process in pair] == [0, 0], said
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    alone = learn(rank=0, world_size=1)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{"decay": 1.0}, {"commitment": -1.0}, {"restart_after": 0}])
def test_settings_that_cannot_learn_are_refused(settings):
    with pytest.raises(ConfigError, match="needs decay in") as failure:
        quantiser(**settings)
    assert str(next(iter(settings.values()))) in str(failure.value)


@pytest.mark.parametrize("sizes", [{"num_codes": 0}, {"size": 0}])
def test_no_codes_and_no_channels_are_refused(sizes):
    with pytest.raises(ConfigError, match="at least one code and one channel"):
        quantiser(**sizes)
