"""Memory beyond the window: what is kept, what of it is looked at again, and that a step depends on it."""

from dataclasses import replace

import pytest
import torch

from armillary.core import ConfigError, Prompt, concatenate, seeded
from armillary.core.check import check_world
from armillary.worlds.genie.memory import no_memory, recall, recall_in_window, remember
from tests.worlds.genie.small_genie import small_batch, small_config, small_world

MEMORY = {"memory_frames": 3, "memory_length": 4, "memory_window": 4}


def remembering_world(**changes):
    world = small_world(**MEMORY, **changes)
    torch.nn.init.normal_(world.dynamics.as_recalled.weight, generator=seeded(3))
    return world


def start(world, frames):
    return world.start(Prompt(batch_size=len(frames), frames=frames), seeded(0))


def test_keeps_the_contract():
    world = remembering_world()
    check_world(world)
    check_world(world, Prompt(batch_size=3, frames=small_batch(3, 6).frames))


def test_a_view_is_kept_once_by_its_latest_look():
    """Codes 0 to 59; a view differs in all its places, another look at it in two of its 16."""
    quantiser, memory = small_world().tokenizer.quantiser, no_memory(torch.zeros(2, 4, 4, dtype=torch.long), 3)
    views = {name: torch.full((2, 4, 4), code) for name, code in {"a": 0, "b": 59, "c": 20, "d": 39}.items()}
    again = views["a"].clone()
    again[:, 0, :2] = 59
    leaves = torch.tensor([True, False])
    for codes in (views["a"], views["b"], again):
        memory = remember(memory, quantiser, codes, leaves)
    assert memory.count.tolist() == [2, 0]
    assert torch.equal(memory.looks[0, 1:], torch.stack([views["b"][0], again[0]])), "the latest look is the newest"
    assert torch.equal(memory.first[0, 2], views["a"][0]), "what it is compared with does not drift"
    looks, there = recall(memory, quantiser, views["b"], 3)
    assert there.tolist() == [[True, True, False], [False] * 3]
    assert torch.equal(looks[0, :2], torch.stack([views["b"][0], again[0]])), "the most like first"
    for codes in (views["c"], views["d"]):
        memory = remember(memory, quantiser, codes, leaves)
    assert memory.count.tolist() == [3, 0]
    assert torch.equal(memory.looks[0], torch.stack([again[0], views["c"][0], views["d"][0]])), "what was not seen for longest is gone"


@torch.no_grad()
def test_what_leaves_the_window_is_remembered_and_the_state_is_bounded():
    world, batch = remembering_world(), small_batch(2, 3)
    state, quantiser = start(world, batch.frames[:, :2]), world.tokenizer.quantiser
    codes, sizes = [state.codes[:, -2], state.codes[:, -1]], set()
    for step in range(9):
        before = {name: tensor.clone() for name, tensor in state.tensors().items()}
        after = world.step_latent(state, torch.tensor([step % 8, 1]), seeded(step))
        assert all(torch.equal(tensor, before[name]) for name, tensor in state.tensors().items())
        state = after
        codes.append(state.codes[:, -1])
        sizes.add(tuple(state.memory.looks.shape))
    expected = no_memory(codes[0], 4)
    for left in codes[:-3]:
        expected = remember(expected, quantiser, left, torch.tensor([True, True]))
    assert sizes == {(2, 4, 4, 4)}
    assert all(torch.equal(tensor, state.memory.tensors()[name]) for name, tensor in expected.tensors().items())


@torch.no_grad()
def test_a_longer_prompt_is_remembered():
    world, frames = remembering_world(), small_batch(2, 6).frames
    memory = start(world, frames).memory
    assert memory.count.tolist() == [3, 3] and torch.equal(memory.looks[:, 1:], world.tokenizer.codes(frames[:, :3]))
    assert start(world, frames[:, -3:]).memory.count.tolist() == [0, 0]


@torch.no_grad()
def test_the_next_step_depends_on_what_is_remembered_in_its_own_row():
    world, frames = remembering_world(), small_batch(2, 8).frames
    state, keys = start(world, frames), torch.tensor([1, 2])

    def drawn(looks, count=state.memory.count):
        return world.step_latent(replace(state, memory=replace(state.memory, looks=looks, count=count)), keys, seeded(0)).codes[:, -1]

    looks = state.memory.looks
    first, second = drawn(looks), drawn(torch.cat([(looks[:1] + 1) % 60, looks[1:]]))
    assert not torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    nothing = torch.zeros(2, dtype=torch.long)
    assert torch.equal(drawn(looks, nothing), drawn((looks + 7) % 60, nothing)), "what is not there is not looked at"


@torch.no_grad()
def test_rows_with_and_without_a_past_step_side_by_side():
    world, frames = remembering_world(), small_batch(1, 8).frames
    long, short = start(world, frames), start(world, frames[:, -2:])
    both = world.step_latent(concatenate([long, short]), torch.tensor([1, 1]), seeded(0))
    alone = [world.step_latent(one, torch.tensor([1]), seeded(0)) for one in (long, short)]
    assert all(torch.equal(both.codes[row], one.codes[0]) for row, one in enumerate(alone))


@torch.no_grad()
def test_training_recalls_what_playing_recalls():
    """Along a recording, each step's state recalls what the window's training recalls for that frame."""
    world, frames = remembering_world(), small_batch(2, 9).frames
    quantiser, codes = world.tokenizer.quantiser, world.tokenizer.codes(frames)
    sizes = {"first": 4, "context": 3, "count": 3, "length": 4, "remembers": torch.tensor([True, False])}
    looks, there = recall_in_window(quantiser, codes, **sizes)
    assert looks.shape == (2, 4, 3, 4, 4) and not there[1].any()
    memory = no_memory(codes[:, 0], 4)
    for now in range(8):
        if now >= 3:
            memory = remember(memory, quantiser, codes[:, now - 3], torch.tensor([True, True]))
        if now >= 4:
            state = replace(start(world, frames[:, :3]), codes=codes[:, now - 2 : now + 1], memory=memory)
            played, known = world._recalled(state)
            assert torch.equal(there[0, now - 4], known[0]) and torch.equal(looks[0, now - 4][known[0]], played[0][known[0]])


def test_earlier_frames_are_not_guessed_but_remembered():
    world, frames = remembering_world().train(), small_batch(4, 9).frames
    world.begin_phase("dynamics")
    phase = next(one for one in world.phases() if one.name == "dynamics")
    assert phase.num_frames == 9 and {one.num_frames for one in world.phases() if one.name != "dynamics"} == {3, 5}
    loss = world.loss(replace(small_batch(4, 9), frames=frames), seeded(0))
    loss.total.backward()
    assert float(world.dynamics.recalled.weight.grad.abs().sum()) > 0
    changed = torch.cat([1 - frames[:, :2], frames[:, 2:]], dim=1)  # out of the tokenizer's reach for all frames of the window
    assert not torch.equal(world.loss(replace(small_batch(4, 9), frames=changed), seeded(0)).total, loss.total)


def test_no_memory_is_the_world_as_it_was():
    plain, state = small_world(), start(small_world(), small_batch().frames)
    assert state.memory is None and not hasattr(plain.dynamics, "recalled")
    assert {one.num_frames for one in plain.phases()} == {3, 5}


@pytest.mark.parametrize(
    "changes", [{"memory_frames": -1}, {"memory_frames": 5, "memory_length": 4}, {"memory_frames": 1, "stages": "together"}]
)
def test_a_memory_that_cannot_be_is_refused(changes):
    with pytest.raises(ConfigError, match="memory_frames"):
        small_config(**changes)
