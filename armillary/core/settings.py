"""Settings as a tree of frozen dataclasses: to plain values and back, and dotted overrides that say what they did not understand."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, fields, is_dataclass, replace
from typing import TypeVar, get_args, get_origin

from armillary.core.errors import ConfigError

T = TypeVar("T")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def to_plain(config: object) -> dict:
    """The tree as dictionaries, lists, numbers and strings, ready for JSON."""
    return _plain(asdict(config))


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

    All leaves of a group change at once, so that settings which only hold together may come in any order. ConfigError names a
    setting that is unknown or whose words say nothing; a group's own error says what in it does not hold together.

    >>> from armillary.data.shape import DataConfig
    >>> override(DataConfig(), {"stride": "3"}).stride
    3
    """
    values = {}
    for name, text in settings.items():
        path = tuple(name.replace("-", "_").split("."))
        values[path] = _value(config, path, name, text)
    return _changed(config, values)


def names(config: object, prefix: str = "") -> list[str]:
    """Every leaf's dotted name."""
    found = []
    for f in fields(config):
        value = getattr(config, f.name)
        found += names(value, f"{prefix}{f.name}.") if is_dataclass(value) else [prefix + f.name]
    return found


def _plain(value: object) -> object:
    """As JSON gives it back."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _value(config: object, path: Sequence[str], name: str, text: str) -> object:
    """What a person's words say for the leaf at a path; `name` is how they wrote it."""
    at, leaf = config, None
    for part in path:
        leaf = _leaves(at).get(part) if is_dataclass(at) else None
        if leaf is None:
            raise ConfigError(_unknown(".".join(path), names(config)))
        at = getattr(at, part)
    if is_dataclass(at):
        raise ConfigError(f"{name} is a group of settings; set one of {', '.join(f'{name}.{one}' for one in _leaves(at))}")
    return _parse(name, text, leaf.type)


def _changed(config: T, values: Mapping[tuple[str, ...], object]) -> T:
    """The tree with new values at some paths; every group is made once."""
    leaves = {path[0]: value for path, value in values.items() if len(path) == 1}
    inside = {path[0] for path in values if len(path) > 1}
    groups = {
        group: _changed(getattr(config, group), {path[1:]: value for path, value in values.items() if path[0] == group}) for group in inside
    }
    return replace(config, **leaves, **groups) if values else config


def _leaves(config: object) -> dict[str, Field]:
    return {f.name: f for f in fields(config)}


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
