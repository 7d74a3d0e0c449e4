"""What was commanded of the real thing and what was seen of it; and how far a simulation of the same is from that."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from torch import Generator

from armillary.core import DataError, Prompt, WorldError
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.world import TwinWorld


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One trajectory of the real thing: actions `t a`, positions `t n 3` and turns `t n 3 3` of n bodies.

    Row k of `positions` is where the bodies were when action k was commanded, so that row 0 is the start, and the last action is never
    seen to work. `bodies` are named as in the scene (`thing/body`); `positions` are of their origins (m), `turns` their world_from_body;
    `noise_m` and `noise_rad` are standard deviations of the measurement, of each coordinate and about each axis. `layout` is how things
    stood at the start, as a Prompt's: what it leaves out stood as the scene places it. The start is taken as true, and as resting.
    DataError where a number is missing or not finite, shapes do not fit, or there are fewer than two rows.
    """

    actions: Float64[np.ndarray, "..."]  # these three come from files: their shapes are checked below, with words
    bodies: tuple[str, ...]
    positions: Float64[np.ndarray, "..."]
    noise_m: float
    turns: Float64[np.ndarray, "..."] | None = None
    noise_rad: float | None = None
    layout: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self):
        if (self.turns is None) != (self.noise_rad is None):
            raise DataError("a recording has turns and their noise_rad or neither; give both")
        rows, bodies = self.actions.shape[:1], len(self.bodies)
        for name, numbers, after in (("positions", self.positions, (bodies, 3)), ("turns", self.turns, (bodies, 3, 3))):
            if numbers is not None and numbers.shape != (*rows, *after):
                raise DataError(
                    f"a recording of {bodies} bodies and actions of shape {self.actions.shape} needs {name} of shape {(*rows, *after)}, "
                    f"received {numbers.shape}"
                )
        if self.actions.ndim != 2 or rows[0] < 2 or not bodies:
            raise DataError(f"a recording needs two rows or more and a body, received {self.actions.shape} actions and {bodies} bodies")
        for name in ("actions", "positions", "turns"):
            numbers = getattr(self, name)
            if numbers is not None and not np.isfinite(numbers).all():
                raise DataError(f"a recording's {name} must be finite, but row {_first_bad(numbers)} is not; cut it there")
        for name, noise in (("noise_m", self.noise_m), ("noise_rad", self.noise_rad)):
            if noise is not None and not 0 < noise < np.inf:
                raise DataError(f"a recording's {name} must be above 0, received {noise}; say how well the tracker measures")
        if any(isinstance(wanted, str) for wanted in self.layout.values()):
            raise DataError(f"a recording's layout says where things stood, in numbers, received {dict(self.layout)}")


class Replay:
    """A recording's actions carried out in a world's model, as it is now. It moves as `TwinWorld.step` moves it, which hands over the
    whole state at every step and takes some five times as long.

    DataError where the recording names a body that the world does not have or has other actions, WorldError for a layout that does not
    fit it.
    """

    def __init__(self, world: TwinWorld, recording: Recording):
        self.recording, self._world, self._mujoco = recording, world, needs("mujoco")
        self._model = world.compiled.model
        self._data = self._mujoco.MjData(self._model)
        unknown = [name for name in recording.bodies if name not in world.compiled.bodies]
        if unknown:
            raise DataError(f"the recording has body {unknown[0]!r}, the scene has not; its bodies: {', '.join(world.compiled.bodies)}")
        space = world.spec.action_space
        if recording.actions.shape[1:] != space.shape:
            drives = ", ".join(world.drives) or "none"
            raise DataError(f"the recording has {recording.actions.shape[1]} numbers an action, the scene's drives are {drives}")
        self._controls = recording.actions.astype(np.float32).clip(space.low, space.high)
        start = world.start(Prompt(layout=recording.layout), Generator()).physics[0].numpy()
        self._start = start[1 : 1 + self._model.nq]  # time comes first, then positions; everything rests

    def misfit(self) -> Float64[np.ndarray, " r"]:
        """Simulated minus recorded, in units of the recording's noise: every coordinate, then every turn as its axis times its angle.
        WorldError where the scene becomes unstable."""
        recording = self.recording
        positions, turns = self.poses()
        found = [((positions - recording.positions) / recording.noise_m).ravel()]
        if recording.turns is not None:
            found.append((_turned(np.einsum("tnji,tnjk->tnik", recording.turns, turns)) / recording.noise_rad).ravel())
        return np.concatenate(found)

    def poses(self) -> tuple[Float64[np.ndarray, "t n 3"], Float64[np.ndarray, "t n 3 3"]]:
        """Where the recording's bodies are at each of its rows, and how they are turned (world_from_body)."""
        model, data, world = self._model, self._data, self._world
        numbers = [world.compiled.bodies[name] for name in self.recording.bodies]
        self._mujoco.mj_resetData(model, data)
        data.qpos[:] = self._start
        positions, turns = [], []
        for control in self._controls:
            self._mujoco.mj_kinematics(model, data)
            positions.append(data.xpos[numbers])
            turns.append(data.xmat[numbers].reshape(-1, 3, 3))
            data.ctrl[:] = control
            self._mujoco.mj_step(model, data, world.substeps)
        if not np.isfinite(positions).all():
            raise WorldError(
                f"scene {world.scene.name!r} became unstable while a recording was repeated; try a smaller seconds_per_substep than "
                f"{world.scene.seconds_per_substep}, or narrower ranges of what is looked for"
            )
        return np.stack(positions), np.stack(turns)


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
