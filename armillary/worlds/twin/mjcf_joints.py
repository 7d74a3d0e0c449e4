"""MuJoCo's joints, springs and actuators -> Joint and Drive."""

from dataclasses import dataclass

import numpy as np

from armillary.worlds.twin.asset import Drive, Joint
from armillary.worlds.twin.axes import z_along
from armillary.worlds.twin.mjcf_compiled import CompiledFile
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity


def joints_of(compiled: CompiledFile, gains: frozenset[str]) -> tuple[dict[int, tuple[Joint, ...]], list[str]]:
    """The joints of each body by MuJoCo's id, outermost first, and notes on what they lose.

    `frame` is body_from_joint, `child` and `parent` are left open. A position or velocity actuator becomes the drive of its joint
    (through its gear), a motor one without stiffness and damping; a joint's own spring becomes a drive where no such actuator is, and then
    a motor is only noted. `gains`: the attributes of actuators that the file writes.
    """
    reader = _Reader(compiled, gains)
    found: dict[int, tuple[Joint, ...]] = {}
    for joint in range(compiled.model.njnt):
        body = int(compiled.model.jnt_bodyid[joint])
        found[body] = (*found.get(body, ()), reader.joint(joint))
    return found, reader.notes


@dataclass(frozen=True, kw_only=True)
class _Actuator:
    name: str
    kind: str  # position, velocity or motor
    drive: Drive


class _Reader:
    def __init__(self, compiled: CompiledFile, gains: frozenset[str]):
        self.compiled, self.model, self.mujoco, self.gains = compiled, compiled.model, compiled.mujoco, gains
        self.notes: list[str] = []
        self.names = compiled.names(self.mujoco.mjtObj.mjOBJ_JOINT, self.model.njnt, "joint")
        self.actuators: dict[int, _Actuator] = {}
        for number in range(self.model.nu):
            self._read_actuator(number)

    def joint(self, joint: int) -> Joint:
        model, kind, name = self.model, self._kind(joint), self.names[joint]
        dof = model.jnt_dofadr[joint]
        if model.dof_dampingpoly[dof].any() or model.jnt_stiffnesspoly[joint].any():
            self.notes.append(f"joint {name!r}: of its damping and stiffness only what is linear is taken over")
        if kind == "free":
            if any(numbers[dof] for numbers in (model.dof_damping, model.dof_frictionloss, model.dof_armature)):
                self.notes.append(f"free joint {name!r}: damping, frictionloss and armature are not taken over")
            return Joint(name=name, kind=kind, child="")
        start = self._start(joint)
        if start:
            self.notes.append(f"joint {name!r} counts from its drawn pose here; the file counts from ref {start:g}")
        silent = self.compiled.unwritten
        return Joint(
            name=name,
            kind=kind,
            child="",
            frame=Pose(tuple(model.jnt_pos[joint]), z_along(tuple(model.jnt_axis[joint].tolist())).turn),
            limits=self._limits(joint, kind, start),
            damping=_written(model.dof_damping[dof], joint in silent.damping),
            friction=_written(model.dof_frictionloss[dof], joint in silent.frictionloss),
            armature=_written(model.dof_armature[dof], joint in silent.armature),
            drive=self._drive(joint, kind, start),
        )

    def _start(self, joint: int) -> float:
        """What the file calls the drawn pose of a hinge or a slide."""
        counted = self._kind(joint) in ("hinge", "slide")
        return float(self.model.qpos0[self.model.jnt_qposadr[joint]]) if counted else 0.0

    def _kind(self, joint: int) -> str:
        kinds = self.mujoco.mjtJoint
        names = {kinds.mjJNT_HINGE: "hinge", kinds.mjJNT_SLIDE: "slide", kinds.mjJNT_BALL: "ball", kinds.mjJNT_FREE: "free"}
        return names[kinds(int(self.model.jnt_type[joint]))]

    def _limits(self, joint: int, kind: str, start: float) -> tuple[Quantity, Quantity] | None:
        if not self.model.jnt_limited[joint]:
            return None
        low, high = (float(limit) - start for limit in self.model.jnt_range[joint])
        return Quantity(0.0 if kind == "ball" else low, "datasheet"), Quantity(high, "datasheet")

    def _drive(self, joint: int, kind: str, start: float) -> Drive | None:
        actuator, stiffness = self.actuators.get(joint), float(self.model.jnt_stiffness[joint])
        if kind == "ball":
            if actuator or stiffness:
                self.notes.append(f"joint {self.names[joint]!r} is a ball: its actuator and spring are not taken over")
            return None
        if not stiffness:
            return actuator.drive if actuator else None
        if actuator and actuator.kind != "motor":
            self.notes.append(
                f"joint {self.names[joint]!r}: its spring ({stiffness:g}) is not taken over beside actuator {actuator.name!r}"
            )
            return actuator.drive
        if actuator:
            most = f", at most {actuator.drive.max_force.value:g}," if actuator.drive.max_force else ""
            self.notes.append(f"motor {actuator.name!r}{most} is not taken over: its joint's spring is the drive, and can be commanded")
        rest = float(self.model.qpos_spring[self.model.jnt_qposadr[joint]]) - start
        return Drive(stiffness=Quantity(stiffness, "datasheet", note="a spring"), damping=Quantity(0.0, "datasheet"), target=rest)

    def _read_actuator(self, number: int) -> None:
        model, mujoco = self.model, self.mujoco
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, number) or f"actuator_{number}"
        joint = int(model.actuator_trnid[number, 0])
        if joint in self.actuators:
            self.notes.append(f"actuator {name!r} is not taken over: joint {self.names[joint]!r} has one already")
            return
        gain, gear = float(model.actuator_gainprm[number, 0]), float(model.actuator_gear[number, 0])
        offset, spring, damper = (float(part) for part in model.actuator_biasprm[number, :3])
        plain = model.actuator_gaintype[number] == mujoco.mjtGain.mjGAIN_FIXED
        if model.actuator_biastype[number] == mujoco.mjtBias.mjBIAS_NONE:
            offset = spring = damper = 0.0
        elif model.actuator_biastype[number] != mujoco.mjtBias.mjBIAS_AFFINE:
            plain = False
        if plain and not (offset or spring or damper):
            kind, stiffness, damping = "motor", Quantity(0.0, "datasheet"), Quantity(0.0, "datasheet")
        elif plain and gain > 0 and not offset and spring == -gain and damper <= 0:
            kind = "position"
            stiffness = Quantity(gain * gear**2, self._source("kp", "gainprm"))
            damping = Quantity(-damper * gear**2, "datasheet")
        elif plain and gain > 0 and not offset and not spring and damper == -gain:
            kind, stiffness = "velocity", Quantity(0.0, "datasheet")
            damping = Quantity(gain * gear**2, self._source("kv", "gainprm"))
        else:
            self.notes.append(f"actuator {name!r} is not taken over: its force is not that of a spring, a damper or a motor")
            return
        if model.actuator_dyntype[number] != mujoco.mjtDyn.mjDYN_NONE:
            self.notes.append(f"actuator {name!r}: its own dynamics are not taken over; it acts at once")
        if kind != "motor" and model.actuator_ctrllimited[number]:
            self.notes.append(f"actuator {name!r}: the range of its control is not taken over")
        force = self._max_force(number, name, joint, gain if kind == "motor" else 0.0)
        target = -self._start(joint) if kind == "position" else 0.0
        drive = Drive(stiffness=stiffness, damping=damping, target=target, max_force=force)
        self.actuators[joint] = _Actuator(name=name, kind=kind, drive=drive)

    def _source(self, *names: str) -> str:
        return "datasheet" if self.gains.intersection(names) else "default"

    def _max_force(self, number: int, name: str, joint: int, gain: float) -> Quantity | None:
        """At the joint, of all the limits that hold at once."""
        model = self.model
        gear = abs(float(model.actuator_gear[number, 0]))
        ranges = []
        if model.actuator_forcelimited[number]:
            ranges.append(model.actuator_forcerange[number] * gear)
        if model.jnt_actfrclimited[joint]:
            ranges.append(model.jnt_actfrcrange[joint])
        if gain and model.actuator_ctrllimited[number]:
            ranges.append(model.actuator_ctrlrange[number] * gear * gain)
        if any(low != -high for low, high in ranges):
            self.notes.append(f"actuator {name!r} pushes harder one way than the other: the larger force is taken over for both")
        return Quantity(min(float(np.abs(pair).max()) for pair in ranges), "datasheet") if ranges else None


def _written(value: float, silent: bool) -> Quantity | None:
    return None if silent and not value else Quantity(float(value), "datasheet")
