"""The catalogue of scenes: what there is, and how one is made."""

from collections.abc import Callable

import numpy as np

from armillary.core import ConfigError
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes import physics
from armillary.worlds.twin.scenes.kitchen import kitchen
from armillary.worlds.twin.scenes.road import road
from armillary.worlds.twin.scenes.rooms import rooms
from armillary.worlds.twin.scenes.tabletop import tabletop

PHYSICS: dict[str, Callable[[np.random.Generator], Scene]] = {
    "free_fall": physics.free_fall,
    "tilted_plane": physics.tilted_plane,
    "u_slope": physics.u_slope,
    "stable_stack": physics.stable_stack,
    "unstable_stack": physics.unstable_stack,
    "dominoes": physics.dominoes,
    "seesaw": physics.seesaw,
    "gyroscope": physics.gyroscope,
}
SCENES: dict[str, Callable[[np.random.Generator], Scene]] = {
    "tabletop": tabletop,
    "kitchen": kitchen,
    "rooms": rooms,
    "road": road,
    **PHYSICS,
}


def build(name: str, seed: int) -> Scene:
    """The scene of this name that a seed (>= 0) gives. ConfigError for an unknown name.

    >>> build("dominoes", 0) == build("dominoes", 0)
    True
    """
    if name not in SCENES:
        raise ConfigError(f"there is no scene {name!r}; scenes: {', '.join(SCENES)}")
    return SCENES[name](np.random.default_rng(seed))
