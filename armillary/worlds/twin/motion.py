"""Motion: random, smooth commands for whatever is driven."""

import numpy as np
from jaxtyping import Float32

from armillary.worlds.twin.world import TwinWorld

KNOT_S = 0.6  # how often smooth motion chooses where to go next


def smooth_actions(world: TwinWorld, steps: int, reach: float, rng: np.random.Generator) -> Float32[np.ndarray, "t a"]:
    """Motion between random places around the drives' targets, which it begins at; at most `reach` of half a drive's range away.

    A drive without bounds is taken to range from 1 below to 1 above its target.
    """
    space, targets = world.spec.action_space, world.targets.double().numpy()
    low = np.where(np.isfinite(space.low), space.low, targets - 1.0)
    high = np.where(np.isfinite(space.high), space.high, targets + 1.0)
    when = np.arange(steps) * world.spec.seconds_per_step / KNOT_S
    before, share = np.floor(when).astype(int), when - np.floor(when)
    knots = targets + reach * (high - low) / 2.0 * rng.uniform(-1.0, 1.0, (int(before[-1]) + 2, len(targets)))
    knots[0] = targets
    eased = (share * share * (3.0 - 2.0 * share))[:, None]
    wanted = (1.0 - eased) * knots[before] + eased * knots[before + 1]
    return wanted.clip(low, high).astype(np.float32)
