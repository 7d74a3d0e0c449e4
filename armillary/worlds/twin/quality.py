"""How much care a picture gets."""

from dataclasses import dataclass

from armillary.core import ConfigError


@dataclass(frozen=True, kw_only=True)
class Quality:
    """`shadow_map`: side of a shadow's picture in texels, 0 for no shadows; `samples` a pixel smooths edges, 0 for none; `slices` around
    and `stacks` along are the flat pieces that round things are drawn with (depth and segmentation too)."""

    shadow_map: int
    samples: int
    slices: int
    stacks: int

    def __post_init__(self):
        if self.shadow_map < 0 or self.samples < 0 or self.slices < 3 or self.stacks < 2:
            raise ConfigError(f"a quality needs shadow_map >= 0, samples >= 0, slices >= 3 and stacks >= 2, received {self}")


# What each costs on a machine: python -m benchmarks.twin_rendering
QUALITIES = {
    "draft": Quality(shadow_map=0, samples=0, slices=20, stacks=8),
    "fast": Quality(shadow_map=512, samples=0, slices=20, stacks=8),
    "fine": Quality(shadow_map=4096, samples=4, slices=28, stacks=16),  # MuJoCo's own defaults
}


def quality_of(name: str) -> Quality:
    """The preset of this name. ConfigError, with the names there are, if there is none."""
    if name not in QUALITIES:
        raise ConfigError(f"quality must be one of {', '.join(QUALITIES)}, received {name!r}")
    return QUALITIES[name]
