"""Truth: one moment of one row of a twin, read by the scene's names."""

import numpy as np
from jaxtyping import Float64

from armillary.core import WorldError
from armillary.worlds.twin.world import TwinState, TwinWorld

Matrix = Float64[np.ndarray, "4 4"]


class Truth:
    """What a world's state says about its bodies and joints. Names are the scene's: `thing/body`, `thing/joint`. SI units."""

    def __init__(self, world: TwinWorld, state: TwinState, row: int = 0):
        model = world.compiled.model
        self._compiled = world.compiled
        self._physics = state.physics[row].numpy()
        self._poses = world.poses(state.rows([row]))[0].numpy()
        self.seconds = float(self._physics[0])  # since the episode began
        self.positions: Float64[np.ndarray, " q"] = self._physics[1 : 1 + model.nq]  # of every joint, in MuJoCo's order
        self.speeds: Float64[np.ndarray, " v"] = self._physics[1 + model.nq : 1 + model.nq + model.nv]

    def body(self, name: str) -> Matrix:
        """world_from_body."""
        return self._poses[_known(self._compiled.bodies, name, "body")]

    def thing(self, name: str) -> Matrix:
        """world_from_asset, where a thing has gone with its root body."""
        root = next(iter(self._compiled.scene.thing(name).asset.from_root()))
        return self.body(f"{name}/{root.name}") @ root.pose.inverse().matrix()

    def place(self, name: str) -> Float64[np.ndarray, "3"]:
        """Where a thing's origin is, m."""
        return self.thing(name)[:3, 3]

    def pace(self, name: str) -> float:
        """How fast the root of a thing that flies freely goes, m/s; 0 for one that is fixed."""
        return self._free_speed(name, 0)

    def spin(self, name: str) -> float:
        """How fast the root of a thing that flies freely turns, rad/s; 0 for one that is fixed."""
        return self._free_speed(name, 3)

    def position(self, joint: str) -> float:
        """Of a hinge (rad) or a slide (m)."""
        return float(self.positions[self._compiled.model.jnt_qposadr[_known(self._compiled.joints, joint, "joint")]])

    def speed(self, joint: str) -> float:
        """Of a hinge (rad/s) or a slide (m/s)."""
        return float(self.speeds[self._compiled.model.jnt_dofadr[_known(self._compiled.joints, joint, "joint")]])

    def _free_speed(self, name: str, part: int) -> float:
        joint = self._compiled.free.get(f"{name}/{next(iter(self._compiled.scene.thing(name).asset.from_root())).name}")
        if joint is None:
            return 0.0
        first = self._compiled.model.jnt_dofadr[joint] + part
        return float(np.linalg.norm(self.speeds[first : first + 3]))


def _known(names: dict[str, int], name: str, what: str) -> int:
    if name not in names:
        raise WorldError(f"the scene has no {what} {name!r}; it has {', '.join(names) or 'none'}")
    return names[name]
