"""BOP (the benchmark for 6D object poses): where every visible body is, seen from the camera, with depth, masks and models."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64

from armillary.core.storage import write_json
from armillary.data.export.masks import box
from armillary.data.export.models import MM, Model, write_models
from armillary.data.export.pictures import png
from armillary.data.export.takes import Progress, Selection, Take

SPLIT = "train"
FINEST_MM = 0.1  # a step of depth where nothing is further than 6.5 m, as in BOP's own rendered sets
_FULL = 2**16 - 1

ModelsOf = Callable[[int], Sequence[Model | None]]  # of an episode's ids; None: nothing is drawn of that body


def write_bop(selection: Selection, folder: Path, progress: Progress | None = None, models_of: ModelsOf | None = None) -> None:
    """Write `train/SCENE/` (rgb, depth, mask_visib, scene_camera.json, scene_gt.json, scene_gt_info.json) and `scenes.json` into an empty
    folder, and `models/` where `models_of` an episode are known.

    A scene is one camera's pictures of one episode (`scenes.json` says which); images are numbered as its frames. Rotations go row by row,
    lengths are in mm, the camera is x right, y down, z forward. An object is a rigid body: bodies of the same kind and the same triangles
    are one, and without models, bodies of the same names. Bodies that are not seen in a picture are left out of it. How much of a body is
    hidden is not known: there is no `visib_fract`, `px_count_all` or `bbox_obj`.
    """
    objects = _Objects(models_of)
    scenes = {}
    for number, take in enumerate(selection.takes(("depth", "segmentation"), progress)):
        scenes[str(number)] = {"episode": take.episode.index, "camera": take.camera.name}
        _write_scene(folder / SPLIT / f"{number:06d}", take, objects.of(take))
    write_json(folder / "scenes.json", scenes)
    if objects.models:
        write_models(folder / "models", objects.models)


class _Objects:
    """Numbers, from 1, for what is the same object in several episodes."""

    def __init__(self, models_of: ModelsOf | None):
        self._models_of = models_of
        self._numbers: dict[tuple, int] = {}
        self.models: dict[int, tuple[str, str, Model]] = {}

    def of(self, take: Take) -> list[int]:
        """The obj_id of each of the episode's ids; 0 of id 0."""
        names = take.labels.names
        models = [None] * len(names.things) if self._models_of is None else self._models_of(take.episode.index)
        bodies = zip(names.things, names.bodies, names.kinds, models, strict=True)
        return [0 if number == 0 else self._number(*body) for number, body in enumerate(bodies)]

    def _number(self, thing: str, body: str, kind: str, model: Model | None) -> int:
        key = (thing, body) if model is None else (kind, model.key)
        if key not in self._numbers:
            self._numbers[key] = number = len(self._numbers) + 1
            if model is not None:
                self.models[number] = (f"{thing}/{body}", kind, model)
        return self._numbers[key]


def _write_scene(folder: Path, take: Take, objects: list[int]) -> None:
    for name in ("rgb", "depth", "mask_visib"):
        (folder / name).mkdir(parents=True)
    camera = take.camera
    scale, camera_from_world = _depth_scale(camera.depth_m), camera.camera_from_world()
    cameras, truths, seen = {}, {}, {}
    for frame, picture in enumerate(take.episode.frames[take.key]):
        (folder / "rgb" / f"{frame:06d}.png").write_bytes(png(picture))
        steps = np.rint(camera.depth_m[frame].astype(np.float64) * (MM / scale)).astype(np.uint16)
        (folder / "depth" / f"{frame:06d}.png").write_bytes(png(steps))
        turn, place = _parts(camera_from_world[frame])
        cameras[str(frame)] = {"cam_K": camera.intrinsics().ravel().tolist(), "depth_scale": scale, "cam_R_w2c": turn, "cam_t_w2c": place}
        truths[str(frame)], seen[str(frame)] = [], []
        bodies = camera.segmentation[frame]
        for place_in_list, body in enumerate(np.unique(bodies[bodies > 0]).tolist()):
            turn, place = _parts(camera_from_world[frame] @ take.labels.world_from_body[frame, body])
            truths[str(frame)].append({"cam_R_m2c": turn, "cam_t_m2c": place, "obj_id": objects[body]})
            mask = bodies == body
            seen[str(frame)].append({"bbox_visib": box(mask), "px_count_visib": int(mask.sum())})
            (folder / "mask_visib" / f"{frame:06d}_{place_in_list:06d}.png").write_bytes(_mask(mask))
    for name, value in (("scene_camera", cameras), ("scene_gt", truths), ("scene_gt_info", seen)):
        write_json(folder / f"{name}.json", value)


def _depth_scale(depth_m: Float32[np.ndarray, "t h w"]) -> float:
    """The mm of one step, so that the furthest point still has a number: 0.1, or 1, or 10 ..."""
    furthest_mm, scale = float(depth_m.max(initial=0.0)) * MM, FINEST_MM
    while furthest_mm / scale > _FULL:
        scale = round(scale * 10.0, 6)
    return scale


def _parts(pose: Float64[np.ndarray, "4 4"]) -> tuple[list[float], list[float]]:
    """The rotation row by row, and the translation in mm."""
    return pose[:3, :3].ravel().tolist(), (pose[:3, 3] * MM).tolist()


def _mask(mask: Bool[np.ndarray, "h w"]) -> bytes:
    return png(mask.astype(np.uint8) * 255)
