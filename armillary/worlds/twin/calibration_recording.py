"""What was commanded of the real thing and what was seen of it; and how far a simulation of the same is from that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64
from torch import Generator

from armillary.core import DataError, Prompt, WorldError
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.world import TwinWorld


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One trajectory of the real thing: actions `t a`; positions `t n 3` and turns `t n 3 3` of n bodies, angles `t j` of joints, or both.

    Row k of `positions` is where the bodies were when action k was commanded, so that row 0 is the start, and the last action is never
    seen to work. `bodies` are named as in the scene (`thing/body`); `positions` are of their origins (m), `turns` their world_from_body.
    `joints` (`thing/joint`) are hinges and slides, `angles` how far each was from 0 (rad, m). `noise_m` and `noise_rad` are standard
    deviations of the measurement: of each coordinate and slide, and about each axis and of each hinge. `layout` is how things stood at
    the start, as a Prompt's: what it leaves out stood as the scene places it. The start is taken as true, its speeds as the scene's.
    DataError where a number is missing or not finite, shapes do not fit, nothing was seen, or there are fewer than two rows.
    """

    actions: Float64[np.ndarray, "..."]  # these four come from files: their shapes are checked below, with words
    bodies: tuple[str, ...] = ()
    positions: Float64[np.ndarray, "..."] | None = None
    noise_m: float
    turns: Float64[np.ndarray, "..."] | None = None
    noise_rad: float | None = None
    joints: tuple[str, ...] = ()
    angles: Float64[np.ndarray, "..."] | None = None
    layout: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self):
        if (self.turns is not None or bool(self.joints)) != (self.noise_rad is not None):
            raise DataError("a recording has turns or joints and their noise_rad or neither; give both")
        rows, bodies, joints = self.actions.shape[:1], len(self.bodies), len(self.joints)
        if self.actions.ndim != 2 or rows[0] < 2 or not bodies + joints:
            seen = f"{bodies} bodies and {joints} joints"
            raise DataError(f"a recording needs two rows or more and a body or joint, received {self.actions.shape} actions, {seen}")
        for name, seen, after in (("positions", bodies, (bodies, 3)), ("turns", bodies, (bodies, 3, 3)), ("angles", joints, (joints,))):
            numbers = getattr(self, name)
            needed = seen and name != "turns"
            if (numbers is None and needed) or (numbers is not None and (numbers.shape != (*rows, *after) or not seen)):
                found = "none" if numbers is None else numbers.shape
                raise DataError(
                    f"a recording of {bodies} bodies, {joints} joints and actions of shape {self.actions.shape} needs {name} of shape "
                    f"{(*rows, *after)}, received {found}"
                )
        for name in ("actions", "positions", "turns", "angles"):
            numbers = getattr(self, name)
            if numbers is not None and not np.isfinite(numbers).all():
                raise DataError(f"a recording's {name} must be finite, but row {_first_bad(numbers)} is not; cut it there")
        for name, noise in (("noise_m", self.noise_m), ("noise_rad", self.noise_rad)):
            if noise is not None and not 0 < noise < np.inf:
                raise DataError(f"a recording's {name} must be above 0, received {noise}; say how well the tracker measures")
        if any(isinstance(wanted, str) for wanted in self.layout.values()):
            raise DataError(f"a recording's layout says where things stood, in numbers, received {dict(self.layout)}")

    def numbers(self) -> int:
        """How many measured numbers it holds; a turn counts as three."""
        found = sum(one.size for one in (self.positions, self.angles) if one is not None)
        return found + (0 if self.turns is None else self.turns.size // 3)

    def rows(self, until: int) -> "Recording":
        """Its first rows."""
        cut = {name: None if (one := getattr(self, name)) is None else one[:until] for name in ("actions", "positions", "turns", "angles")}
        return replace(self, **cut)


class Replay:
    """A recording's actions carried out in a world's model, as it is now. It moves as `TwinWorld.step` moves it, which hands over the
    whole state at every step and takes some five times as long.

    DataError where the recording names a body or joint that the world does not have or has other actions, WorldError for a layout that
    does not fit it.
    """

    def __init__(self, world: TwinWorld, recording: Recording):
        self.recording, self._world, self._mujoco = recording, world, needs("mujoco")
        self._model = world.compiled.model
        self._data = self._mujoco.MjData(self._model)
        unknown = [name for name in recording.bodies if name not in world.compiled.bodies]
        if unknown:
            raise DataError(f"the recording has body {unknown[0]!r}, the scene has not; its bodies: {', '.join(world.compiled.bodies)}")
        hinge, slide = int(self._mujoco.mjtJoint.mjJNT_HINGE), int(self._mujoco.mjtJoint.mjJNT_SLIDE)
        one_number = {name for name, joint in world.compiled.joints.items() if self._model.jnt_type[joint] in (hinge, slide)}
        unknown = [name for name in recording.joints if name not in one_number]
        if unknown:
            raise DataError(
                f"the recording has joint {unknown[0]!r}, the scene has not; its hinges and slides: {', '.join(sorted(one_number))}"
            )
        space = world.spec.action_space
        if recording.actions.shape[1:] != space.shape:
            drives = ", ".join(world.drives) or "none"
            raise DataError(f"the recording has {recording.actions.shape[1]} numbers an action, the scene's drives are {drives}")
        self._controls = recording.actions.astype(np.float32).clip(space.low, space.high)
        start = world.start(Prompt(layout=recording.layout), Generator()).physics[0].numpy()
        self._start, self._speeds = np.split(start[1 : 1 + self._model.nq + self._model.nv], [self._model.nq])  # time comes first
        numbers = [world.compiled.joints[name] for name in recording.joints]
        self._bodies = [world.compiled.bodies[name] for name in recording.bodies]
        self._angles = self._model.jnt_qposadr[numbers]
        self.slides = self._model.jnt_type[numbers] == slide  # which of the recording's joints are slides
        self._units = np.where(self.slides, recording.noise_m, recording.noise_rad or 1.0)

    def misfit(self) -> Float64[np.ndarray, " r"]:
        """Simulated minus recorded, in units of the recording's noise: every coordinate, then every turn as its axis times its angle, then
        every joint. WorldError where the scene becomes unstable."""
        off, recording = self.off(), self.recording
        parts = [off.positions / recording.noise_m, off.turns / (recording.noise_rad or 1.0), off.angles / self._units]
        return np.concatenate([part.ravel() for part in parts])

    def off(self) -> "Off":
        """Simulated minus recorded, row by row. WorldError where the scene becomes unstable."""
        recording = self.recording
        positions, turns, angles = self.poses()
        rows = len(positions)
        return Off(
            positions=positions - recording.positions if recording.bodies else np.zeros((rows, 0, 3)),
            turns=np.zeros((rows, 0, 3)) if recording.turns is None else _turned(np.einsum("tnji,tnjk->tnik", recording.turns, turns)),
            angles=angles - recording.angles if recording.joints else np.zeros((rows, 0)),
        )

    def poses(self) -> tuple[Float64[np.ndarray, "t n 3"], Float64[np.ndarray, "t n 3 3"], Float64[np.ndarray, "t j"]]:
        """Where the recording's bodies are at each of its rows, how they are turned (world_from_body), and where its joints are."""
        model, data, world = self._model, self._data, self._world
        self._mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = self._start, self._speeds
        positions, turns, angles = [], [], []
        for control in self._controls:
            self._mujoco.mj_kinematics(model, data)
            positions.append(data.xpos[self._bodies])
            turns.append(data.xmat[self._bodies].reshape(-1, 3, 3))
            angles.append(data.qpos[self._angles])
            data.ctrl[:] = control
            self._mujoco.mj_step(model, data, world.substeps)
        if not (np.isfinite(positions).all() and np.isfinite(angles).all()):
            raise WorldError(
                f"scene {world.scene.name!r} became unstable while a recording was repeated; try a smaller seconds_per_substep than "
                f"{world.scene.seconds_per_substep}, or narrower ranges of what is looked for"
            )
        return np.stack(positions), np.stack(turns), np.stack(angles)


@dataclass(frozen=True, kw_only=True)
class Off:
    """Simulated minus recorded: positions (m), turns as axis times angle (rad), joints (rad, m). Empty where a recording has none."""

    positions: Float64[np.ndarray, "t n 3"]
    turns: Float64[np.ndarray, "t m 3"]
    angles: Float64[np.ndarray, "t j"]


def _turned(turns: Float64[np.ndarray, "t n 3 3"]) -> Float64[np.ndarray, "t n 3"]:
    """Axis times angle (rad, below a half turn)."""
    sines = 0.5 * np.stack(
        [turns[..., 2, 1] - turns[..., 1, 2], turns[..., 0, 2] - turns[..., 2, 0], turns[..., 1, 0] - turns[..., 0, 1]], -1
    )
    sine = np.linalg.norm(sines, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (np.trace(turns, axis1=-2, axis2=-1)[..., None] - 1.0) / 2.0)
    return sines * np.divide(angle, sine, out=np.ones_like(sine), where=sine > 1e-12)


def _first_bad(numbers: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1))[0])
