"""Splits: held-out recordings stay held out; scales come from what is learned from."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError
from armillary.core.settings import from_plain, to_plain
from armillary.data.shape import DataConfig, DataShape
from armillary.data.splits import Split, measure, split_episodes


def records(count: int) -> list:
    return [SimpleNamespace(index=i, content_hash=f"hash{i}") for i in range(count)]


def test_g1_keeps_its_last_ten_for_the_test():
    split = split_episodes(records(53), DataConfig())
    assert split.test == tuple(f"hash{i}" for i in range(43, 53))
    assert split.validation == tuple(f"hash{i}" for i in range(39, 43))
    assert split.train == tuple(f"hash{i}" for i in range(39))


@given(count=st.integers(1, 80), test=st.floats(0, 0.99), validation=st.floats(0, 0.99))
def test_the_parts_cover_everything_once_in_order(count, test, validation):
    split = split_episodes(records(count), DataConfig(test_fraction=test, validation_fraction=validation))
    assert [*split.train, *split.validation, *split.test] == [f"hash{i}" for i in range(count)]
    assert split.train
    assert count < 2 or test == 0 or split.test


def test_it_reads_back_what_it_wrote_and_names_a_wrong_file(tmp_path):
    split = split_episodes(records(7), DataConfig())
    split.save(tmp_path / "split.json")
    assert Split.load(tmp_path / "split.json") == split
    (tmp_path / "other.json").write_text('{"train": []}')
    with pytest.raises(DataError, match=r"other\.json"):
        Split.load(tmp_path / "other.json")


def test_choosing_finds_episodes_by_content_and_names_a_changed_dataset():
    split = split_episodes(records(5), DataConfig())
    assert [r.index for r in split.choose("test", records(5)[::-1])] == [4]
    with pytest.raises(DataError, match="hash4"):
        split.choose("test", records(4))
    with pytest.raises(ConfigError, match="holdout"):
        split.choose("holdout", records(5))


def test_the_same_recording_twice_is_refused():
    twice = [*records(3), SimpleNamespace(index=9, content_hash="hash1")]
    with pytest.raises(DataError, match="episodes 1 and 9"):
        split_episodes(twice, DataConfig())
    with pytest.raises(DataError, match="no usable episode"):
        split_episodes([], DataConfig())
    with pytest.raises(ConfigError, match="test_fraction"):
        split_episodes(records(3), DataConfig(test_fraction=1.0))


def test_scales_are_those_of_the_actions_and_a_still_joint_is_floored():
    rng = np.random.default_rng(0)
    actions = (rng.normal(size=(200, 3)) * [2.0, 0.0, 1.0] + [1.0, 5.0, 0.0]).astype(np.float32)
    whole = Episode(frames={}, actions=actions, seconds_per_step=0.1)
    parts = [dataclasses.replace(whole, actions=part) for part in (actions[:80], actions[80:])]
    shape = measure(parts, DataConfig())
    np.testing.assert_allclose(shape.action_mean, actions.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(shape.action_std[0], actions[:, 0].std(), rtol=1e-5)
    assert shape.action_std[1] == pytest.approx(1e-3 * shape.action_std[0])
    assert (shape.action_size, shape.seconds_per_step, shape.has_rewards) == (3, 0.1, False)
    assert not shape.has_text and measure([parts[0], dataclasses.replace(parts[1], task="go")], DataConfig()).has_text
    assert (shape.state_size, shape.state_mean, shape.state_std) == (0, (), ())
    said = dataclasses.replace(parts[0], captions=("", "rain") * 30 + ("night",) * 20)
    assert shape.captions == () and measure([said, parts[1]], DataConfig()).captions == ("rain", "night"), "the most frequent first"
    wrong = dataclasses.replace(whole, actions=actions[:, :2], index=4)
    with pytest.raises(DataError, match="episode 4 has 2 action values"):
        measure([*parts, wrong], DataConfig())


def test_scales_of_states_are_known_where_every_episode_has_one():
    rng = np.random.default_rng(1)
    actions, states = np.zeros((90, 1), np.float32), (rng.normal(size=(90, 2)) * [3.0, 0.0] + 7.0).astype(np.float32)
    whole = Episode(frames={}, actions=actions, state=states, seconds_per_step=0.1)
    parts = [dataclasses.replace(whole, actions=actions[cut], state=states[cut]) for cut in (slice(40), slice(40, 90))]
    shape = measure(parts, DataConfig())
    np.testing.assert_allclose(shape.state_mean, states.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(shape.state_std, [states[:, 0].std(), 1e-3 * states[:, 0].std()], rtol=1e-5)
    assert shape.state_size == 2 and from_plain(DataShape, to_plain(shape)) == shape
    assert measure([parts[0], dataclasses.replace(parts[1], state=None)], DataConfig()).state_size == 0
    with pytest.raises(DataError, match="episode 4 has states of 1 values, episode 0 states of 2"):
        measure([parts[0], dataclasses.replace(parts[1], state=states[40:, :1], index=4)], DataConfig())
    with pytest.raises(DataError, match="states that are not finite"):
        measure([dataclasses.replace(whole, state=np.full((90, 2), np.nan, np.float32))], DataConfig())


def test_a_shape_recorded_before_states_were_measured_is_still_read():
    old = {"height": 8, "width": 8, "action_size": 1, "action_mean": [0.0], "action_std": [1.0]}
    assert from_plain(DataShape, old | {"seconds_per_step": 0.1, "has_rewards": False}).state_size == 0
