"""The bundled world's recipe: levels held out are not learned from, and a world that ignores the keys obeys by 0 dB."""

from dataclasses import dataclass

import gymnasium
import numpy as np
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Action, Prompt, Renders, State, World, WorldSpec
from armillary.worlds.small.level import build_level
from recipes.bundled_card import card
from recipes.bundled_world import COPY, OBEYS, OTHER, TRUE, levels, measure, rows


@dataclass(frozen=True)
class Picture(State):
    picture: Float[Tensor, "b 3 h w"]


class Still(World[Picture], Renders):
    """Shows what it began from, for ever."""

    def __init__(self):
        pictures, keys = gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8), gymnasium.spaces.Box(0.0, 1.0, (6,))
        self.spec = WorldSpec(observation_space=pictures, action_space=keys, seconds_per_step=1 / 15, prompt=("frames",), context_steps=2)

    def start(self, prompt: Prompt, rng: Generator) -> Picture:
        return Picture(picture=prompt.frames[:, -1])

    def step(self, state: Picture, action: Action, rng: Generator) -> Picture:
        return state

    def render(self, state: Picture):
        return {"rgb": state.picture}


def test_levels_are_learned_or_held_out():
    learned, held_out = levels()
    tiles = [build_level(number, 8).tobytes() for number in (*learned, *held_out)]
    assert len(held_out) == 8 and len(learned) == 32 and len(set(tiles)) == 40


def test_what_ignores_the_keys_is_as_good_as_the_last_picture_and_obeys_by_nothing():
    found = measure(Still(), levels()[1][:2], 0, {"+0.2 s": 3, "+0.5 s": 8}, count=4)
    table = rows([found])
    by = {(one["subject"], one["metric"]): one["value"] for one in table}
    for metric in ("PSNR +0.2 s", "PSNR +0.5 s"):
        assert by[(OBEYS, metric)] == 0.0
        assert by[(TRUE, metric)] == by[(OTHER, metric)] == by[(COPY, metric)] < 60.0
    assert "obeys" in card(table, 2_000_000) and "2.0 million" in card(table, 2_000_000)
