"""The inverse-dynamics policy: it learns on frozen latents, never changes them, and needs the world's folder only once."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from armillary.core import Batch, CheckpointError, ConfigError, WorldError, seeded
from armillary.policies.inverse_dynamics import PRESETS, build, complete
from armillary.studies.fit import FAMILIES as COMMAND_LINE
from armillary.studies.runs import load_run
from armillary.train.families import Families
from armillary.worlds.catalog import FAMILIES
from tests.cli.small_data import SMALL, run, write_small_dataset
from tests.policies.goal_runs import SIDE, action_errors, learn, rooms, tell

WORLD = {"latent_size": 32, "width": 64, "channels": (16, 32), "predict_steps": 3, "window_steps": 5, "learning_rate": 2e-3}
# In 250 steps on pictures with a drawn goal only strong terms make latents say where the agent is.
WORLD |= {"variance_weight": 16.0, "covariance_weight": 8.0, "similarity_weight": 1.0, "inverse_weight": 15.0}
POLICY = {"goal_steps": 6, "pairs_per_window": 4, "width": 32, "layers": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A run of an end-to-end JEPA that has seen the two rooms a little."""
    path = tmp_path_factory.mktemp("world") / "run"
    learn(path, "jepa", rooms(48, 0), steps=250, **WORLD)
    return path


def settings(world: Path | str, **changes):
    config = PRESETS["default"]
    data = replace(config.data, height=SIDE, width=SIDE)
    return replace(config, data=data, model=replace(config.model, world=str(world), **(POLICY | changes)))


def test_actions_are_read_from_frozen_latents(tmp_path, world):
    """Held-out recordings: the error is far below the mean action's, and below its own with another goal."""
    sizes = {"goal_steps": 15, "width": 128, "layers": 2, "learning_rate": 3e-3}
    policy = learn(tmp_path / "run", "inverse-dynamics", rooms(48, 0), steps=300, world=str(world), **sizes)
    frozen = Families(FAMILIES).load(world).state_dict()
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in policy.world.state_dict().items()), "the world never learns"
    held_out = rooms(10, 3)
    for steps, share in ((3, 0.75), (8, 0.87)):
        errors = action_errors(policy, held_out, steps)
        assert errors["right"] < share * errors["mean"] and errors["right"] < 0.75 * errors["shuffled"], (steps, errors)


def test_a_run_is_whole_without_the_worlds_folder(tmp_path, world):
    copy, seen = tmp_path / "world", torch.rand(3, 3, SIDE, SIDE, generator=seeded(1))
    shutil.copytree(world, copy)
    policy = learn(tmp_path / "run", "inverse-dynamics", rooms(4, 0), steps=2, world=str(copy), **POLICY)
    again = learn(tmp_path / "again", "inverse-dynamics", rooms(4, 0), steps=2, world=str(copy), **POLICY)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in policy.state_dict().items()), "same seed, same run"
    shutil.rmtree(copy)
    loaded = load_run(tmp_path / "run").world
    told = tell(policy, seen, seen.flip(0))
    assert torch.equal(tell(loaded, seen, seen.flip(0)), told) and not torch.equal(tell(loaded, seen, seen), told)
    with pytest.raises(WorldError, match="holds nan"):
        loaded.with_goal(torch.full((3, SIDE, SIDE), float("nan")))
    with pytest.raises(WorldError, match=r"the goal is 64 x 64 .*, the policy sees 32 x 32"):
        loaded.with_goal(torch.zeros(3, 64, 64))


def test_the_goal_is_read_once(tmp_path, world):
    policy = learn(tmp_path / "run", "inverse-dynamics", rooms(4, 0), steps=2, world=str(world), **POLICY)
    read, asked = policy.read_goal, []
    policy.read_goal = lambda goal, rng: asked.append(len(goal)) or read(goal, rng)
    towards, seen = policy.with_goal(torch.rand(3, SIDE, SIDE, generator=seeded(0))), torch.rand(2, 3, SIDE, SIDE, generator=seeded(1))
    memory = towards.start(2)
    for _ in range(3):
        action, memory = towards.act(seen, memory, seeded(0))
    assert asked == [1] and action.shape == (2, 2)


def test_before_training_it_says_what_is_missing(tmp_path, world):
    config = complete(settings(world))
    shape = Families(FAMILIES).settings(json.loads(config.model.world_settings))[1]
    policy = build(config, shape).eval()
    with pytest.raises(WorldError, match="not yet read the weights of its world"):
        policy.with_goal(torch.zeros(3, SIDE, SIDE)).start(1)
    moved = build(replace(config, model=replace(config.model, world=str(tmp_path / "gone"))), shape)
    with pytest.raises(CheckpointError, match=r"cannot be read: .*gone is not a run folder"):
        moved.begin_phase("imitate")
    with pytest.raises(ConfigError, match=r"sees 32 x 32 pixels .* the data is 64 x 32; set data.height 32 and data.width 32"):
        build(config, replace(shape, height=64))


def test_gradients_never_reach_the_world(world):
    config = complete(settings(world))
    policy = build(config, Families(FAMILIES).settings(json.loads(config.model.world_settings))[1])
    policy.begin_phase("imitate")
    policy.train()
    assert not policy.world.training and policy.layers.training
    batch = Batch(frames=torch.rand(4, 7, 3, SIDE, SIDE, generator=seeded(0)), actions=torch.randn(4, 7, 2, generator=seeded(1)))
    policy.loss(batch, seeded(0)).total.backward()
    assert all((p.grad is not None) == name.startswith("layers.") for name, p in policy.named_parameters())


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ({"world": ""}, ConfigError, "--model.world WORLD_RUN"),
        ({"world": "nowhere"}, CheckpointError, "nowhere is not a run folder"),
    ],
)
def test_a_world_must_be_named(model, error, said):
    with pytest.raises(error, match=said):
        complete(settings(**model))


def test_only_a_world_that_embeds_will_do(tmp_path, world):
    """Neither another policy nor an encoder alone."""
    learn(tmp_path / "policy", "inverse-dynamics", rooms(4, 0), steps=1, world=str(world), **POLICY)
    with pytest.raises(ConfigError, match=r"is a run of 'inverse-dynamics'; model.world takes one of vmc"):
        complete(settings(tmp_path / "policy"))
    vit = {"width": 24, "depth": 1, "heads": 1, "predictor_width": 24, "predictor_depth": 1, "predictor_heads": 1, "num_frames": 2}
    learn(tmp_path / "encoder", "vjepa2", rooms(2, 0), steps=1, batch_size=2, **vit)
    with pytest.raises(ConfigError, match="holds a VideoPretraining, which does not embed pictures"):
        learn(tmp_path / "run", "inverse-dynamics", rooms(4, 0), steps=1, world=str(tmp_path / "encoder"), **POLICY)


def test_the_command_line_trains_both(tmp_path, capsys):
    data, runs = write_small_dataset(tmp_path / "data"), {name: tmp_path / name for name in ("world", "clone", "inverse")}
    quick = ("--steps", "2", "--train.tensorboard", "no", "--train.validation-batches", "1", "--train.workers", "0")
    few = ("--model.pairs-per-window", "2", "--model.batch-size", "2", *quick)
    assert run("train", "vmc", "--data", data, "--out", runs["world"], "--steps", "2", *SMALL) == 0
    assert run("train", "goal-cloning", "--data", data, "--out", runs["clone"], *few) == 0
    words = ("train", "inverse-dynamics", "--data", data, "--out", runs["inverse"])
    assert run(*words, *few) == 2 and "--model.world WORLD_RUN" in capsys.readouterr().err
    assert run(*words, *few, "--dry-run") == 2
    assert run(*words, *few, "--model.world", tmp_path / "gone") == 4 and not runs["inverse"].exists()
    assert run(*words, *few, "--model.world", runs["world"], "--dry-run") == 0 and not runs["inverse"].exists()
    assert run(*words, *few, "--model.world", runs["world"]) == 0
    shutil.rmtree(runs["world"])
    assert run("resume", runs["inverse"]) == 0 and run("info", runs["inverse"]) == 0
    assert run("cost", "goal-cloning", "--data", data, *few) == 0
    assert load_run(runs["inverse"]).world.with_goal(torch.zeros(3, 64, 64)).start(1).goal is None
    capsys.readouterr()
    assert run("evaluate", runs["clone"]) == 2 and "armillary plan" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["train", "cost"])
def test_help_names_every_family(verb, capsys):
    run(verb, "--help")
    printed = capsys.readouterr().out
    assert all(family in printed for family in COMMAND_LINE.modules)
