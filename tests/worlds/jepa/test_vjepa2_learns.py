"""V-JEPA 2 learns in half a minute: it foresees hidden tokens, and it comes to say where the ball is in pictures full of noise.

Without noise there is nothing to learn here: a linear probe of a random encoder's tokens already knows the ball's position
(R2 0.99), and so it stays. Noise that is new in every pixel and frame cannot be foreseen, so that a trained encoder drops it.
"""

import copy

import numpy as np
import torch

from armillary.core import Batch, Episode, seeded
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.train import RunFolder, TrainConfig, fit
from armillary.worlds.jepa.pretrain import Config, ModelConfig, VideoPretraining, build

CAMERA = "observation.images.view"
SIDE, RADIUS, STEPS, WINDOW, NOISE = 32, 4, 24, 8, 120
MODEL = ModelConfig(
    width=64,
    depth=4,
    heads=2,
    predictor_width=32,
    predictor_depth=2,
    predictor_heads=2,
    num_frames=WINDOW,
    momentum=0.98,
    learning_rate=2e-3,
)


def ball(index: int) -> Episode:
    """A white ball that flies straight and bounces off the border, grey behind it, all under fresh noise; `state` is its centre."""
    draw = np.random.default_rng(index)
    place, angle = draw.uniform(RADIUS, SIDE - RADIUS, size=2), draw.uniform(0, 2 * np.pi)
    velocity = draw.uniform(1.0, 2.5) * np.array([np.cos(angle), np.sin(angle)])
    rows, columns = np.mgrid[:SIDE, :SIDE]
    frames, centers = np.empty((STEPS, SIDE, SIDE, 3), np.uint8), np.empty((STEPS, 2), np.float32)
    for t in range(STEPS):
        inside = (rows - place[0]) ** 2 + (columns - place[1]) ** 2 < RADIUS**2
        clean = np.where(inside, 255, 80) + NOISE * draw.normal(size=(SIDE, SIDE))
        frames[t], centers[t] = clean.clip(0, 255)[..., None], place
        place = place + velocity
        outside = (place < RADIUS) | (place > SIDE - RADIUS)
        velocity = np.where(outside, -velocity, velocity)
        place = np.clip(place, RADIUS, SIDE - RADIUS)
    kept = {"state": centers, "actions": np.zeros((STEPS, 1), np.float32)}
    return Episode(frames={CAMERA: frames}, seconds_per_step=0.1, index=index, content_hash=f"ball {index}", **kept)


def pictures(episodes: list[Episode], start: int) -> torch.Tensor:
    cut = np.stack([episode.frames[CAMERA][start : start + WINDOW] for episode in episodes])
    return torch.from_numpy(cut).movedim(-1, 2).float() / 255


@torch.no_grad()
def tokens_and_places(world: VideoPretraining, episodes: list[Episode]) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens of every inner tubelet as one vector, and where the ball was between its two frames."""
    tokens, places = [], []
    for start in (0, 5, 10, 15):
        encoded = world.encode(pictures(episodes, start))
        for time in range(1, encoded.shape[1] - 1):
            tokens.append(encoded[:, time].flatten(1))
            first = start + 2 * time
            places.append(torch.from_numpy(np.stack([episode.state[first : first + 2].mean(0) for episode in episodes])))
    return torch.cat(tokens).double(), torch.cat(places).double()


def probe(world: VideoPretraining, training: list[Episode], held_out: list[Episode]) -> float:
    """R2 on held-out episodes of a ridge regression from frozen tokens to the ball's place; a fifth of the rows chooses the ridge."""
    (x, y), (x_test, y_test) = (tokens_and_places(world, episodes) for episodes in (training, held_out))
    mean, std, center = x.mean(0), x.std(0) + 1e-6, y.mean(0)
    x, x_test = (x - mean) / std, (x_test - mean) / std

    def solve(rows: slice, ridge: float) -> torch.Tensor:
        return torch.linalg.solve(x[rows].T @ x[rows] + ridge * torch.eye(x.shape[1], dtype=x.dtype), x[rows].T @ (y[rows] - center))

    most = len(x) * 4 // 5
    ridges = (1e1, 1e2, 1e3, 1e4, 1e5)
    errors = [(x[most:] @ solve(slice(0, most), ridge) - (y - center)[most:]).square().mean() for ridge in ridges]
    answer = x_test @ solve(slice(None), ridges[int(torch.stack(errors).argmin())])
    return 1 - ((answer - (y_test - center)).square().mean() / (y_test - center).square().mean()).item()


def test_foresees_hidden_tokens_and_finds_the_ball(tmp_path):
    training, held_out = [ball(index) for index in range(200)], [ball(index) for index in range(1000, 1100)]
    settings = {"weight_decay": 0.04, "warmup_steps": 20, "validate_every": 0, "tensorboard": False, "workers": 0}
    config = Config(data=DataConfig(height=SIDE, width=SIDE), train=TrainConfig(steps=250, **settings), model=MODEL)
    torch.manual_seed(0)
    world = build(config, measure(training, config.data))
    untrained = copy.deepcopy(world).eval()
    with RunFolder.create(tmp_path / "run", family="vjepa2", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=training, validation_episodes=[], camera=CAMERA, config=config.train)
    with torch.no_grad():
        loss = world.loss(Batch(frames=pictures(held_out, 8), actions=torch.zeros(100, WINDOW, 1)), seeded(0))
    assert loss.total < 0.93 * loss.parts["mean_target"]
    assert probe(world, training, held_out) > probe(untrained, training, held_out) + 0.1
