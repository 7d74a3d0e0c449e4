"""Labels of an episode: who is where, who touches whom, what each camera truly saw. By name, as a file, as columns of a dataset."""

import io
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from armillary.data.labels import COLUMN
from armillary.worlds.twin.eye import Eye
from armillary.worlds.twin.world import TwinState, TwinWorld


def labels_of(
    world: TwinWorld, states: Sequence[TwinState], seen: Mapping[str, Mapping[str, np.ndarray]], seeing: Mapping[str, Eye], attempt: int
) -> dict[str, np.ndarray]:
    """The labels of an episode.

    `attempt` int64: which attempt at the episode's task this is; things are drawn anew for each. `thing`, `body`, `kind` (text, n): what
    each id is, 0 being nothing; `world_from_body` t n 4 4 float64, by id. Who touches whom, a row
    a pair and step: `contact_step` c int32, `contact_body_a`, `contact_body_b` c uint16 (ids), `contact_force_n` c float64 (normal force,
    summed over the pair). For every camera `NAME.world_from_camera` t 4 4 float64 (it looks along its -z, y up), `NAME.intrinsics` 3 3
    float64 and `NAME.distortion` 4 float64 (OpenCV's camera matrix, with y down and z ahead, and its k1, k2, p1, p2), `NAME.fov_y_deg`
    (what follows from the intrinsics), and `NAME.MODALITY` t h w ... as `pictures` has them, each t being what it shows of the state
    before action t. Labels are bent by the lens as the pictures are.
    """
    columns: dict[str, np.ndarray] = {
        what: np.array([getattr(label, what) for label in world.labels]) for what in ("thing", "body", "kind")
    }
    columns["attempt"] = np.array(attempt)
    whole = TwinState(physics=torch.cat([state.physics for state in states]))
    columns["world_from_body"] = world_from_body = world.poses(whole).numpy()
    touching = world.contacts(whole)
    columns["contact_step"], columns["contact_force_n"] = touching.row.astype(np.int32), touching.force_n
    columns["contact_body_a"], columns["contact_body_b"] = touching.bodies.T.astype(np.uint16)
    cameras = {camera.name: camera for camera in world.scene.cameras}
    for name, modalities in seen.items():
        camera = cameras[name]
        rides_on = world.compiled.bodies[camera.on] if camera.on else 0
        columns[f"{name}.world_from_camera"] = world_from_body[:, rides_on] @ camera.pose.matrix()
        optics = seeing[name].optics
        columns[f"{name}.intrinsics"], columns[f"{name}.distortion"] = optics.matrix(), optics.coefficients()
        columns[f"{name}.fov_y_deg"] = np.array(optics.fov_y_deg)
        columns |= {f"{name}.{modality}": value for modality, value in modalities.items()}
    return columns


def as_columns(labels: Mapping[str, np.ndarray], cameras: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Of what each camera saw, a row a picture; what belongs to things is left out: every episode has others."""
    wanted = [f"{camera}.{label}" for camera, modalities in cameras.items() for label in ("world_from_camera", *modalities)]
    found = {COLUMN + name: labels[name] for name in wanted}
    for camera in cameras:
        found[f"{COLUMN}{camera}.intrinsics"] = np.repeat(labels[f"{camera}.intrinsics"][None], len(labels["world_from_body"]), axis=0)
    return found


def npz(columns: dict[str, np.ndarray]) -> bytes:
    """What numpy.load reads, the same bytes for the same labels.

    Arrays lie in Fortran's order, a pixel's whole history side by side: most pixels stay as they are, so that depth takes a tenth of
    the space and of the time. More than zlib's lowest level gains a tenth of the space for twice the time.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, values in columns.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(values, order="F"), allow_pickle=False)
    return written.getvalue()
