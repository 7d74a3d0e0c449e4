"""A tokenizer learns what balls look like: on balls it never saw it beats the DCT of as many numbers, with which it begins; codes too."""

import pytest
import torch

from armillary.core import Batch, Prompt, seeded
from armillary.tokenizers.train import ModelConfig, TrainedTokenizer
from armillary.worlds.catalog import build_small

SIDE, FRAMES, STEPS = 32, 9, 120


def balls(count: int, seed: int) -> torch.Tensor:
    """Clips of a small world."""
    world, rng = build_small("bouncing-balls", size=SIDE), seeded(seed)
    state, frames = world.start(Prompt(batch_size=count), rng), []
    for _ in range(FRAMES):
        frames.append(world.render(state)["rgb"])
        state = world.step(state, torch.zeros(count, *world.spec.action_space.shape), rng)
    return torch.stack(frames, dim=1)


@torch.no_grad()
def psnr_db(tokenizer: TrainedTokenizer, clips: torch.Tensor) -> float:
    given = tokenizer.network.decode(tokenizer.network.encode(clips)).clamp(0, 1)
    return float(-10 * (given - clips).square().mean((2, 3, 4)).log10().mean())


@pytest.mark.parametrize("settings", [{"latent_channels": 4}, {"bottleneck": "fsq", "latent_channels": 6}])
def test_more_than_a_dct_of_as_many_numbers_comes_back(settings):
    torch.manual_seed(0)
    tokenizer = TrainedTokenizer(ModelConfig(channels=8, blocks=1, linear_path=True, num_frames=FRAMES, **settings))
    seen, unseen, rng = balls(64, 1), balls(16, 2), seeded(0)
    before = psnr_db(tokenizer.eval(), unseen)
    optimizer = torch.optim.Adam(tokenizer.train().parameters(), lr=3e-3)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / STEPS)
        frames = seen[torch.randint(len(seen), (4,), generator=rng)]
        loss = tokenizer.loss(Batch(frames=frames, actions=torch.zeros(4, FRAMES, 1)), rng).total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tokenizer.parameters(), 1.0)
        optimizer.step()
    assert psnr_db(tokenizer.eval(), unseen) > before + 1.0
