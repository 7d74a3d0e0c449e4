"""The end-to-end JEPA learns from pixels in under a minute: where things are, and what actions do to them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from armillary.core import Batch, Episode, Prompt, seeded
from armillary.core.frames import to_model
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.train import RunFolder, fit
from armillary.train.metrics_log import read_metrics
from armillary.worlds.jepa.collapse import describe_collapse
from armillary.worlds.jepa.end_to_end_train import PRESETS, build
from armillary.worlds.jepa.end_to_end_world import EndToEndWorld
from armillary.worlds.small.record import CAMERA, record_episodes
from tests.worlds.jepa.gliding_dot import gliding_dot


def learn(tmp_path, episodes: list[Episode], *, preset: str, steps: int, **model) -> tuple[EndToEndWorld, list[dict]]:
    """A world trained by the one loop, and the rows of its metrics.jsonl."""
    config = PRESETS[preset]
    train = replace(config.train, steps=steps, warmup_steps=20, validate_every=0, checkpoint_every=0, tensorboard=False, workers=0)
    config = replace(config, model=replace(config.model, **model), train=train)
    torch.manual_seed(0)
    height, width = episodes[0].frames[CAMERA].shape[1:3]
    world = build(config, measure(episodes, DataConfig(height=height, width=width)))
    with RunFolder.create(tmp_path / "run", family="jepa", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=episodes, validation_episodes=[], camera=CAMERA, config=config.train)
        return world, read_metrics(run.path / "metrics.jsonl")


def whole(episodes: list[Episode]) -> Batch:
    """Every episode, whole."""
    columns = {name: torch.from_numpy(np.stack([getattr(e, name) for e in episodes])) for name in ("actions", "state")}
    return Batch(frames=torch.stack([to_model(e.frames[CAMERA]) for e in episodes]), **columns)


@torch.no_grad()
def ahead(world: EndToEndWorld, batch: Batch, actions: Tensor, steps: int) -> Tensor:
    """The latents predicted `steps` steps from every frame that has so many after it (`b t - steps d`)."""
    starts = batch.frames.shape[1] - steps
    state = world.start(Prompt(batch_size=len(batch) * starts, frames=batch.frames[:, :starts].flatten(0, 1)[:, None]), seeded(0))
    for step in range(steps):
        state = world.step(state, actions[:, step : step + starts].flatten(0, 1), seeded(0))
    return world.embed(state).unflatten(0, (len(batch), starts))


class Probe:
    """Ridge regression from latents to metres (or pixels)."""

    def __init__(self, latents: Tensor, targets: Tensor):
        inputs = self._inputs(latents).flatten(0, 1)
        ridge = 1e-3 * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
        self.weights = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets.flatten(0, 1).double())

    def error(self, latents: Tensor, targets: Tensor) -> float:
        """Mean distance of what is read from the latents to the truth."""
        return (self._inputs(latents) @ self.weights - targets).norm(dim=-1).mean().item()

    @staticmethod
    def _inputs(latents: Tensor) -> Tensor:
        return torch.cat([latents, torch.ones(*latents.shape[:-1], 1)], dim=-1).double()


@pytest.mark.parametrize("preset", ["default", "lewm"])
def test_action_t_leads_from_frame_t_to_the_next(tmp_path, preset):
    """Of a dot that jumps by its action, only the right action of the right step tells the next place."""
    training, held_out = [gliding_dot(index) for index in range(150)], [gliding_dot(index) for index in range(1000, 1020)]
    sizes = {"latent_size": 16, "width": 64, "channels": (8, 16), "num_projections": 64, "batch_size": 32, "learning_rate": 3e-3}
    # nothing here is similar from one frame to the next
    recipe = {"similarity_weight": 0.0, "inverse_weight": 1.0} if preset == "default" else {}
    world, rows = learn(
        tmp_path,
        training,
        preset=preset,
        steps=300,
        predict_steps=1,
        window_steps=4,
        memory_size=0,
        context_steps=1,
        **sizes,
        **recipe,
    )
    assert describe_collapse(rows[-1], dimensions=16) == ""
    batch = whole(held_out)
    with torch.no_grad():
        probe = Probe(world.encode(whole(training).frames), whole(training).state)
    errors = {
        "right": probe.error(ahead(world, batch, batch.actions, 1), batch.state[:, 1:]),
        "one step late": probe.error(ahead(world, batch, batch.actions.roll(1, 1), 1), batch.state[:, 1:]),
        "one step early": probe.error(ahead(world, batch, batch.actions.roll(-1, 1), 1), batch.state[:, 1:]),
        "another episode's": probe.error(ahead(world, batch, batch.actions.roll(1, 0), 1), batch.state[:, 1:]),
    }
    right, stays = errors.pop("right"), (batch.state[:, 1:] - batch.state[:, :-1]).norm(dim=-1).mean().item()
    assert right < 0.5 * stays and all(error > 2.5 * right for error in errors.values()), (right, stays, errors)


def test_two_rooms_are_learned_from_pixels(tmp_path):
    """The agent's place is read from the latent, and 0.5 s and 1.5 s ahead from the predicted latent, on episodes not seen in training."""
    training = record_episodes("two-rooms", num_episodes=80, num_steps=60, size=32, seed=0)
    held_out = whole(record_episodes("two-rooms", num_episodes=20, num_steps=60, size=32, seed=1))
    sizes = {"width": 128, "channels": (16, 32), "predict_steps": 5, "window_steps": 8, "learning_rate": 2e-3}
    world, rows = learn(tmp_path, training, preset="default", steps=500, **sizes)
    assert describe_collapse(rows[-1], dimensions=world.config.latent_size) == ""
    known, places = whole(training), held_out.state[..., :2]
    with torch.no_grad():
        probe, latents = Probe(world.encode(known.frames), known.state[..., :2]), world.encode(held_out.frames)
    somewhere = (places - known.state[..., :2].mean((0, 1))).norm(dim=-1).mean().item()
    assert probe.error(latents, places) < 0.3 * somewhere
    for steps, least_gain in ((5, 0.85), (15, 0.65)):
        stays = (places[:, steps:] - places[:, :-steps]).norm(dim=-1).mean().item()
        predicted = probe.error(ahead(world, held_out, held_out.actions, steps), places[:, steps:])
        shuffled = probe.error(ahead(world, held_out, held_out.actions.roll(1, 0), steps), places[:, steps:])
        assert predicted < least_gain * stays and predicted < 0.6 * shuffled, (steps, predicted, stays, shuffled)
