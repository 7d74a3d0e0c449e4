"""Windows: an order that is a function of seed and step, and batches that hold exactly those windows."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError
from armillary.core.text import to_texts
from armillary.data.windows import WindowLoader, WindowSampler

CAMERA = "observation.images.front"


def episodes(lengths=(9, 14, 5), rewards=True) -> list[Episode]:
    """Every number in an episode tells which episode and which instant it is from."""
    made = []
    for index, length in enumerate(lengths):
        stamp = np.arange(length) + 20 * index
        made.append(
            Episode(
                frames={CAMERA: np.broadcast_to(stamp[:, None, None, None], (length, 4, 6, 3)).astype(np.uint8)},
                actions=np.stack([stamp, -stamp], axis=1).astype(np.float32),
                state=stamp[:, None].astype(np.float32) * 2,
                rewards=stamp.astype(np.float32) if rewards else None,
                terminated=np.arange(length) == length - 1 if rewards else None,
                seconds_per_step=0.1,
                index=index,
            )
        )
    return made


def sampler(num_frames=4, batch_size=6, seed=3, lengths=(9, 14, 5), **options) -> WindowSampler:
    return WindowSampler(lengths, num_frames=num_frames, batch_size=batch_size, seed=seed, **options)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    num_frames=st.integers(1, 6),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 2**32),
)
def test_an_epoch_holds_every_window_exactly_once(lengths, num_frames, batch_size, seed):
    wanted = {(e, s) for e, length in enumerate(lengths) for s in range(length - num_frames + 1)}
    if not wanted:
        return
    drawn = WindowSampler(lengths, num_frames=num_frames, batch_size=batch_size, seed=seed)
    steps = -(-2 * len(wanted) // batch_size)
    order = [tuple(row) for step in range(steps) for row in drawn.batch(step).tolist()]
    assert Counter(order[: len(wanted)]) == Counter(wanted)
    assert Counter(order[len(wanted) : 2 * len(wanted)]) == Counter(wanted)


def test_a_batch_is_a_function_of_seed_and_step_only():
    forward = [sampler().batch(step).tolist() for step in range(40)]
    one = sampler()
    backward = [one.batch(step).tolist() for step in reversed(range(40))][::-1]
    assert forward == backward
    assert forward != [sampler(seed=4).batch(step).tolist() for step in range(40)]


def test_epochs_are_shuffled_differently():
    one = sampler(batch_size=19)
    assert one.windows_per_epoch == 19
    assert one.batch(0).tolist() != one.batch(1).tolist()


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_ranks_together_make_the_batch_of_one_process(world_size):
    for step in range(10):
        shares = [sampler(rank=rank, world_size=world_size).batch(step) for rank in range(world_size)]
        np.testing.assert_array_equal(np.concatenate(shares), sampler().batch(step))


def test_what_does_not_fit_is_named():
    with pytest.raises(DataError, match=r"no window of 15 steps.*3 episodes has 14"):
        sampler(num_frames=15)
    with pytest.raises(ConfigError, match="multiple of the 4 processes; use 8"):
        sampler(world_size=4)
    with pytest.raises(ConfigError, match="rank"):
        sampler(rank=2, world_size=2)
    assert (sampler(num_frames=10).batch(0)[:, 0] == 1).all()


def test_a_batch_holds_the_windows_that_the_sampler_names():
    loader = WindowLoader(episodes(), CAMERA, sampler())
    for step, batch in zip(range(8), loader, strict=False):
        for row, (position, start) in enumerate(sampler().batch(step).tolist()):
            stamp = torch.arange(start, start + 4) + 20 * position
            assert torch.equal((batch.frames[row] * 255).round().long(), stamp[:, None, None, None].expand(4, 3, 4, 6))
            assert torch.equal(batch.actions[row], torch.stack([stamp, -stamp], dim=1).float())
            assert torch.equal(batch.state[row, :, 0], stamp.float() * 2)
            assert torch.equal(batch.rewards[row], stamp.float())
            assert batch.terminated[row].tolist() == [start + t == (9, 14, 5)[position] - 1 for t in range(4)]
            assert batch.episode[row] == position
        assert batch.seconds_per_step == 0.1 and batch.frames.dtype == torch.float32


def same(one, other) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("frames", "actions", "episode"))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_and_a_resume_change_nothing(workers):
    plain = list(islice(WindowLoader(episodes(), CAMERA, sampler()), 30))
    with WindowLoader(episodes(), CAMERA, sampler(), workers=workers) as loader:
        threaded = list(islice(loader, 30))
    assert all(map(same, plain, threaded))
    for start in (1, 7, 29):
        with WindowLoader(episodes(), CAMERA, sampler(), workers=workers, start_step=start) as loader:
            assert all(map(same, plain[start:], islice(loader, 30 - start)))


def test_columns_that_some_episode_lacks_are_left_out():
    batch = next(iter(WindowLoader(episodes(), CAMERA, sampler())))
    assert batch.rewards is not None
    mixed = [*episodes()[:2], episodes(rewards=False)[2]]
    batch = next(iter(WindowLoader(mixed, CAMERA, sampler())))
    assert batch.rewards is None and batch.terminated is None and batch.state is not None


def test_texts_belong_to_their_windows():
    """Whatever they are cut to in a batch, all batches have the same length; recordings without a task have no text."""
    told = [replace(episode, task=task) for episode, task in zip(episodes(), ("pick up", "", "push the Tür"), strict=True)]
    loader = WindowLoader(told, CAMERA, sampler())
    for step in range(3):
        batch = loader.read(step)
        assert to_texts(batch.text) == [told[position].task for position in batch.episode.tolist()]
        assert batch.text.shape == (6, 13)
    assert WindowLoader(episodes(), CAMERA, sampler()).read(0).text is None


def test_strided_episodes_are_read_at_their_stride():
    strided = [episode.every(2) for episode in episodes()]
    lengths = [len(episode) for episode in strided]
    drawn = sampler(num_frames=2, lengths=lengths)
    batch = next(iter(WindowLoader(strided, CAMERA, drawn)))
    position, start = drawn.batch(0)[0].tolist()
    assert (batch.frames[0, :, 0, 0, 0] * 255).round().tolist() == [2 * start + 20 * position, 2 * start + 2 + 20 * position]
    assert batch.actions.shape == (6, 2, 4)


def test_episodes_that_differ_or_lack_the_camera_are_named():
    with pytest.raises(DataError, match=r"episode 0 has no camera 'wrist'"):
        WindowLoader(episodes(), "wrist", sampler())
    small = Episode(frames={CAMERA: np.zeros((5, 2, 2, 3), np.uint8)}, actions=np.zeros((5, 2), np.float32), seconds_per_step=0.1, index=7)
    with pytest.raises(DataError, match="episode 7"):
        WindowLoader([*episodes()[:2], small], CAMERA, sampler())
    with pytest.raises(ConfigError, match="lengths"):
        WindowLoader(episodes((9, 14, 6)), CAMERA, sampler())


class Torn(np.ndarray):
    """Pictures whose file fails when it is read."""

    def __getitem__(self, key):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_read_that_fails_in_a_worker_is_a_typed_error_and_closes(workers):
    torn = episodes()
    object.__setattr__(torn[1], "frames", {CAMERA: torn[1].frames[CAMERA].view(Torn)})
    with pytest.raises(DataError, match=r"step \d+ .*Input/output error"):
        list(islice(WindowLoader(torn, CAMERA, sampler(), workers=workers), 20))


def test_closing_ends_the_threads():
    import threading

    loader = WindowLoader(episodes(), CAMERA, sampler(), workers=4)
    stream = iter(loader)
    next(stream)
    assert any(thread.name.startswith("armillary-windows") for thread in threading.enumerate())
    loader.close()
    assert not any(thread.name.startswith("armillary-windows") for thread in threading.enumerate())
    stream.close()


def test_captions_stay_beside_their_frames():
    """Where one episode says something of single frames, the others say their task of each; where none does, nobody does."""
    texts = tuple(f"é{t}" if t % 3 else "" for t in range(14))
    made = [replace(one, task="push") for one in episodes()]
    assert WindowLoader(made, CAMERA, sampler()).read(0).captions is None
    made[1] = replace(made[1], captions=texts, task="")
    batch = WindowLoader(made, CAMERA, sampler()).read(0)
    for row, position in enumerate(batch.episode.tolist()):
        instants = (batch.actions[row, :, 0] - 20 * position).int().tolist()
        assert to_texts(batch.captions[row]) == [texts[t] if position == 1 else "push" for t in instants]
    assert 1 in batch.episode.tolist()
