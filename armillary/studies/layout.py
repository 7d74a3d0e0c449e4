"""A small world and its layout from the words that a person typed."""

from collections.abc import Mapping

from armillary.core import ConfigError, Prompt, WorldError, seeded
from armillary.worlds.catalog import build_small
from armillary.worlds.small.exact import SmallWorld

GROUP = "layout."


def build_env(name: str, *, size: int = 64, show_goal: bool = True) -> SmallWorld:
    """A small world by name. ConfigError where it is unknown, cannot be so small, or has no goal to leave out."""
    try:
        return build_small(name, size=size, **({} if show_goal else {"show_goal": False}))
    except TypeError as error:
        raise ConfigError(f"{name} draws no goal that could be left out") from error


def split_layout(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(the layout's settings without their group's name, all others).

    >>> split_layout({"layout.wall-x-m": "random", "planner.samples": "64"})
    ({'wall-x-m': 'random'}, {'planner.samples': '64'})
    """
    layout = {name.removeprefix(GROUP): word for name, word in settings.items() if name.startswith(GROUP)}
    return layout, {name: word for name, word in settings.items() if not name.startswith(GROUP)}


def read_layout(world: SmallWorld, words: Mapping[str, str]) -> dict[str, object]:
    """Numbers, "random" and theme names as `Prompt.layout` takes them. ConfigError for what the world does not have, before it is used."""
    layout: dict[str, object] = {}
    for name, word in words.items():
        try:
            layout[name.replace("-", "_")] = float(word)
        except ValueError:
            layout[name.replace("-", "_")] = word
    try:
        world.start(Prompt(batch_size=1, layout=layout), seeded(0))
    except WorldError as error:
        raise ConfigError(str(error)) from error
    return layout
