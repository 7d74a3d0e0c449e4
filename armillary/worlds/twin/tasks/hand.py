"""Hand: where the arm's fingertips are for given joints, and which joints bring them somewhere."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mujoco_compile import Compiled
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import LINKS, OPENING_M, TIP

Joints = Float64[np.ndarray, "7"]  # rad
MOST_STEPS = 40
DAMPING = 0.02  # of least squares: calm near a stretched arm
CENTRING = 0.05  # how strongly spare freedom returns to where the arm is ready
NEAR_M, NEAR_RAD = 1e-4, 1e-3  # where the search ends
DOWN = Pose((0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))  # a hand that points down as the ready arm does, its fingers opening along y


@dataclass(frozen=True, kw_only=True)
class Solved:
    """Joints, and by how much the fingertips still miss the place (m) and the turn (rad)."""

    joints: Joints
    off_m: float
    off_rad: float

    @property
    def reaches(self) -> bool:
        """Whether they are there, for all that matters: 2 mm and 1 degree."""
        return self.off_m < 2e-3 and self.off_rad < 0.02


class Hand:
    """The kinematics of the arm called `arm` in a compiled scene. Poses are world_from_tip: z points out of the hand, y from finger to
    finger. Never used by two threads at once: it works in a MuJoCo data of its own."""

    def __init__(self, compiled: Compiled, arm: str = "arm"):
        self._mujoco = mujoco = needs("mujoco")
        self._model, self._data = compiled.model, mujoco.MjData(compiled.model)
        self._body = compiled.bodies[f"{arm}/hand"]
        self.joints = tuple(f"{arm}/joint {number}" for number in range(1, len(LINKS) + 1))
        self.fingers = f"{arm}/left finger", f"{arm}/right finger"
        found = [compiled.joints[joint] for joint in self.joints]
        self._places, self._speeds = self._model.jnt_qposadr[found], self._model.jnt_dofadr[found]
        self._low, self._high = self._model.jnt_range[found].T
        drives = [drive for drive, _ in compiled.drives]
        self._drives = [drives.index(joint) for joint in (*self.joints, *self.fingers)]
        self._stiffness = np.array([dict(compiled.drives)[joint].drive.stiffness.value for joint in self.joints])

    def of(self, positions: Float64[np.ndarray, " q"]) -> Joints:
        """The arm's joints among all positions of a scene (`Truth.positions`)."""
        return positions[self._places]

    def tip(self, joints: Joints) -> Pose:
        """world_from_tip."""
        self._pose(joints)
        return self._tip()

    def solve(self, tip: Pose, near: Joints) -> Solved:
        """The joints that bring the fingertips to a pose, found by damped least squares from `near`, as close as their limits let them."""
        joints, point, turning = near.clip(self._low, self._high), np.array(tip.position), tip.rotation()
        jacobian, identity = np.zeros((6, self._model.nv)), np.eye(6)
        off_m = off_rad = np.inf
        for _ in range(MOST_STEPS):
            self._pose(joints)
            place, turned = self._tip_at()
            off = np.concatenate([point - place, rotation_vector(turning @ turned.T)])
            off_m, off_rad = float(np.linalg.norm(off[:3])), float(np.linalg.norm(off[3:]))
            if off_m < NEAR_M and off_rad < NEAR_RAD:
                break
            self._mujoco.mj_jac(self._model, self._data, jacobian[:3], jacobian[3:], place, self._body)
            mine = jacobian[:, self._speeds]
            inverse = mine.T @ np.linalg.inv(mine @ mine.T + DAMPING**2 * identity)
            spare = -CENTRING * joints
            change = inverse @ off + spare - inverse @ (mine @ spare)
            joints = (joints + change * min(1.0, 0.3 / max(np.abs(change).max(), 1e-9))).clip(self._low, self._high)
        return Solved(joints=joints, off_m=off_m, off_rad=off_rad)

    def command(self, targets: Float64[np.ndarray, " a"], joints: Joints, opening: float) -> Float64[np.ndarray, " a"]:
        """The scene's action that holds the arm there: positions, and as much more as its own weight bends the drives by.

        `targets`: what every other drive is told; `opening` m of each finger, 0 to OPENING_M.
        """
        action = np.array(targets, dtype=np.float64)
        action[self._drives[:-2]] = joints + self._weight(joints) / self._stiffness
        action[self._drives[-2:]] = min(max(opening, 0.0), OPENING_M)
        return action

    def told(self, action: Float64[np.ndarray, " a"]) -> tuple[Joints, float]:
        """The joints and the opening that a `command` asked for."""
        joints = wanted = np.asarray(action, dtype=np.float64)[self._drives[:-2]]
        for _ in range(3):  # the weight hardly changes over the few thousandths of a radian that it bends the drives by
            joints = wanted - self._weight(joints) / self._stiffness
        return joints, float(np.mean(np.asarray(action)[self._drives[-2:]]))

    def _weight(self, joints: Joints) -> Joints:
        """What the arm's own weight asks of each joint, N m."""
        self._pose(joints)
        found = np.zeros(self._model.nv)
        self._data.qvel[:] = 0.0
        self._mujoco.mj_comVel(self._model, self._data)
        self._mujoco.mj_rne(self._model, self._data, 0, found)
        return found[self._speeds]

    def _pose(self, joints: Joints) -> None:
        self._data.qpos[self._places] = joints
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_comPos(self._model, self._data)

    def _tip(self) -> Pose:
        found = np.eye(4)
        found[:3, 3], found[:3, :3] = self._tip_at()
        return Pose.of_matrix(found)

    def _tip_at(self) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"]]:
        """Where the tips are and how they are turned."""
        turned = self._data.xmat[self._body].reshape(3, 3)
        return self._data.xpos[self._body] + turned @ np.array(TIP), turned


def rotation_vector(turning: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3"]:
    """Axis times angle (rad) of a rotation matrix."""
    twice = np.array([turning[2, 1] - turning[1, 2], turning[0, 2] - turning[2, 0], turning[1, 0] - turning[0, 1]])
    sine, cosine = float(np.linalg.norm(twice)) / 2, float(np.trace(turning) - 1) / 2
    if sine > 1e-6:
        return twice * (np.arctan2(sine, cosine) / (2 * sine))
    if cosine > 0:
        return twice / 2
    outer = (turning + np.eye(3)) / 2  # half a turn: the axis times itself
    axis = outer[np.diag(outer).argmax()]
    return axis * (np.pi / np.linalg.norm(axis))
