"""Models of objects, as BOP keeps them: triangles in millimetres (PLY), and their sizes in `models_info.json`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from armillary.core.storage import write_json

MM = 1000.0  # in a metre
_CHUNK = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """What a rigid body looks like, in its own frame: `vertices` in metres, `faces` anticlockwise seen from outside."""

    vertices: Float64[np.ndarray, "v 3"]
    faces: Int64[np.ndarray, "f 3"]

    @property
    def key(self) -> bytes:
        """The same for the same triangles."""
        return self.vertices.tobytes() + self.faces.tobytes()


def write_models(folder: Path, models: dict[int, tuple[str, str, Model]]) -> None:
    """Write `obj_NNNNNN.ply` and `models_info.json`; `models` are (name, kind, model) by obj_id. Symmetries are not looked for."""
    folder.mkdir(exist_ok=True)
    info = {}
    for number, (name, kind, model) in models.items():
        (folder / f"obj_{number:06d}.ply").write_bytes(ply(model))
        low, high = model.vertices.min(axis=0) * MM, model.vertices.max(axis=0) * MM
        info[str(number)] = {"diameter": diameter(model.vertices) * MM}
        info[str(number)] |= {f"min_{axis}": float(value) for axis, value in zip("xyz", low, strict=True)}
        info[str(number)] |= {f"size_{axis}": float(value) for axis, value in zip("xyz", high - low, strict=True)}
        info[str(number)] |= {"name": name, "kind": kind}
    write_json(folder / "models_info.json", info)


def ply(model: Model) -> bytes:
    """A binary PLY file, in millimetres."""
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(model.vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(model.faces)}", "property list uchar int vertex_indices", "end_header", ""]
    faces = np.empty(len(model.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, model.faces
    return "\n".join(lines).encode() + (model.vertices * MM).astype("<f4").tobytes() + faces.tobytes()


def diameter(points: Float64[np.ndarray, "v 3"]) -> float:
    """The greatest distance between any two points.

    >>> diameter(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [3.0, 4.0, 0.0]]))
    5.0
    """
    points = np.unique(points, axis=0)
    from_middle = np.linalg.norm(points - (points.min(axis=0) + points.max(axis=0)) / 2.0, axis=1)
    reach = from_middle.max()
    furthest = points[from_middle.argmax()]
    least = float(np.linalg.norm(points - furthest, axis=1).max())
    points = points[from_middle + reach >= least * (1.0 - 1e-9)]  # no other can be an end of a longer way
    for first in range(0, len(points), _CHUNK):
        apart = np.linalg.norm(points[first : first + _CHUNK, None] - points[None], axis=-1)
        least = max(least, float(apart.max()))
    return least
