"""Calibration: the masses, frictions, restitutions and dampings with which a twin moves as its recordings did.

Every unknown is searched between the `low` and `high` of its Quantity, as its logarithm where low > 0, by CMA-ES on the squared misfit in
units of the measurement's noise. The intervals are Gauss-Newton's: with residuals r and their Jacobian J at the best point, x being an
unknown as a share u of its range, the covariance of u is

    s2 (J' J + s2 I)^-1,   s2 = max(1, |r|^2 / (numbers - unknowns)) + roughness,

so that a twin which cannot follow the recording gets wider intervals, and never narrower ones than the stated noise allows. Roughness is
what the neighbours that J is fitted to are off a smooth curve by, for contacts make motion jump; what it alone adds to J' J is taken off.
The I is what was known before: a standard deviation of the whole range. To this comes what the simulation's own substep moves the best
point by: twice the Gauss-Newton step to where it would be at half the substep (errors shrink in proportion), squared.

Where the interval that comes out is no narrower than the range, the data say nothing of that number by itself: it is "not identifiable"
and stays as it was. (The mass of what slides on a table is an example, and so are two materials' frictions, of which contacts feel only
the mean.) The rest of the scene, and how things stood at the start, counts as known: intervals do not hold what those may be off by.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from armillary.core import ConfigError, DataError
from armillary.worlds.twin.calibration_recording import Recording, Replay
from armillary.worlds.twin.calibration_unknown import Tunable, Unknown
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Scene
from armillary.worlds.twin.world import TwinWorld

FEWEST = 10  # how many more recorded numbers than unknowns there must be
FIRST_REACH = 0.25  # CMA-ES's first standard deviation, as a share of the range
MOST_SEARCHES = 5  # each starts where the best so far ended, with the whole reach: contacts make valleys that one search may stay in
AGREE = 1.0  # two searches whose sums of squares are this near have found the same
STEPS = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)  # of the neighbours that slopes are fitted to, as shares of the range
TOGETHER = 0.9  # the correlation from which on two unknowns count as seen only together
EDGE = 1e-3  # how near to an end of its range (as a share of it) an estimate counts as stopped by it
Z95 = 1.959963984540054
_NOWHERE_TO_LOOK = Camera.looking("calibration", at=(0.0, 0.0, 0.0), eye=(1.0, -1.0, 1.0))
_ADMISSIBLE = {"restitution": (0.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the data say of one unknown, in SI units, with a 95 % interval. `word` is "" where all is well; else it says what is not."""

    unknown: Unknown
    value: float
    low: float
    high: float
    identifiable: bool
    word: str = ""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """The scene with what was found written into it, and what was found, in the order of the unknowns.

    `misfit` is the root mean square of simulated minus recorded in units of the stated noise: about 1 where the twin moves as the thing
    did; well above, something else than the unknowns is wrong, and the intervals cover it only in part.
    """

    scene: Scene
    found: tuple[Found, ...]
    misfit: float
    simulations: int


def calibrate(
    scene: Scene,
    unknowns: Sequence[Unknown],
    recordings: Sequence[Recording],
    rng: np.random.Generator,
    *,
    seconds_per_step: float = 0.05,
    data: str = "recorded trajectories",
) -> Calibrated:
    """The unknowns of the scene that explain the recordings best, written into it as "measured" with a note that names `data`.

    The search starts from the scene's own values; one rng state gives one result. `seconds_per_step` is between two rows of a recording.
    ConfigError for no, double or impossible unknowns; DataError where the scene or the recordings lack something that is named, or there
    are fewer recorded numbers than FEWEST more than unknowns; WorldError where actions do not fit the scene's drives, or a value within
    the ranges makes the scene unstable.
    """
    unknowns = tuple(unknowns)
    priors = _priors(scene, unknowns)
    _refuse_too_few(recordings, unknowns)
    residuals = _Residuals(scene, unknowns, recordings, seconds_per_step)
    start = np.array([_share(prior, prior.value) for prior in priors])
    best = _search(lambda shares: float((residuals(shares) ** 2).sum()), start, rng)
    left = residuals(best)
    jacobian, information, roughness = _information(residuals, best, left)
    freedom = len(left) - len(unknowns)
    variance = max(1.0, float(left @ left) / freedom) + roughness
    covariance = np.linalg.inv(information / variance + np.eye(len(unknowns)))
    finer = _Residuals(replace(scene, seconds_per_substep=scene.seconds_per_substep / 2), unknowns, recordings, seconds_per_step)
    coarseness = 2.0 * np.linalg.solve(jacobian.T @ jacobian + variance * np.eye(len(unknowns)), jacobian.T @ (finer(best) - left))
    found = _judge(unknowns, priors, best, covariance, coarseness, _student95(freedom))
    for one in found:
        if one.identifiable:
            scene = one.unknown.put(scene, Quantity(one.value, "measured", one.low, one.high, f"calibrated from {data}"))
    return Calibrated(scene=scene, found=found, misfit=float(np.sqrt((left**2).mean())), simulations=residuals.count)


def visible(
    scene: Scene,
    unknowns: Sequence[Unknown],
    recordings: Sequence[Recording],
    *,
    seconds_per_step: float = 0.05,
) -> tuple[Unknown, ...]:
    """Those of the unknowns that the recordings could tell, were each the only one: taken from one end of its range to the other it moves
    the twin by so much that the range would become an interval of less than half its width. Errors as of `calibrate`."""
    unknowns = tuple(unknowns)
    priors = _priors(scene, unknowns)
    residuals = _Residuals(scene, unknowns, recordings, seconds_per_step)
    start, found = np.array([_share(prior, prior.value) for prior in priors]), []
    for number, unknown in enumerate(unknowns):
        ends = [np.where(np.arange(len(start)) == number, end, start) for end in (0.0, 1.0)]
        change = residuals(ends[1]) - residuals(ends[0])
        if float(np.linalg.norm(change)) > 4.0 * Z95:  # an interval is 2 Z95 / |change| of the range wide
            found.append(unknown)
    return tuple(found)


def blind_world(scene: Scene, seconds_per_step: float) -> TwinWorld:
    """The scene as a world of which nobody wants pictures, whether or not it has a camera."""
    seen = scene if scene.cameras else replace(scene, cameras=(_NOWHERE_TO_LOOK,))
    return TwinWorld(seen, seconds_per_step=seconds_per_step)


class _Residuals:
    """Simulated minus recorded, in units of the noise, of all recordings one after the other, for unknowns as shares of their ranges."""

    def __init__(self, scene: Scene, unknowns: tuple[Unknown, ...], recordings: Sequence[Recording], seconds_per_step: float):
        world = blind_world(scene, seconds_per_step)
        self._priors, self._tunable = _priors(scene, unknowns), Tunable(world.compiled, unknowns)
        self._replays = [Replay(world, recording) for recording in recordings]
        self.count = 0

    def __call__(self, shares: Float64[np.ndarray, " u"]) -> Float64[np.ndarray, " r"]:
        self.count += 1
        self._tunable.set(tuple(_value(prior, share) for prior, share in zip(self._priors, shares, strict=True)))
        return np.concatenate([replay.misfit() for replay in self._replays])


def _priors(scene: Scene, unknowns: tuple[Unknown, ...]) -> list[Quantity]:
    if not unknowns or len(set(unknowns)) < len(unknowns):
        raise ConfigError(f"calibration needs unknowns, each once, received {', '.join(map(str, unknowns)) or 'none'}")
    return [unknown.in_scene(scene) for unknown in unknowns]


def _refuse_too_few(recordings: Sequence[Recording], unknowns: tuple[Unknown, ...]) -> None:
    numbers = sum(one.numbers() for one in recordings)
    if numbers < len(unknowns) + FEWEST:
        raise DataError(
            f"{len(unknowns)} unknowns need at least {len(unknowns) + FEWEST} recorded numbers, received {numbers} in {len(recordings)} "
            "recordings; record longer, or more bodies"
        )


def _value(prior: Quantity, share: float) -> float:
    """The number that lies at a share of the range: on a logarithmic scale if it is positive throughout."""
    if prior.low > 0:
        return prior.low * (prior.high / prior.low) ** float(share)
    return prior.low + (prior.high - prior.low) * float(share)


def _share(prior: Quantity, value: float) -> float:
    """The inverse of `_value`."""
    if prior.low > 0:
        return math.log(value / prior.low) / math.log(prior.high / prior.low)
    return (value - prior.low) / (prior.high - prior.low)


def _search(error: Callable, start: Float64[np.ndarray, " u"], rng: np.random.Generator) -> Float64[np.ndarray, " u"]:
    """The best point of the unit cube that CMA-ES finds, searched anew until two searches agree."""
    cma = needs("cma")
    first = np.append(start, 0.5) if len(start) == 1 else start  # it wants two dimensions: the other one does nothing
    options = {
        "bounds": [0.0, 1.0],
        "randn": lambda *shape: rng.standard_normal(shape),
        "seed": np.nan,  # leave NumPy's global generator alone
        "tolfun": 1e-2,  # of a sum of squares in units of the noise: nobody could tell the two apart
        "tolx": 1e-5,
        "verbose": -9,
        "verb_log": 0,
    }
    best, least = first, math.inf
    for _ in range(MOST_SEARCHES):
        strategy = cma.CMAEvolutionStrategy(best, FIRST_REACH, options)
        while not strategy.stop():
            candidates = strategy.ask()
            strategy.tell(candidates, [error(np.asarray(one[: len(start)])) for one in candidates])
        before, now = least, float(strategy.result.fbest)
        if now < least:
            best, least = np.clip(strategy.result.xbest, 0.0, 1.0), now
        if abs(before - now) < AGREE:
            break
    return best[: len(start)]


def _information(
    residuals: Callable, best: Float64[np.ndarray, " u"], left: Float64[np.ndarray, " r"]
) -> tuple[Float64[np.ndarray, "r u"], Float64[np.ndarray, "u u"], float]:
    """J at the best point, J' J without what is only roughness in it, and the roughness: the mean square, of the roughest column, of what
    a cubic through the best point leaves of its neighbours."""
    columns, errors, roughness = [], [], 0.0
    for number, share in enumerate(best):
        steps = np.clip(share, STEPS[-1], 1.0 - STEPS[-1]) + np.array(STEPS) - share  # all within the range
        steps = steps[np.abs(steps) > 1e-9]
        changes = np.stack([residuals(best + step * np.eye(len(best))[number]) - left for step in steps])
        powers = steps[:, None] ** np.arange(1, 4)
        fitted = np.linalg.pinv(powers) @ changes
        rough = float(((changes - powers @ fitted) ** 2).mean()) * len(steps) / max(len(steps) - 3, 1)
        columns.append(fitted[0])
        errors.append(len(left) * rough * float((np.linalg.pinv(powers)[0] ** 2).sum()))
        roughness = max(roughness, rough)
    jacobian = np.stack(columns, axis=1)
    values, axes = np.linalg.eigh(jacobian.T @ jacobian - np.diag(errors))
    return jacobian, (axes * np.maximum(values, 0.0)) @ axes.T, roughness


def _student95(freedom: int) -> float:
    """Student's two-sided 95 % quantile, by Cornish and Fisher's expansion (within 0.002 from FEWEST on)."""
    z = Z95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _judge(
    unknowns: tuple[Unknown, ...],
    priors: list[Quantity],
    best: Float64[np.ndarray, " u"],
    covariance: Float64[np.ndarray, "u u"],
    coarseness: Float64[np.ndarray, " u"],
    quantile: float,
) -> tuple[Found, ...]:
    spread, found = np.sqrt(np.diag(covariance)), []
    correlation = covariance / np.outer(spread, spread)
    for number, (unknown, prior, share) in enumerate(zip(unknowns, priors, best, strict=True)):
        seen, half = quantile * spread[number], math.hypot(quantile * spread[number], Z95 * coarseness[number])
        others = [str(unknowns[i]) for i in range(len(unknowns)) if i != number and abs(correlation[number, i]) > TOGETHER]
        least, most = _ADMISSIBLE.get(unknown.kind, (0.0, math.inf))
        found.append(
            Found(
                unknown=unknown,
                value=_value(prior, share),
                low=max(_value(prior, share - half), least),
                high=min(_value(prior, share + half), most),
                identifiable=half < 0.5,
                word=_word(prior, float(share), float(seen), half, others),
            )
        )
    return tuple(found)


def _word(prior: Quantity, share: float, seen: float, half: float, others: list[str]) -> str:
    """What is not well with an estimate; `seen` and `half` are half the interval without and with the substep's error."""
    bounds = f"{prior.low:.4g} to {prior.high:.4g}"
    if half >= 0.5:
        why = "the recordings hardly change with it"
        if seen < 0.5:
            why = "it changes with the substep; try a smaller seconds_per_substep"
        elif others:
            why = f"seen only together with the {' and the '.join(others)}"
        return f"not identifiable: {why}; it is left at {prior.value:.4g} ({bounds})"
    if min(share, 1.0 - share) < EDGE:
        return f"at the edge of its range {bounds}: the truth may lie beyond; widen the range"
    return ""
