"""The worlds in the package by name. Modules are imported only when asked for, so that a name costs nothing."""

import difflib
import importlib

from armillary.core import ConfigError

FAMILIES: dict[str, str] = {
    "vmc": "armillary.worlds.vmc.train",
    "diffusion": "armillary.worlds.diffusion.train",
    "autoregressive": "armillary.worlds.autoregressive.train",
    "genie": "armillary.worlds.genie.train",
    "video-diffusion": "armillary.worlds.video_diffusion.train",
    "code-decoder": "armillary.worlds.video_diffusion.code_decoder_train",
    "jepa": "armillary.worlds.jepa.end_to_end_train",
    "vjepa2": "armillary.worlds.jepa.pretrain",
    "vjepa2-ac": "armillary.worlds.jepa.action_conditioned_train",
}  # what trains, and the module with its Config, PRESETS and build
RELEASED: dict[str, str] = {
    "cosmos": "armillary.worlds.cosmos.load"
}  # loaded as released, not trained: the module with Config, load, describe
SMALL: dict[str, tuple[str, str]] = {
    "two-rooms": ("armillary.worlds.small.two_rooms", "TwoRooms"),
    "pusher": ("armillary.worlds.small.pusher", "Pusher"),
    "bouncing-balls": ("armillary.worlds.small.bouncing_balls", "BouncingBalls"),
    "platformer": ("armillary.worlds.small.platformer", "Platformer"),
}


def build_small(name: str, **options):
    """A small world by its name; `options` are its constructor's (all take `size`, the picture's side in pixels).

    >>> build_small("pusher", size=32).spec.observation_space.shape
    (32, 32, 3)
    """
    if name not in SMALL:
        near = difflib.get_close_matches(name, SMALL, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no small world {name!r}{hint} (choose one of {', '.join(SMALL)})")
    module, attribute = SMALL[name]
    return getattr(importlib.import_module(module), attribute)(**options)
