"""A scene that runs: for tests of what happens in it."""

import mujoco

from armillary.worlds.twin.mujoco_compile import Compiled, compile_scene
from armillary.worlds.twin.scene import Scene

EVERY = 5  # substeps


def start(scene: Scene) -> tuple[Compiled, mujoco.MjData]:
    """The compiled scene and its data, drives at their targets."""
    compiled = compile_scene(scene)
    data = mujoco.MjData(compiled.model)
    data.ctrl[:] = [joint.drive.target for _, joint in compiled.drives]
    mujoco.mj_forward(compiled.model, data)
    return compiled, data


def run(compiled: Compiled, data: mujoco.MjData, seconds: float, read=None) -> list:
    """Simulates so long; what `read()` gave after every EVERY substeps."""
    found = []
    until = data.time + seconds
    while data.time < until - 1e-9:
        mujoco.mj_step(compiled.model, data, EVERY if read else 1)
        if read:
            mujoco.mj_kinematics(compiled.model, data)
            mujoco.mj_comPos(compiled.model, data)
            found.append(read())
    mujoco.mj_forward(compiled.model, data)
    return found
