"""What two surfaces do where they touch: friction and restitution as MuJoCo's contact parameters.

MuJoCo asks of a contact with gap r (m; negative: overlapping) and speed v the acceleration -b v - k r, whatever the masses, and pushes
as hard as that takes, but never pulls. Over one substep h that is a new speed of v - h (b v + k r). So

    b = (1 + e) / h        turns v into -e v in the first substep of a touch: Newton's restitution e, wherever in the substep it falls;
    k = SETTLING / h^2     takes this share of an overlap away in each substep, and adds at most the same share of v to a bounce.

At rest the two settle (for SETTLING < 2 (1 - e)) at an overlap of (1 - IMPEDANCE) g / k, 0.04 mm at h = 2 ms. What is left of the error
is that a substep finds the surface up to h v too late, which gravity acts over: about g h / v of the speed kept.

Restitution must not act on what only slides or rests: corners that bounce off again and again each take their share of friction for one
substep alone, and a cube of restitution 0.8 would rub half too little. No b says how fast is too slow, for all of this is in proportion to
v and r. What has a length is MuJoCo's impedance: where neither surface is a ball it grows from SOFT at r = 0 to IMPEDANCE at an overlap of
SOFT_M_PER_S2 h^2, 0.4 mm at 2 ms. What comes slower than some SOFT_M_PER_S2 h (0.2 m/s) then settles in this layer without a bounce, and
sliding friction holds within 1 %. It has its price. What rests sinks in by 0.3 mm at 2 ms, and creeps 10 times as fast as said below. And
of faster bounces those that a substep happens to find within the layer lose part of their speed: about 0.1 m/s / v of them, 3 % at 3 m/s.
A ball touches at one point, rubs right as it is, and bounces exactly.

Along the surface b is GRIP_PER_S, at most 1 / h. It cannot be large: MuJoCo's convex friction lifts what slides at speed v by
friction x b h v in each substep, so that it hops. Nor small: below the speed (friction x g) / b dry friction turns viscous, and what sticks
creeps by (1 - IMPEDANCE) a / (b STIFFER) for an acceleration a along the surface (0.1 mm/s on a steep slope).
"""

from dataclasses import dataclass

from armillary.worlds.twin.asset import Material
from armillary.worlds.twin.quantity import Quantity

SETTLING = 0.01
IMPEDANCE = 0.99  # the share of an acceleration into the surface that a contact at rest takes away
SOFT = 0.02  # that share at the first touch, where bouncy surfaces meet and neither is a ball's
SOFT_M_PER_S2 = 100.0
SOFT_POWER = 3.0  # how late in the layer it grows: 1 evenly, a large one all at once in its middle
GRIP_PER_S = 50.0
STIFFER = 10.0  # MuJoCo's impratio: how much harder friction holds than contacts push
FRICTION = 0.5  # where neither surface says
RESTITUTION = 0.0  # where neither surface says
MOST_RESTITUTION = 0.98
PATCH_RADIUS_M = 0.005  # a touching patch, not a point, resists being spun: by 2/3 friction x force x radius of an even disc
ROLLING_M = 0.0001


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Two surfaces in MuJoCo's words: sliding twice (1), spinning (m), rolling twice (m); -k (1/s2) and -b (1/s) into the surface and
    along it; impedance."""

    friction: tuple[float, float, float, float, float]
    solref: tuple[float, float]
    solreffriction: tuple[float, float]
    solimp: tuple[float, float, float, float, float]


def contact(first: Material | None, second: Material | None, seconds_per_substep: float, *, ball: bool = False) -> Contact:
    """The contact of two surfaces (None: one without a material), of which one may be a `ball`'s. Friction and restitution are the mean
    of what the two say; where one says nothing the other decides.

    >>> contact(None, None, 0.002).solref
    (-2500.0, -500.0)
    """
    materials = [material for material in (first, second) if material]
    sliding = _mean([material.friction for material in materials], FRICTION)
    kept = min(_mean([material.restitution for material in materials], RESTITUTION), MOST_RESTITUTION)
    spinning = sliding * PATCH_RADIUS_M * 2.0 / 3.0
    soft = kept > 0.0 and not ball
    return Contact(
        friction=(sliding, sliding, spinning, ROLLING_M, ROLLING_M),
        solref=(-SETTLING / seconds_per_substep**2, -(1.0 + kept) / seconds_per_substep),
        solreffriction=(-1.0, -min(GRIP_PER_S, 1.0 / seconds_per_substep)),  # no spring; MuJoCo wants a number < 0
        solimp=(SOFT if soft else IMPEDANCE, IMPEDANCE, SOFT_M_PER_S2 * seconds_per_substep**2, 0.5, SOFT_POWER),
    )


def _mean(said: list[Quantity | None], otherwise: float) -> float:
    numbers = [quantity.value for quantity in said if quantity is not None]
    return sum(numbers) / len(numbers) if numbers else otherwise
