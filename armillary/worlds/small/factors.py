"""Factors of variation: the numbers that make one small world differ from the next, chosen by `Prompt.layout`."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import WorldError
from armillary.worlds.small.themes import DRAWN_NAMES, THEME_NAMES

RANDOM, DRAWN = "random", "drawn"


@dataclass(frozen=True)
class Factor:
    """A number within [low, high]. `default` is what a world has when the layout does not say; "random" draws it."""

    low: float
    high: float
    default: float | str

    def __post_init__(self):
        if self.default != RANDOM and not self.low <= self.default <= self.high:
            raise ValueError(f"a factor's default {self.default} must lie in [{self.low}, {self.high}] or be {RANDOM!r}")


def choose_factors(
    factors: Mapping[str, Factor], layout: Mapping[str, object] | None, batch_size: int, rng: Generator
) -> dict[str, Float[Tensor, " b"]]:
    """One value of each factor per world. A layout value is a number, one number per world, or "random".

    Every factor draws its noise whether or not the layout fixes it, so that fixing one leaves the others as they were.
    """
    layout = dict(layout or {})
    for name in layout:
        if name != "theme" and name not in factors:
            known = ["theme", *factors]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WorldError(f"this world has no layout factor {name!r}{hint} (it has {', '.join(known)})")
    chosen = {}
    for name, factor in factors.items():
        noise = torch.rand(batch_size, generator=rng, device=rng.device)
        chosen[name] = _values(name, factor, layout.get(name, factor.default), noise)
    return chosen


def _values(name: str, factor: Factor, wanted: object, noise: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    if isinstance(wanted, str):
        if wanted != RANDOM:
            raise WorldError(f"layout factor {name!r} takes a number, one number per world or {RANDOM!r}, received {wanted!r}")
        return factor.low + (factor.high - factor.low) * noise
    try:
        values = torch.as_tensor(wanted, dtype=torch.float32, device=noise.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WorldError(f"layout factor {name!r} takes a number, one number per world or {RANDOM!r}, received {wanted!r}") from error
    if values.ndim > 1 or (values.ndim == 1 and len(values) != len(noise)):
        raise WorldError(f"layout factor {name!r} needs 1 or {len(noise)} numbers, received shape {tuple(values.shape)}")
    if not bool(((values >= factor.low) & (values <= factor.high)).all()):
        raise WorldError(f"layout factor {name!r} must lie in [{factor.low}, {factor.high}], received {wanted!r}")
    return values.expand(len(noise)).clone()


def choose_theme(wanted: object, batch_size: int, rng: Generator) -> Tensor:
    """The number of each world's theme (`themes.every_theme`), from a theme's name, one name per world, "random" (any of those that have
    a name of their own), or "drawn" (any of those drawn by chance)."""
    offset, count = (len(THEME_NAMES), len(DRAWN_NAMES)) if wanted == DRAWN else (0, len(THEME_NAMES))
    drawn = offset + torch.randint(count, (batch_size,), generator=rng, device=rng.device)
    if wanted in (RANDOM, DRAWN):
        return drawn
    names = [wanted] * batch_size if isinstance(wanted, str) else list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    if len(names) != batch_size:
        raise WorldError(f"layout theme needs one name or {batch_size}, received {wanted!r}")
    known = (*THEME_NAMES, *DRAWN_NAMES)
    for name in names:
        if name not in known:
            kinds = (
                f"{', '.join(THEME_NAMES)}, {RANDOM!r} (any of these), {DRAWN_NAMES[0]} to {DRAWN_NAMES[-1]}, or {DRAWN!r} (any of these)"
            )
            raise WorldError(f"there is no theme {name!r}; choose one of {kinds}")
    return torch.tensor([known.index(name) for name in names], device=rng.device)
