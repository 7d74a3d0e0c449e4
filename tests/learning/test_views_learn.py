"""Two cameras learned together: what one of them sees is told by what the other one does."""

from dataclasses import replace

import numpy as np
import torch

from armillary.core import Episode, Prompt, seeded, to_model
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.train import RunFolder, fit
from armillary.worlds.video_diffusion.config import ModeWeights
from armillary.worlds.video_diffusion.train import PRESETS, build
from tests.learning.test_video_diffusion_learns import CAMERA, PICTURE, hopping_square

CAMERAS = ("front", "back")
STEPS = 6  # pictures in a row that are looked at


def seen_by_two(index: int) -> Episode:
    """The hopping square, and beside it what a camera from behind sees: mirrored, and dark on light."""
    episode = hopping_square(index)
    front = episode.frames[CAMERA]
    return replace(episode, frames={",".join(CAMERAS): np.concatenate([front, 255 - front[:, :, ::-1]], axis=2)})


def psnr(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float(-10.0 * (found - truth).square().mean().log10())


def test_what_one_camera_sees_tells_what_the_other_does(tmp_path):
    train, test = [seen_by_two(index) for index in range(60)], [seen_by_two(index) for index in range(100, 116)]
    config = PRESETS["small"]
    only = {name: 0.0 for name in ("text_to_world", "image_to_world", "video_to_world", "inverse_dynamics", "policy")}
    modes = ModeWeights(**only, forward_dynamics=0.3, view_to_view=0.7)
    sizes = {"width": 64, "depth": 3, "context_steps": 1, "chunk_steps": 2, "sampling_steps": 4, "patch": 4, "image_share": 0.0}
    model = replace(config.model, **sizes, modes=modes, learning_rate=3e-3)
    fast = {"steps": 200, "warmup_steps": 20, "validate_every": 0, "tensorboard": False, "ema_decay": 0.98, "checkpoint_every": 0}
    data = DataConfig(height=PICTURE, width=PICTURE, cameras=CAMERAS)
    config = replace(config, model=model, data=data, train=replace(config.train, **fast))
    torch.manual_seed(0)
    world = build(config, measure(train, data))
    with RunFolder.create(tmp_path / "run", family="video-diffusion", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=[], camera=",".join(CAMERAS), config=config.train)
    pictures = torch.stack([to_model(np.ascontiguousarray(episode.frames[",".join(CAMERAS)][:STEPS])) for episode in test])
    front, back = pictures.chunk(2, dim=-1)
    found = world.see_from_all(Prompt(frames=front, cameras=CAMERAS[:1]), seeded(0))
    assert torch.equal(found[..., :PICTURE], front)
    told = psnr(found[..., PICTURE:], back)
    without = psnr(world.see_from_all(Prompt(frames=front.roll(1, 0), cameras=CAMERAS[:1]), seeded(0))[..., PICTURE:], back)
    mean = psnr(back.mean((0, 1), keepdim=True), back)
    assert told > max(mean, without) + 6.0, (told, without, mean)
