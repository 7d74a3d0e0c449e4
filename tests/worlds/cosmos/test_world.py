"""A released model as a world: the frames are those of diffusers' own pipeline, chunk after chunk, row by row."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from armillary.core import Episode, Prompt, WorldError, check_world, seeded
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.result import Protocol
from armillary.worlds.cosmos.load import load
from armillary.worlds.cosmos.pipeline import AlreadyChecked

FIRST, TEXT, SECOND, LATER = (
    "CosmosVideoToWorldPipeline",
    "CosmosTextToWorldPipeline",
    "Cosmos2VideoToWorldPipeline",
    "Cosmos2_5_PredictBasePipeline",
)
WORDS = ["a ball rolls away", "the cup falls"]
CHUNK, GIVEN = 9, 5
EXACT, ROUNDED = 1e-5, 0.51 / 255  # the third makes whole numbers of its pictures only here


@pytest.fixture(scope="module")
def world(released, settings):
    return cache(lambda name: load(released(name), settings))


def prompt(count: int = 2, frames: int = GIVEN, seed: int = 0) -> Prompt:
    pictures = torch.randint(256, (count, frames, 3, 32, 32), generator=seeded(seed)) / 255.0
    return Prompt(batch_size=count, frames=pictures, text=WORDS[:count])


def dreamt(world, start, steps: int, seed: int) -> tuple[list[torch.Tensor], object]:
    """The pictures of some steps, each with its own generator, and the last state."""
    state, shown = start, []
    for t in range(steps):
        state = world.step(state, torch.zeros(start.batch_size, 0), seeded(seed + t))
        shown.append(world.render(state)["rgb"])
    return shown, state


def theirs(folder, name: str, settings, frames, text: str, seed: int) -> torch.Tensor:
    """A chunk of diffusers' pipeline, loaded and called as its documentation says."""
    diffusers = pytest.importorskip("diffusers")
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, safety_checker=AlreadyChecked(), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    given = {} if frames is None else {"video": [frames]}
    if name == LATER and frames is not None:
        given["num_latent_conditional_frames"] = 1 if len(frames) == 1 else 2
    if name != LATER:
        given["fps"] = settings.fps or {SECOND: 16}.get(name, 30)
    sizes = {"height": 32, "width": 32, "num_frames": CHUNK, "num_inference_steps": settings.sampling_steps}
    return pipeline(prompt=[text], generator=torch.Generator().manual_seed(seed), output_type="pt", **sizes, **given).frames[0]


def row_seeds(seed: int, count: int) -> list[int]:
    """What a step draws from its generator first: a seed for each row."""
    return torch.randint(2**62, (count,), generator=seeded(seed)).tolist()


@pytest.mark.parametrize(("name", "frames"), [(FIRST, GIVEN), (FIRST, 1), (SECOND, GIVEN), (LATER, GIVEN), (LATER, 1)])
def test_a_chunk_is_the_pipelines_own(released, settings, world, name, frames):
    given = prompt(frames=frames)
    shown, _ = dreamt(world(name), world(name).start(given, seeded(0)), CHUNK - frames, seed=7)
    first_step = row_seeds(7, 2)
    for row in range(2):
        expected = theirs(released(name), name, settings, given.frames[row], WORDS[row], first_step[row])[frames:]
        assert expected.std() > 0.02
        found = torch.stack([picture[row] for picture in shown])
        torch.testing.assert_close(found, expected, atol=ROUNDED if name == LATER else EXACT, rtol=0)


def test_the_next_chunk_goes_on_from_the_last_frames(released, settings, world):
    first = CHUNK - GIVEN
    shown, state = dreamt(world(FIRST), world(FIRST).start(prompt(1), seeded(0)), first, seed=3)
    last = torch.stack([prompt(1).frames[0, -1], *(picture[0] for picture in shown)])
    after, _ = dreamt(world(FIRST), state, 2, seed=50)
    expected = theirs(released(FIRST), FIRST, settings, last[-GIVEN:], WORDS[0], row_seeds(50, 1)[0])
    torch.testing.assert_close(torch.cat(after), expected[GIVEN : GIVEN + 2], atol=EXACT, rtol=0)


@pytest.mark.parametrize("name", [TEXT, LATER])
def test_from_text_alone_the_first_chunk_is_there_at_once(released, settings, world, name):
    state = world(name).start(Prompt(text=WORDS), seeded(5))
    shown, _ = dreamt(world(name), state, 2, seed=0)
    for row, seed in enumerate(row_seeds(5, 2)):
        expected = theirs(released(name), name, settings, None, WORDS[row], seed)[:3]
        found = torch.stack([world(name).render(state)["rgb"][row], *(picture[row] for picture in shown)])
        torch.testing.assert_close(found, expected, atol=ROUNDED, rtol=0)


def test_a_model_of_text_cannot_go_on(world):
    state = world(TEXT).start(Prompt(text=WORDS), seeded(0))
    shown, state = dreamt(world(TEXT), state, CHUNK - 1, seed=0)
    assert len(shown) == CHUNK - 1
    with pytest.raises(WorldError, match="Video2World"):
        world(TEXT).step(state, torch.zeros(2, 0), seeded(0))


@pytest.mark.parametrize("name", [FIRST, TEXT])
def test_the_contract(world, name):
    check_world(world(name), prompt(1))


def test_what_was_given_is_shown_as_it_was(world):
    given = prompt()
    state = world(FIRST).start(given, seeded(0))
    torch.testing.assert_close(world(FIRST).render(state)["rgb"], given.frames[:, -1])
    state = world(FIRST).step(state, torch.zeros(2, 0), seeded(0))
    assert state.position.tolist() == [GIVEN, GIVEN]
    torch.testing.assert_close(state.frames[:, :GIVEN] / 255.0, given.frames)


def test_the_step_that_begins_a_chunk_decides_it(world):
    start = world(FIRST).start(prompt(1), seeded(0))
    first, ended = dreamt(world(FIRST), start, CHUNK - GIVEN, seed=0)
    again, _ = dreamt(world(FIRST), start, CHUNK - GIVEN, seed=0)
    other, _ = dreamt(world(FIRST), start, 1, seed=1)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    branches = [dreamt(world(FIRST), ended, 1, seed=seed)[0][0] for seed in (8, 8, 9)]
    assert torch.equal(branches[0], branches[1]) and not torch.equal(branches[0], branches[2])


def test_what_was_seen_takes_the_place_of_what_was_dreamt(world):
    start = world(FIRST).start(prompt(1, frames=3), seeded(0))
    assert start.known.tolist() == [3]
    seen = prompt(1, frames=2, seed=4).frames
    state = world(FIRST).observe(start, torch.zeros(1, 0), seen[:, 0], seeded(1))
    state = world(FIRST).observe(state, torch.zeros(1, 0), seen[:, 1], seeded(2))
    assert state.known.tolist() == [5]
    straight = replace(prompt(1), frames=torch.cat([prompt(1, frames=3).frames, seen], dim=1))
    expected = world(FIRST).start(straight, seeded(0))
    assert torch.equal(state.frames[:, -5:], expected.frames[:, -5:])
    after, expected = (world(FIRST).step(one, torch.zeros(1, 0), seeded(3)) for one in (state, expected))
    assert torch.equal(after.frames, expected.frames)
    middle = world(FIRST).observe(after, torch.zeros(1, 0), seen[:, 0], seeded(4))  # a chunk's frame 5: six are behind, one is new
    assert middle.known.tolist() == [7] and torch.equal(middle.frames[:, -7:-1], after.frames[:, :6])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"frames": torch.zeros(2, 5, 3, 32, 48)}, "height and width"),
        ({"frames": torch.zeros(2, 0, 3, 32, 32)}, "at least one picture"),
        ({"frames": torch.zeros(1, 5, 3, 32, 32)}, "2 videos"),
        ({"frames": torch.full((2, 5, 3, 32, 32), torch.nan)}, "not finite"),
        ({"frames": None}, "lacks frames"),
        ({"text": None}, "lacks text"),
    ],
)
def test_prompts_that_do_not_suit_it(world, changed, words):
    with pytest.raises(WorldError, match=words):
        world(FIRST).start(replace(prompt(), **changed), seeded(0))


def test_it_takes_no_actions(world):
    state = world(FIRST).start(prompt(), seeded(0))
    with pytest.raises(WorldError, match="takes no actions"):
        world(FIRST).step(state, torch.zeros(2, 7), seeded(0))


def test_words_for_prompts_without(released, settings):
    spoken = load(released(FIRST), replace(settings, text=WORDS[0]))
    assert spoken.spec.prompt == ("frames",)
    silent, said = (spoken.start(replace(prompt(1), text=text), seeded(0)).told for text in (None, WORDS[:1]))
    assert torch.equal(silent, said)
    assert not torch.equal(said, spoken.start(replace(prompt(1), text=WORDS[1:]), seeded(0)).told)


def test_it_is_judged_as_any_world(released, settings):
    """On recordings without actions, of its rate and size; two episodes, so that there are intervals."""
    spoken = load(released(FIRST), replace(settings, text=WORDS[0]))
    rng = np.random.default_rng(0)
    films = [rng.integers(0, 256, (12, 32, 32, 3), np.uint8) for _ in range(2)]
    episodes = [
        Episode(frames={"view": film}, actions=np.zeros((12, 0), np.float32), seconds_per_step=1 / 30, index=place)
        for place, film in enumerate(films)
    ]
    protocol = Protocol(context_s=GIVEN / 30, horizon_s=6 / 30, report_s=(6 / 30,), starts_every_s=1.0)
    found = evaluate_open_loop(spoken, episodes, camera="view", mean_frame=np.full((32, 32, 3), 0.5, np.float32), protocol=protocol)
    assert {"model", "copy_last"} <= set(found.subjects)
    assert found.curves["psnr"]["model"].shape == (2, 6) and (found.curves["psnr"]["model"] > 3).all()
