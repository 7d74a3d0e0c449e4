"""Events of the platformer: they fade in from the step after they were told, a wall stops the player, and recordings caption them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from armillary.worlds.small.events import EVENTS, FADE_STEPS, NIGHT, RAIN, WALL, WALL_AHEAD
from armillary.worlds.small.level import BRICK
from armillary.worlds.small.platformer import HALF_WIDTH_M, VIEW, Platformer
from armillary.worlds.small.record import CAMERA, record_episodes, script_events

WORLD = Platformer(size=32)
STAND, RIGHT = 0, 2


def start(batch_size: int = 1):
    return WORLD.start(Prompt(batch_size=batch_size, layout={"level": 3}), seeded(0))


def went_on(state, steps: int, action: int = STAND):
    return WORLD.rollout(state, torch.full((state.batch_size, steps), action), seeded(0))


def test_keeps_the_contract_of_what_can_be_told():
    check_world(WORLD)


def test_an_event_fades_in_from_the_next_step_and_out_again():
    state = WORLD.prompt(start(2), [NIGHT, ""])
    states = went_on(state, FADE_STEPS + 1)
    dark = [float(WORLD.render(one)["rgb"][0].mean()) for one in (state, *states)]
    quiet = [float(WORLD.render(one)["rgb"][1].mean()) for one in (state, *states)]
    assert dark[0] == quiet[0] and dark[: FADE_STEPS + 1] == sorted(dark[: FADE_STEPS + 1], reverse=True)
    assert dark[FADE_STEPS + 1] == dark[FADE_STEPS] < 0.5 * quiet[FADE_STEPS]
    after = went_on(WORLD.prompt(states[-1], ["", ""]), FADE_STEPS)[-1]
    assert torch.equal(WORLD.render(after)["rgb"][0], WORLD.render(after)["rgb"][1])


def test_rain_falls():
    states = went_on(WORLD.prompt(start(2), [RAIN, ""]), FADE_STEPS + 2)
    before, after = (WORLD.render(one)["rgb"] for one in states[-2:])
    assert torch.equal(before[1], after[1]), "nothing else moves"
    moved = (before[0] - after[0]).abs().amax(dim=0) > 0.1
    assert 0.02 < moved.float().mean() < 0.5


def test_a_wall_rises_ahead_and_stops_the_player_and_sinks():
    state = start(2)
    state = WORLD.prompt(state, [WALL, ""])
    column = int(state.position[0, 0]) + WALL_AHEAD
    states = went_on(state, 16, RIGHT)
    risen = [int((one.standing()[0, :, column] == BRICK).sum()) for one in states]
    assert risen[:4] == [1, 2, 3, 4] and risen[-1] == 4
    assert float(states[-1].position[0, 0]) == pytest.approx(column - HALF_WIDTH_M, abs=5e-3)
    assert float(states[-1].position[1, 0]) > column
    sunk = went_on(WORLD.prompt(states[-1], ["", ""]), FADE_STEPS)[-1]
    assert torch.equal(sunk.standing(), sunk.tiles)


def test_a_wall_told_again_stays_where_it_is():
    risen = went_on(WORLD.prompt(start(), [WALL]), 8, RIGHT)[-1]
    sinking = went_on(WORLD.prompt(risen, [""]), 1)[-1]
    again = WORLD.prompt(sinking, [WALL])
    assert torch.equal(WORLD.render(again)["rgb"], WORLD.render(sinking)["rgb"])


@pytest.mark.parametrize("x", [1.5, 29.0, 30.5])
@pytest.mark.parametrize("facing", [-1.0, 1.0])
def test_a_wall_never_rises_where_the_player_stands_or_the_level_begins(x, facing):
    state = replace(start(), position=torch.tensor([[x, 2.0]]), facing=torch.tensor([facing]))
    column = int(WORLD.prompt(state, [WALL]).wall_column)
    assert 3 <= column <= WORLD.columns - 3 and abs(column + 0.5 - x) > 1.0


@pytest.mark.parametrize("x", [0.5, 5.5, 7.5, 8.5, 14.5, 30.5])
@pytest.mark.parametrize("facing", [-1.0, 1.0])
def test_where_the_view_turns_pages_a_wall_rises_on_the_page_that_is_shown(x, facing):
    world = Platformer(size=32, pages=True)
    begun = world.start(Prompt(layout={"level": 3}), seeded(0))
    state = replace(begun, position=torch.tensor([[x, 2.0]]), facing=torch.tensor([facing]))
    column = int(world.prompt(state, [WALL]).wall_column)
    assert column // VIEW == int(x) // VIEW and column != int(x) and 3 <= column <= world.columns - 3


@pytest.mark.parametrize("texts", [["snow"], [RAIN, RAIN]])
def test_what_it_does_not_know_is_refused(texts):
    with pytest.raises(WorldError, match="received"):
        WORLD.prompt(start(), texts)


def test_captions_hold_from_the_frame_in_which_the_event_begins():
    told = {"num_episodes": 2, "num_steps": 50, "size": 32, "policy": "uniform", "theme": "meadow", "layout": {"level": 3}}
    for episode in record_episodes("platformer", **told, events=(NIGHT,)):
        light = episode.frames[CAMERA].astype(float).mean(axis=(1, 2, 3))
        night = np.array([text == NIGHT for text in episode.captions])
        begins = int(np.flatnonzero(night)[0])
        assert light[begins] < 0.95 * light[begins - 1] and abs(light[begins - 1] / light[begins - 2] - 1) < 0.05
        assert set(episode.captions) == {"", NIGHT} and episode.task == ""


def test_a_script_is_of_quiet_and_events_in_turn():
    script = script_events(EVENTS, 400, seeded(0))
    assert len(script) == 400 and set(script) == {"", *EVENTS} and script == script_events(EVENTS, 400, seeded(0))
    assert 0.3 < np.mean([text == "" for text in script]) < 0.6


@pytest.mark.parametrize(("name", "events"), [("pusher", (RAIN,)), ("platformer", ("snow",))])
def test_events_that_the_world_does_not_know_are_not_recorded(name, events):
    with pytest.raises(ConfigError, match="does not know"):
        record_episodes(name, num_episodes=1, num_steps=4, size=16, events=events)
