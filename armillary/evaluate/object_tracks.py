"""Following objects whose colours are known through frames: which pixels are theirs, and where their centres are.

Every pixel goes to whatever explains its colour best, the bare scene or an object; an object is also dearer the further a pixel is from
where it is expected, which tells apart objects of like colours. Where colours mix at an edge, the neighbouring pixels say which object
it is. Nothing is learned and nothing is drawn: the same frames give the same masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

COLOUR_SCALE = 0.06  # a difference of colours (each 0 to 1) that counts as one
FARTHEST = 25.0  # what being far away can cost
PURE = 2.0  # within so much (of COLOUR_SCALE squared) a colour is an object's own
STRANGE = 100.0  # the price of an object whose own colour is nowhere near
SWIFT = 0.02  # of the picture: how far a step may go astray of what was expected
HALF_PIXEL_VARIANCE = 1 / 12
LEAST_SHARE, LEAST_PIXELS = 1 / 3, 2  # of an object's first area: less of it does not count as found


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Masks of `o` objects in `t` frames, their centres (x right, y down, in pixels; NaN where the object is not found)."""

    masks: Bool[np.ndarray, "t o h w"]
    centres: Float64[np.ndarray, "t o 2"]

    @property
    def found(self) -> Bool[np.ndarray, "t o"]:
        """Which objects there are."""
        return ~np.isnan(self.centres[..., 0])


@dataclass(kw_only=True)
class _Guess:
    """Where an object is expected: centre and spread of its last mask, and how it moved."""

    centre: Float64[np.ndarray, "2"]
    spread: Float64[np.ndarray, "2 2"]
    velocity: Float64[np.ndarray, "2"]

    def see(self, mask: Bool[np.ndarray, "h w"]) -> None:
        centre, spread = _moments(mask)
        self.centre, self.spread, self.velocity = centre, spread, centre - self.centre


def tracks_of(masks: Bool[np.ndarray, "t o h w"], first: Bool[np.ndarray, "o h w"]) -> Tracks:
    """Masks as tracks. An object is there where a third of its `first` area is seen, and at least two pixels."""
    least = np.maximum(first.sum(axis=(1, 2)) * LEAST_SHARE, LEAST_PIXELS)
    centres = np.full((*masks.shape[:2], 2), np.nan)
    for t, o in np.argwhere(masks.sum(axis=(2, 3)) >= least):
        centres[t, o] = _moments(masks[t, o])[0]
    return Tracks(masks=masks, centres=centres)


def track(
    frames: Float[np.ndarray, "t 3 h w"],
    earlier: Bool[np.ndarray, "k o h w"],
    plate: Float[np.ndarray, "3 h w"],
    shades: Sequence[Float[np.ndarray, "_ 3"]],
) -> Tracks:
    """The objects in the frames that follow `earlier`, in which every object's mask is known (the last two say how it moves).

    `plate` is the scene without them, `shades[o]` the colours that object `o` can show. An object that `earlier` does not show in its
    last frame is not looked for.
    """
    sought = [o for o in range(earlier.shape[1]) if earlier[-1, o].any()]
    guesses = {o: _Guess(centre=_moments(earlier[-1, o])[0], spread=np.eye(2), velocity=np.zeros(2)) for o in sought}
    for o, guess in guesses.items():
        if len(earlier) > 1 and earlier[-2, o].any():
            guess.centre = _moments(earlier[-2, o])[0]
            guess.see(earlier[-1, o])
        else:
            guess.spread = _moments(earlier[-1, o])[1]
    least = np.maximum(earlier[-1].sum(axis=(1, 2)) * LEAST_SHARE, LEAST_PIXELS)
    masks = np.zeros((len(frames), *earlier.shape[1:]), dtype=bool)
    for t, frame in enumerate(frames):
        masks[t, sought] = _label(frame, plate, [shades[o] for o in sought], list(guesses.values()))
        for o, guess in guesses.items():
            if masks[t, o].sum() >= least[o]:
                guess.see(masks[t, o])
            else:
                guess.velocity = guess.velocity / 2  # out of sight: wait for it not far from here
    return tracks_of(masks, earlier[-1])


def _label(
    frame: Float[np.ndarray, "3 h w"], plate: Float[np.ndarray, "3 h w"], shades: list[np.ndarray], guesses: list[_Guess]
) -> Bool[np.ndarray, "o h w"]:
    """One frame's masks: first whether a pixel shows any object, then which."""
    bare = ((frame - plate) ** 2).sum(axis=0) / COLOUR_SCALE**2
    unlike = np.stack([_unlike(frame, shade) for shade in shades])
    cost = unlike + np.stack([_away(guess, frame.shape[-2:]) for guess in guesses])
    shown = cost.min(axis=0) < bare
    # Where two colours mix, the mixture may be a third object's; but then that object's own colour is not beside it.
    which = (cost + STRANGE * (_least_nearby(unlike) > PURE)).argmin(axis=0)
    return shown & (which == np.arange(len(shades))[:, None, None])


def _unlike(frame: Float[np.ndarray, "3 h w"], shade: Float[np.ndarray, "s 3"]) -> Float[np.ndarray, "h w"]:
    """The squared distance of every pixel's colour from the nearest of an object's."""
    pixels = frame.reshape(3, -1).T
    squared = (pixels**2).sum(axis=1)[:, None] - 2 * pixels @ shade.T + (shade**2).sum(axis=1)
    return squared.min(axis=1).clip(min=0).reshape(frame.shape[1:]) / COLOUR_SCALE**2


def _away(guess: _Guess, shape: tuple[int, ...]) -> Float64[np.ndarray, "h w"]:
    """Half the squared distance of every pixel from where the object is expected, in its own spread; at most FARTHEST."""
    swift = (SWIFT * shape[-1]) ** 2
    offset = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), axis=-1) - guess.centre - guess.velocity
    squared = np.einsum("yxi,ij,yxj->yx", offset, np.linalg.inv(guess.spread + swift * np.eye(2)), offset)
    return np.minimum(squared / 2, FARTHEST)


def _least_nearby(values: Float[np.ndarray, "o h w"]) -> Float[np.ndarray, "o h w"]:
    """The least of every pixel and its eight neighbours."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), constant_values=np.inf)
    height, width = values.shape[1:]
    return np.min([padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)


def _moments(mask: Bool[np.ndarray, "h w"]) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2 2"]]:
    """Centre (x, y) and covariance of a mask's pixels, each taken as a square of side 1."""
    y, x = np.nonzero(mask)
    places = np.stack([x, y], axis=-1).astype(np.float64)
    return places.mean(axis=0), np.cov(places.T, bias=True).reshape(2, 2) + HALF_PIXEL_VARIANCE * np.eye(2)
