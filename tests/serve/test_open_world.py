"""What a person names is opened: small worlds, scenes, and runs with the simulator that they learned from, or without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded, to_disk, to_model
from armillary.data.record import write_dataset
from armillary.serve.engine import Engine
from armillary.serve.messages import Order
from armillary.serve.open_world import of_run, open_world
from armillary.serve.playable import TRUTH, WORLD
from armillary.studies.runs import load_run
from armillary.worlds.catalog import SMALL as SMALL_WORLDS
from armillary.worlds.catalog import build_small
from armillary.worlds.small.record import record_episodes
from tests.cli.small_data import SMALL, run, write_small_dataset

CONTEXT, STRIDE = 3, 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A V-M-C of two steps of training on recordings that say which small world made them; one of its steps is two of theirs."""
    folder = tmp_path_factory.mktemp("trained")
    write_dataset(folder / "data", record_episodes("pusher", num_episodes=6, num_steps=30, size=80), robot_type="armillary-pusher")
    sizes = ("--data.stride", STRIDE, "--steps", "2")
    assert run("train", "vmc", "--data", folder / "data", "--out", folder / "run", *sizes, *SMALL) == 0
    return folder


def played(playable, value, steps: int):
    """The place after holding something for some steps, as the engine does it."""
    engine = Engine(playable)
    engine.start()
    try:
        session = engine.enter().result(60)
        engine.order(session, Order(do="act", value=value, sequence=1))
        engine.order(session, Order(do="step", number=steps))
        while engine.call(lambda: (session.timeline[-1].step, session.problem)).result(60) == (0, ""):
            continue
        while engine.call(lambda: session.steps_wanted and not session.problem).result(60):
            continue
        assert not session.problem
        return session.timeline[0], session.at
    finally:
        engine.stop()


@pytest.mark.parametrize("name", SMALL_WORLDS)
def test_every_small_world_obeys(name):
    playable = open_world(name, size=32)
    value = playable.controls.read(1 if playable.controls.choices else [axis.high for axis in playable.controls.axes])
    first, last = played(playable, value, 3)
    still = played(playable, playable.controls.neutral, 3)[1]
    assert last.step == 3 and last.frames[WORLD].shape == (32, 32, 3)
    assert not np.array_equal(last.frames[WORLD], still.frames[WORLD]), "the key changes nothing"
    assert playable.true_state(first.place.state).shape[0] == 1 and playable.robot_type == f"armillary-{name}"


def test_the_platformer_has_names_for_its_keys():
    choices = {choice.held: number for number, choice in enumerate(open_world("platformer", size=32).controls.choices)}
    start = build_small("platformer", size=32).start(Prompt(), seeded(0)).position[0, 0]
    ways = {held: played(open_world("platformer", size=32), choices[held], 4)[1].place.state.position[0] for held in choices}
    assert ways[("right",)][0] > start > ways[("left",)][0] and ways[("up",)][1] > ways[()][1]


@pytest.mark.parametrize("name", ["dominoes", "tabletop"])
def test_scenes_of_twins(name):
    pytest.importorskip("mujoco")
    playable = open_world(name, size=32, seed=1)
    assert len(playable.controls.axes) == len(playable.world.drives)
    value = tuple(axis.low for axis in playable.controls.axes)
    assert played(playable, value, 2)[1].frames[WORLD].shape == (32, 32, 3)


def test_a_run_beside_the_simulator_that_made_its_recordings(trained):
    loaded = load_run(trained / "run")
    playable = of_run(loaded)
    assert playable.truth is not None and not playable.exact and len(playable.controls.axes) == 2
    assert torch.equal(playable.act([(1.0, -0.5)]), torch.tensor([[1.0, -0.5] * STRIDE]))
    first, last = played(playable, (1.0, 0.0), 3)
    assert {name: frame.shape for name, frame in last.frames.items()} == {WORLD: (64, 64, 3), TRUTH: (64, 64, 3)}
    simulator, state = build_small("pusher", size=80), first.place.truth
    for _ in range(3 * STRIDE):
        state = simulator.step(state, torch.tensor([[1.0, 0.0]]), seeded(0))
    assert torch.equal(state.agent, last.place.truth.agent) and last.error_db is not None


def test_a_run_sees_what_the_simulator_shows(trained, monkeypatch):
    loaded, seen = load_run(trained / "run"), []
    really = loaded.world.start
    monkeypatch.setattr(loaded.world, "start", lambda prompt, rng: seen.append(prompt) or really(prompt, rng))
    playable = of_run(loaded)
    beginning = playable.begin(4)
    (prompt,) = seen
    shown = playable.truth.resize(to_disk(playable.truth.world.render(beginning.place.truth)["rgb"]))
    assert prompt.frames.shape == (1, CONTEXT, 3, 64, 64) and prompt.actions.shape == (1, CONTEXT - 1, 2 * STRIDE)
    assert torch.equal(prompt.frames[:, -1], to_model(shown))


def test_a_run_without_a_simulator_begins_from_held_out_recordings(trained, tmp_path):
    write_small_dataset(tmp_path / "other", seed=3, num_episodes=3)
    playable = open_world(str(trained / "run"), data=str(tmp_path / "other"))
    assert playable.truth is None and [axis.hold for axis in playable.controls.axes] == [False, False]
    first, again, other = (playable.begin(seed) for seed in (0, 0, 1))
    assert first.value == again.value != other.value
    assert torch.equal(first.place.state.tensors()["latent"], again.place.state.tensors()["latent"])
    assert playable.controls.read(list(first.value)) == pytest.approx(first.value)
    assert played(playable, first.value, 2)[1].frames.keys() == {WORLD}


def test_what_cannot_be_played_is_said(trained, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'pusher'"):
        open_world("pushr")
    with pytest.raises(ConfigError, match="--data"):
        open_world(str(trained / "run"), data=str(tmp_path / "nowhere"))
    loaded = load_run(trained / "run")
    with pytest.raises(WorldError, match="is a tokenizer, which is no world"):
        of_run(replace(loaded, family="tokenizer", world=torch.nn.Identity()))
