"""What tracks of objects say about physics: overlap, energy, momentum, the moment of contact, how many objects there are.

Centres are seen in the picture's plane: right and up, in metres by one scale for the whole picture. What moves towards the camera is not
seen to move, in the dream as in the truth, so that the two compare. Energies are in units of lifting everything by one picture height,
momenta in units of everything at the speed of a fall through it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from armillary.evaluate.object_tracks import Tracks
from armillary.evaluate.physics_clips import GRAVITY_M_S2

LEAST_JUMP_PX = 1.5  # a velocity that changes by less than this in a step says nothing of a contact
LEAST_AREA_PX = 6  # smaller objects are not judged


@dataclass(frozen=True, kw_only=True)
class Scales:
    """What turns tracks into physics: metres a pixel, the picture's height, seconds a step, every object's mass."""

    metres_per_pixel: float
    height_px: int
    seconds_per_step: float
    masses_kg: Float64[np.ndarray, " o"]

    @property
    def height_m(self) -> float:
        """What the picture shows from top to bottom."""
        return self.height_px * self.metres_per_pixel


def overlap(told: Bool[np.ndarray, "t o h w"], true: Bool[np.ndarray, "t o h w"], judged: Bool[np.ndarray, " o"]) -> float:
    """Intersection over union, the mean over the judged objects and the frames in which each is to be seen; NaN where none is."""
    both, either = (told & true).sum(axis=(2, 3)), (told | true).sum(axis=(2, 3))
    seen = true.any(axis=(2, 3)) & judged
    return float((both[seen] / either[seen]).mean()) if seen.any() else float("nan")


def kept(centres: Float64[np.ndarray, "t o 2"], first: Float64[np.ndarray, "o 2"]) -> Float64[np.ndarray, "u o 2"]:
    """Centres from the last known frame (`first`) on, one row more than `centres`; an object that is not found stays where it was."""
    found = np.concatenate([first[None], centres])
    for t in range(1, len(found)):
        found[t] = np.where(np.isnan(found[t]), found[t - 1], found[t])
    return found


def energy(places: Float64[np.ndarray, "u o 2"], scales: Scales) -> Float64[np.ndarray, " t"]:
    """Kinetic and potential energy of the centres at the middle of every step, over the energy of lifting all by a picture height."""
    speed = _velocity(places, scales)
    up_m = (scales.height_px - (places[1:, :, 1] + places[:-1, :, 1]) / 2) * scales.metres_per_pixel
    each = (speed**2).sum(axis=-1) / 2 + GRAVITY_M_S2 * up_m
    return each @ scales.masses_kg / (scales.masses_kg.sum() * GRAVITY_M_S2 * scales.height_m)


def momentum(places: Float64[np.ndarray, "u o 2"], scales: Scales) -> Float64[np.ndarray, "t 2"]:
    """Momentum (right, down) at the middle of every step, over that of everything at the speed of a fall through the picture."""
    total = np.einsum("toi,o->ti", _velocity(places, scales), scales.masses_kg)
    return total / (scales.masses_kg.sum() * np.sqrt(2 * GRAVITY_M_S2 * scales.height_m))


def contact_step(places: Float64[np.ndarray, "u o 2"]) -> Float64[np.ndarray, " o"]:
    """The first step at whose end each centre's velocity jumps: by LEAST_JUMP_PX a step, and half as much as it ever does.

    Infinite where it never does. Needs three centres at least.
    """
    jump = np.linalg.norm(np.diff(places, n=2, axis=0), axis=-1)
    large = jump >= np.maximum(jump.max(axis=0) / 2, LEAST_JUMP_PX)
    return np.where(large.any(axis=0), large.argmax(axis=0) + 1.0, np.inf)


def contact_error_s(told: Float64[np.ndarray, "u o 2"], true: Float64[np.ndarray, "u o 2"], seconds_per_step: float) -> float:
    """How far the moments of contact lie apart, mean over the objects that have one in truth; the whole clip where the dream has none.

    NaN where no object has one.
    """
    wanted, found = contact_step(true), contact_step(told)
    some = np.isfinite(wanted)
    if not some.any():
        return float("nan")
    length = len(true) - 1
    apart = np.where(np.isfinite(found), np.abs(np.where(np.isfinite(found), found, 0) - np.where(some, wanted, 0)), length)
    return float(np.minimum(apart, length)[some].mean() * seconds_per_step)


def compared(told: Tracks, true: Tracks, first: Float64[np.ndarray, "o 2"], judged: Bool[np.ndarray, " o"], scales: Scales) -> dict:
    """Every measure of one dream: `iou` (more is better); errors of energy, momentum, contact time and object count (less is better)."""
    known = judged & ~np.isnan(first[:, 0])
    chosen = Scales(**(vars(scales) | {"masses_kg": scales.masses_kg[known]}))
    dreamed, real = kept(told.centres[:, known], first[known]), kept(true.centres[:, known], first[known])
    away = np.linalg.norm(momentum(dreamed, chosen) - momentum(real, chosen), axis=-1)
    counts = told.found[:, known].sum(axis=1) - true.found[:, known].sum(axis=1)
    return {
        "iou": overlap(told.masks, true.masks, known),
        "energy_error": float(np.abs(energy(dreamed, chosen) - energy(real, chosen)).mean()),
        "momentum_error": float(away.mean()),
        "contact_error_s": contact_error_s(dreamed, real, scales.seconds_per_step),
        "count_error": float(np.abs(counts).mean()),
    }


def _velocity(places: Float64[np.ndarray, "u o 2"], scales: Scales) -> Float64[np.ndarray, "t o 2"]:
    return np.diff(places, axis=0) * scales.metres_per_pixel / scales.seconds_per_step
