"""Settings as a tree of frozen dataclasses: to plain values and back, and dotted overrides that say what they did not understand."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from typing import TypeVar, get_args, get_origin

from armillary.core.errors import ConfigError

T = TypeVar("T")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def to_plain(config: object) -> dict:
    """The tree as dictionaries, lists, numbers and strings, ready for JSON."""
    return asdict(config)


def from_plain(kind: type[T], values: Mapping[str, object], where: str = "") -> T:
    """The tree of type `kind` from what `to_plain` gave. ConfigError names a setting that is unknown or of another type."""
    known = {f.name: f for f in fields(kind)}
    arguments = {}
    for name, value in values.items():
        path = f"{where}{name}"
        if name not in known:
            raise ConfigError(_unknown(path, [f"{where}{other}" for other in known]))
        expected = known[name].type
        arguments[name] = from_plain(expected, value, f"{path}.") if is_dataclass(expected) else _check(path, value, expected)
    return kind(**arguments)


def override(config: T, settings: Mapping[str, str]) -> T:
    """The tree with some leaves changed, by dotted names and the words that a person typed for them.

    >>> from armillary.data.shape import DataConfig
    >>> override(DataConfig(), {"stride": "3"}).stride
    3
    """
    for name, text in settings.items():
        config = _override(config, name.replace("-", "_").split("."), text, name, names(config))
    return config


def names(config: object, prefix: str = "") -> list[str]:
    """Every leaf's dotted name."""
    found = []
    for f in fields(config):
        value = getattr(config, f.name)
        found += names(value, f"{prefix}{f.name}.") if is_dataclass(value) else [prefix + f.name]
    return found


def _override(config, path: Sequence[str], text: str, name: str, every: list[str]):
    leaf = {f.name: f for f in fields(config)}.get(path[0]) if is_dataclass(config) else None
    if leaf is None:
        raise ConfigError(_unknown(name.replace("-", "_"), every))
    value = getattr(config, leaf.name)
    if is_dataclass(value):
        if len(path) == 1:
            raise ConfigError(f"{name} is a group of settings; set one of {', '.join(f'{name}.{f.name}' for f in fields(value))}")
        return replace(config, **{leaf.name: _override(value, path[1:], text, name, every)})
    if len(path) > 1:
        raise ConfigError(_unknown(name.replace("-", "_"), every))
    return replace(config, **{leaf.name: _parse(name, text, leaf.type)})


def _unknown(name: str, every: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, every, n=1, cutoff=0.5) or [e for e in every if e.split(".")[-1] == name.split(".")[-1]]
    hint = f"; did you mean {near[0]}?" if near else f"; the settings are {', '.join(every)}"
    return f"there is no setting {name}{hint}"


def _parse(name: str, text: str, kind: object):
    try:
        if kind is bool:
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError
            return text.lower() in _TRUE
        if get_origin(kind) is tuple:
            return tuple(get_args(kind)[0](part) for part in text.split(",") if part)
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be {_word(kind)}, received {text!r}") from error


def _check(name: str, value: object, kind: object):
    if get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(kind) is not tuple and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise ConfigError(f"{name} must be {_word(kind)}, received {value!r}")
    return value


def _word(kind: object) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(kind, "numbers separated by commas")
