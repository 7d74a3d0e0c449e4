"""How fast things go at the start."""

import math

import numpy as np
from jaxtyping import Float64

from armillary.core import DataError
from armillary.worlds.twin.mujoco_compile import Compiled

_ONE_FREEDOM = ("hinge", "slide")


def starting_speeds(compiled: Compiled) -> Float64[np.ndarray, " v"]:
    """The speeds (rad/s, m/s) that the scene gives, in MuJoCo's order of freedoms; 0 where it says nothing.

    DataError where a speed is not finite, is said twice, or is of a joint that the thing does not have or that is no hinge and no slide.
    """
    model = compiled.model
    speeds, said = np.zeros(model.nv), set()
    for thing in compiled.scene.things:
        for name, speed in thing.speeds:
            joint = thing.asset.joint(name)
            if joint.kind not in _ONE_FREEDOM or not math.isfinite(speed):
                raise DataError(
                    f"thing {thing.name!r}: a hinge or a slide has a finite speed, received {speed} for the {joint.kind} {name!r}"
                )
            if (thing.name, name) in said:
                raise DataError(f"thing {thing.name!r}: the speed of joint {name!r} is said twice; say it once")
            said.add((thing.name, name))
            speeds[model.jnt_dofadr[compiled.joints[f"{thing.name}/{name}"]]] = speed
    return speeds
