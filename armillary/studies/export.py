"""A labelled dataset written for other tools; what only the twin knows, its scenes and shapes, is built again from the manifest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from armillary.core import ConfigError, DataError
from armillary.data.dataset import open_dataset
from armillary.data.export.bop import write_bop
from armillary.data.export.coco import write_coco
from armillary.data.export.models import Model
from armillary.data.export.takes import Progress, Selection, select
from armillary.data.export.webdataset import write_webdataset
from armillary.data.labels import MANIFEST_FILE, Names, read_attempt, read_labels, read_names
from armillary.data.staging import refuse_existing, staged_folder
from armillary.worlds.twin.asset import Body
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.manifest import Manifest, read_manifest
from armillary.worlds.twin.perform import world_of
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.tessellate import tessellated

FORMATS = ("coco", "bop", "webdataset", "usd")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, or would be. `frames` counts each instant once for every camera that was exported; `notes` say what the format has
    room for and nobody knows."""

    path: Path
    format: str
    episodes: tuple[int, ...]
    cameras: tuple[str, ...]
    frames: int
    notes: tuple[str, ...] = ()


def export(
    source: Path | str,
    to: str,
    out: Path | str,
    *,
    episodes: Sequence[int] | None = None,
    camera: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write these episodes (None: all) as seen by this camera (None: by each) as one of FORMATS into a new folder, whole or not at all.

    ConfigError for another format or a camera that is not there, DataError where labels are missing or damaged, or no manifest says what
    the scene was that a replay needs, StorageError if `out` exists. A dry run checks what is asked for and that there are labels.
    """
    if to not in FORMATS:
        raise ConfigError(f"--to must be one of {', '.join(FORMATS)}, received {to!r}")
    if to == "usd" and camera is not None:
        raise ConfigError(f"a replay in usd has every camera of the scene; leave out --camera {camera}")
    selection, out = select(open_dataset(source), episodes=episodes, camera=camera), Path(out)
    refuse_existing(out)
    for record in selection.episodes:
        read_names(selection.dataset, record)
    write, notes = _writer(to, selection)
    if not dry_run:
        with staged_folder(out) as folder:
            write(folder, progress)
    return Exported(
        path=out,
        format=to,
        episodes=tuple(record.index for record in selection.episodes),
        cameras=() if to == "usd" else selection.cameras,
        frames=sum(record.length for record in selection.episodes) * (1 if to == "usd" else len(selection.cameras)),
        notes=notes,
    )


def _writer(to: str, selection: Selection) -> tuple[Callable[[Path, Progress | None], None], tuple[str, ...]]:
    """What writes a format into a folder, and what cannot be known."""
    if to == "coco":
        return lambda folder, progress: write_coco(selection, folder, progress), ()
    if to == "webdataset":
        return lambda folder, progress: write_webdataset(selection, folder, progress), ()
    manifest, notes = _manifest(selection), _lens_notes(selection)
    if to == "bop":
        notes += ["how much of a body is hidden is not known, so there is no visib_fract, px_count_all or bbox_obj"]
        if manifest is None:
            notes.append(f"there are no models: {selection.dataset.path} has no {MANIFEST_FILE}; bodies of the same name are one object")
            return lambda folder, progress: write_bop(selection, folder, progress), tuple(notes)

        @lru_cache(maxsize=1)  # the cameras of an episode come one after another
        def models_of(episode: int) -> tuple[Model | None, ...]:
            return _models(_scene(manifest, selection, episode), read_names(selection.dataset, episode))

        return lambda folder, progress: write_bop(selection, folder, progress, models_of), tuple(notes)
    if manifest is None:
        raise DataError(
            f"{selection.dataset.path} has no {MANIFEST_FILE}, which says what its scenes are; a merged dataset has none: export those "
            f"that it was made of"
        )
    for module in ("mujoco", "pxr.Usd"):
        needs(module)
    return lambda folder, progress: _write_replays(manifest, selection, folder, progress), tuple(notes)


def _lens_notes(selection: Selection) -> list[str]:
    """What a format without words for a bent lens leaves out."""
    first = read_labels(selection.dataset, selection.episodes[0], modalities=())
    if not any(camera.distortion.any() for camera in first.cameras.values()):
        return []
    return ["the lens bends pictures and labels, which this format cannot say; webdataset keeps the coefficients"]


def _manifest(selection: Selection) -> Manifest | None:
    path = selection.dataset.path / MANIFEST_FILE
    return read_manifest(path) if path.is_file() else None


def _write_replays(manifest: Manifest, selection: Selection, folder: Path, progress: Progress | None) -> None:
    """A stage for each episode."""
    from armillary.worlds.twin.usd_replay import write_replay

    dataset = selection.dataset
    height, width = dataset.info.features[dataset.info.camera_keys[0]].shape[:2]
    for number, record in enumerate(selection.episodes):
        labels = read_labels(dataset, record, cameras=())
        things, bodies = labels.names.things, labels.names.bodies
        poses = {f"{things[one]}/{bodies[one]}": labels.world_from_body[:, one] for one in range(1, len(things))}
        path = folder / f"episode-{record.index:06d}.usda"
        scene = _scene(manifest, selection, record.index)
        write_replay(scene, poses, path, frames_per_second=dataset.info.fps, wide=width / height)
        if progress:
            progress(number + 1, len(selection.episodes))


def _scene(manifest: Manifest, selection: Selection, episode: int) -> Scene:
    """An episode's scene as it was simulated. DataError if its ids would not be those of the labels."""
    world = world_of(manifest, episode, read_attempt(selection.dataset, episode))
    things, bodies, kinds = zip(*((one.thing, one.body, one.kind) for one in world.labels), strict=True)
    if Names(things=things, bodies=bodies, kinds=kinds) != read_names(selection.dataset, episode):
        raise DataError(
            f"{selection.dataset.path / MANIFEST_FILE} makes another scene than the labels of episode {episode} are of: the file was "
            f"changed, or another version of armillary made it; simulate the dataset again"
        )
    return world.scene


def _models(scene: Scene, names: Names) -> tuple[Model | None, ...]:
    """The model of each id."""
    return (None, *(_model(scene.thing(thing).asset.body(body)) for thing, body in zip(names.things[1:], names.bodies[1:], strict=True)))


def _model(body: Body) -> Model | None:
    """What is drawn of a body, in its frame."""
    vertices, faces, count = [], [], 0
    for shape in body.shapes:
        if shape.role != "collider":
            mesh = tessellated(shape.geometry)
            vertices.append(shape.pose.apply(mesh.vertices))
            faces.append(mesh.faces + count)
            count += len(mesh.vertices)
    return Model(vertices=np.concatenate(vertices), faces=np.concatenate(faces)) if vertices else None
