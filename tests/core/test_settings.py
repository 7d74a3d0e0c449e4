"""Settings: there and back, dotted overrides, and errors that name what was meant."""

import json
from dataclasses import dataclass, field

import pytest

from armillary.core import ConfigError
from armillary.core.settings import from_plain, names, override, to_plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    latent_size: int = 4
    rate: float = 0.5
    on: bool = False
    shares: tuple[float, ...] = (0.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class Outer:
    model: Inner = field(default_factory=Inner)
    name: str = "a"


def test_there_and_back_through_json():
    config = Outer(model=Inner(latent_size=9, rate=2.0, on=True, shares=(0.1, 0.9)), name="b")
    plain = to_plain(config)
    assert json.loads(json.dumps(plain)) == plain and from_plain(Outer, plain) == config


def test_every_leaf_is_named():
    assert names(Outer()) == ["model.latent_size", "model.rate", "model.on", "model.shares", "name"]


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [("latent-size", "64", 64), ("latent_size", "64", 64), ("rate", "1e-3", 1e-3), ("on", "yes", True), ("shares", "0.2,0.8", (0.2, 0.8))],
)
def test_overrides_have_the_leafs_own_type(setting, text, value):
    changed = override(Outer(), {f"model.{setting}": text})
    assert getattr(changed.model, setting.replace("-", "_")) == value and changed.name == "a"


@pytest.mark.parametrize(
    ("setting", "text", "said"),
    [
        ("model.latent-sise", "3", "did you mean model.latent_size"),
        ("latent_size", "3", "did you mean model.latent_size"),
        ("modle.latent_size", "3", "did you mean model.latent_size"),
        ("model.latent_size.more", "3", "no setting model.latent_size.more"),
        ("model", "3", "model.latent_size"),
        ("name.more", "3", "no setting name.more"),
        ("zzz", "3", "the settings are"),
        ("model.latent-size", "1.5", "whole number"),
        ("model.rate", "fast", "a number"),
        ("model.on", "maybe", "true or false"),
        ("model.shares", "a,b", "separated by commas"),
    ],
)
def test_what_was_not_understood_is_named(setting, text, said):
    with pytest.raises(ConfigError, match=said):
        override(Outer(), {setting: text})


@dataclass(frozen=True, kw_only=True)
class Range:
    low: int = 0
    high: int = 1

    def __post_init__(self):
        if self.low >= self.high:
            raise ConfigError(f"low must be below high, received {self.low} and {self.high}")


@dataclass(frozen=True, kw_only=True)
class Nested:
    inner: Range = field(default_factory=Range)
    other: Range = field(default_factory=Range)


def test_settings_that_hold_together_may_come_in_any_order():
    for words in ({"inner.low": "5", "inner.high": "6"}, {"inner.high": "6", "inner.low": "5"}):
        assert override(Nested(), words) == Nested(inner=Range(low=5, high=6))
    with pytest.raises(ConfigError, match="received 5 and 1"):
        override(Nested(), {"inner.low": "5", "other.high": "6"})
    assert override(Nested(), {}) == Nested()


@pytest.mark.parametrize(
    ("plain", "said"),
    [({"nome": "a"}, "did you mean name"), ({"model": {"rate": "x"}}, "model.rate must be a number"), ({"name": 3}, "name must be text")],
)
def test_a_damaged_record_is_refused(plain, said):
    with pytest.raises(ConfigError, match=said):
        from_plain(Outer, plain)


def test_whole_numbers_are_numbers_but_truth_is_not():
    assert from_plain(Inner, {"rate": 2}).rate == 2.0
    with pytest.raises(ConfigError):
        from_plain(Inner, {"latent_size": True})
