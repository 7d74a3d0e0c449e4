"""V-JEPA 2-AC learns in half a minute, on an encoder that never learned, what actions do to its tokens and to the robot's state."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from armillary.core import Batch, Episode, Prompt, seeded
from armillary.core.frames import to_model
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.train import RunFolder, fit
from armillary.worlds.jepa.action_conditioned_train import PRESETS, build
from armillary.worlds.jepa.action_conditioned_world import ActionConditionedState, ActionConditionedWorld
from armillary.worlds.small.record import CAMERA
from tests.worlds.jepa.gliding_dot import gliding_dot

SIDE = 16
SIZES = {"width": 48, "depth": 1, "heads": 2, "patch_size": 4, "predictor_width": 64, "predictor_depth": 2, "predictor_heads": 2}


def windows(episodes: list[Episode], starts: range, steps: int) -> Batch:
    """Windows that begin at each of `starts` in every episode."""
    cuts = [(episode, slice(start, start + steps)) for episode in episodes for start in starts]
    columns = {name: torch.from_numpy(np.stack([getattr(e, name)[cut] for e, cut in cuts])) for name in ("actions", "state")}
    return Batch(frames=torch.stack([to_model(e.frames[CAMERA][cut]) for e, cut in cuts]), **columns)


@torch.no_grad()
def ahead(world: ActionConditionedWorld, batch: Batch, actions: Tensor, steps: int) -> ActionConditionedState:
    """`steps` steps on from the second frame of every window, by some actions."""
    prompt = Prompt(batch_size=len(batch), frames=batch.frames[:, :2], actions=batch.actions[:, :1], state=batch.state[:, 1])
    return world.rollout(world.start(prompt, seeded(0)), actions[:, 1 : 1 + steps], seeded(0))[-1]


def test_foresees_tokens_and_state_and_listens_to_actions(tmp_path):
    episodes = [gliding_dot(index) for index in range(150)]
    held_out = windows([gliding_dot(index) for index in range(1000, 1020)], range(0, 4, 3), 8)
    preset = PRESETS["default"]
    quick = {"steps": 900, "warmup_steps": 20, "validate_every": 0, "checkpoint_every": 0, "tensorboard": False, "workers": 0}
    config = replace(preset, train=replace(preset.train, **quick))
    config = replace(config, model=replace(preset.model, encoder="random", **SIZES, batch_size=16, learning_rate=3e-3))
    torch.manual_seed(0)
    world = build(config, measure(episodes, DataConfig(height=SIDE, width=SIDE)))
    frozen = {name: tensor.clone() for name, tensor in world.encoder.state_dict().items()}
    with RunFolder.create(tmp_path / "run", family="vjepa2-ac", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=episodes, validation_episodes=[], camera=CAMERA, config=config.train)
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in world.encoder.state_dict().items())
    tokens, other = world.encode(held_out.frames), held_out.actions.roll(2, 0)  # of another episode
    for steps in (1, 5):
        truth = tokens[:, 1 + steps]
        stays = (tokens[:, 1] - truth).square().mean().item()
        right, wrong = (ahead(world, held_out, actions, steps) for actions in (held_out.actions, other))
        predicted, misled = ((state.tokens[:, -1] - truth).square().mean().item() for state in (right, wrong))
        assert predicted < 0.6 * stays and predicted < 0.75 * misled, (steps, predicted, stays, misled)
        places = (world.foreseen_state(right), held_out.state[:, 1])
        error, still = ((place - held_out.state[:, 1 + steps]).norm(dim=-1).mean() for place in places)
        assert error < 0.3 * still, (steps, error, still)
