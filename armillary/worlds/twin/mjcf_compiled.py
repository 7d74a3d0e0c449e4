"""MuJoCo's model of an MJCF text, and which of its numbers nobody wrote."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armillary.core import DataError
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mjcf_xml import UNWRITTEN, SelfContained
from armillary.worlds.twin.palette import free_name

_DENSITY, _FRICTION = 1000.0, 1.0  # MuJoCo's own defaults; of all others that matter here it is 0


@dataclass(frozen=True, kw_only=True)
class Unwritten:
    """Which elements are silent, by MuJoCo's ids: geoms about density or friction, joints about damping, dry friction or armature."""

    density: frozenset[int]
    friction: frozenset[int]
    damping: frozenset[int]
    frictionloss: frozenset[int]
    armature: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class CompiledFile:
    """A model, the spec that it was made of (by id: `bodies` and `geoms`), and MuJoCo's warnings about it."""

    mujoco: Any
    spec: Any  # mujoco.MjSpec
    model: Any  # mujoco.MjModel
    bodies: dict[int, Any]
    geoms: dict[int, Any]
    unwritten: Unwritten
    warnings: tuple[str, ...]

    def names(self, kind: Any, count: int, word: str) -> list[str]:
        """The names of all things of a kind (mujoco.mjtObj) by id; what has none is called word_id."""
        names: list[str] = [self.mujoco.mj_id2name(self.model, kind, number) or "" for number in range(count)]
        for number, name in enumerate(names):
            names[number] = name or free_name(f"{word}_{number}", set(names))
        return names


def compiled_file(source: SelfContained, path: Path) -> CompiledFile:
    """Parse and compile. DataError with MuJoCo's words, naming the file, where it does not accept it."""
    mujoco = needs("mujoco")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            spec = mujoco.MjSpec.from_string(source.text, assets=source.files)
            silent = _unmarked(spec)
            model = spec.compile()
        except (ValueError, mujoco.FatalError) as error:
            words = " ".join(str(error).split()).split(", line ")[0]
            raise DataError(f"{path} is not accepted by MuJoCo: {words}; mend that in the file") from error
    # ids exist only once it is compiled
    unwritten = Unwritten(**{name: frozenset(element.id for element in elements) for name, elements in silent.items()})
    return CompiledFile(
        mujoco=mujoco,
        spec=spec,
        model=model,
        bodies={body.id: body for body in spec.bodies},
        geoms={geom.id: geom for geom in spec.geoms},
        unwritten=unwritten,
        warnings=tuple(f"MuJoCo warns: {' '.join(str(one.message).split())}" for one in heard),
    )


def _unmarked(spec: Any) -> dict[str, list]:
    """Put MuJoCo's defaults where UNWRITTEN stands, and say where that was."""
    silent: dict[str, list] = {name: [] for name in Unwritten.__dataclass_fields__}
    for geom in spec.geoms:
        if geom.density == UNWRITTEN:
            geom.density = _DENSITY
            if math.isnan(geom.mass):  # a given mass decides
                silent["density"].append(geom)
        if geom.friction[0] == UNWRITTEN:
            geom.friction[0] = _FRICTION
            silent["friction"].append(geom)
    for joint in spec.joints:
        if joint.damping[0] == UNWRITTEN:
            joint.damping[0] = 0.0
            silent["damping"].append(joint)
        for name in ("frictionloss", "armature"):
            if getattr(joint, name) == UNWRITTEN:
                setattr(joint, name, 0.0)
                silent[name].append(joint)
    return silent
