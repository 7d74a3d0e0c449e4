"""What MuJoCo itself makes of a file, beside what we read from it."""

from pathlib import Path

import mujoco
import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.mass import mass_matrix


def compiled(path: Path) -> mujoco.MjModel:
    """MuJoCo's model of an MJCF or URDF file, with every body kept: by itself it melts a URDF's fixed links together.

    Without sensors: a file whose sensors name what is not there has bodies all the same.
    """
    spec = mujoco.MjSpec.from_file(str(path))
    for sensor in spec.sensors:
        spec.delete(sensor)
    spec.compiler.fusestatic = spec.compiler.discardvisual = False
    return spec.compile()


def check_bodies(asset: Asset, model: mujoco.MjModel, *, close: float = 1e-6, silent: tuple[str, ...] = ()) -> None:
    """Every moving or fixed body of the model is in the asset, at the same pose, with the same mass and inertia in the world's axes.

    `silent`: bodies to whose mass the file says nothing, and for which MuJoCo makes one up.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    for number in range(1, model.nbody):
        body = asset.body(model.body(number).name)
        np.testing.assert_allclose(body.pose.position, data.xpos[number], atol=close)
        np.testing.assert_allclose(body.pose.rotation().ravel(), data.xmat[number], atol=close)
        ours = mass_matrix(asset, body)
        if body.name in silent:
            assert ours is None
            continue
        mass = model.body_mass[number]
        if not mass:
            assert ours is None or ours[0] == 0
            continue
        assert ours is not None
        np.testing.assert_allclose(ours[0], mass, rtol=10 * close)
        np.testing.assert_allclose(body.pose.apply(ours[1]), data.xipos[number], atol=10 * close)
        turned = data.ximat[number].reshape(3, 3)
        theirs = turned @ np.diag(model.body_inertia[number]) @ turned.T
        turning = body.pose.rotation()
        np.testing.assert_allclose(turning @ ours[2] @ turning.T, theirs, atol=20 * close * np.trace(theirs))


def check_joints(asset: Asset, model: mujoco.MjModel) -> None:
    """Every joint of the model is in the asset under its name, at the same place, with the same axis, limits and friction."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    kinds = {0: "free", 1: "ball", 2: "slide", 3: "hinge"}
    assert {joint.name for joint in asset.joints if joint.kind != "fixed"} == {model.joint(number).name for number in range(model.njnt)}
    for number in range(model.njnt):
        joint = asset.joint(model.joint(number).name)
        assert joint.kind == kinds[int(model.jnt_type[number])]
        if joint.kind == "free":
            continue
        start = 0.0 if joint.kind == "ball" else model.qpos0[model.jnt_qposadr[number]]
        np.testing.assert_allclose(joint.frame.position, data.xanchor[number], atol=1e-6)
        if joint.kind != "ball":
            np.testing.assert_allclose(joint.frame.rotation()[:, 2], data.xaxis[number], atol=1e-6)
        if model.jnt_limited[number]:
            np.testing.assert_allclose([limit.value + start for limit in joint.limits], model.jnt_range[number], atol=1e-9)
        else:
            assert joint.limits is None
        dof = model.jnt_dofadr[number]
        for ours, theirs in (
            (joint.damping, model.dof_damping),
            (joint.friction, model.dof_frictionloss),
            (joint.armature, model.dof_armature),
        ):
            assert (ours.value if ours else 0.0) == theirs[dof]
