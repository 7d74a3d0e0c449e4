"""A manifest's episodes as one LeRobot dataset with labels beside it, by as many processes as wanted: the same bytes for any number."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from armillary.core import Prompt, seeded
from armillary.core.storage import write_atomically, write_text
from armillary.data.card import CARD_FILE, card_text
from armillary.data.metadata import read_metadata
from armillary.data.record import DatasetWriter
from armillary.studies.processes import in_order
from armillary.worlds.twin.manifest import Manifest, write_manifest
from armillary.worlds.twin.record import action_names, record_episode, state_names, world_of

MANIFEST_FILE = "simulation.json"  # a library calls its own file manifest.json
LABELS_FOLDER = "labels"
_LABELS = """
## Labels
`labels/episode-NNNNNN.npz` has the labels of episode NNNNNN, row t belonging to picture t; read it with `numpy.load`. They are not part of
the LeRobot format: tools that copy only `meta`, `data` and `videos` leave them behind.

| key | shape and type | what |
|---|---|---|
| thing, body, kind | n, text | what each id is; id 0 is nothing |
| world_from_body | t n 4 4 float64 | the pose of each id's body, metres |
| CAMERA.world_from_camera | t 4 4 float64 | the camera looks along its -z, y is up |
| CAMERA.fov_y_deg | float64 | the angle of the picture's height |
| CAMERA.depth | t h w float32 | metres along the camera's axis, 0 where nothing is |
| CAMERA.segmentation | t h w uint16 | ids |
| CAMERA.normals | t h w 3 float32 | in the camera's frame: x right, y up, z back |

Depth, segmentation and normals are there if the manifest asks for them. Labels are the truth: the manifest's noise is on pictures and state
only. `simulation.json` makes this dataset again: `armillary simulate --manifest simulation.json --out COPY`.
"""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of a simulated dataset's actions and state."""

    actions: tuple[str, ...]
    state: tuple[str, ...]


def try_out(manifest: Manifest) -> Columns:
    """Draw the first picture of each camera, so that what cannot be simulated or drawn here is said before anything is written."""
    world = world_of(manifest, 0)
    try:
        state = world.start(Prompt(batch_size=1), seeded(0))
        for camera in manifest.cameras or (world.camera.name,):
            world.look(state, camera, manifest.modalities)
        return Columns(actions=action_names(world), state=state_names(world))
    finally:
        world.close()


def simulate(manifest: Manifest, out: Path | str, *, workers: int = 1, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a new LeRobot v3 dataset of the manifest's episodes, with labels, the manifest and a card that explains them; its folder.

    StorageError when `out` exists. Killed half-way, the episodes written so far can be read with their labels, and
    `armillary data doctor OUT --repair` closes the dataset.
    """
    episodes = in_order(partial(record_episode, manifest), manifest.episodes, workers)
    out, columns = Path(out), try_out(manifest)
    with DatasetWriter(out, robot_type=f"twin-{manifest.scene}", action_names=columns.actions, state_names=columns.state) as writer:
        write_manifest(manifest, out / MANIFEST_FILE)
        for number, labelled in enumerate(episodes):
            write_atomically(label_path(out, number), lambda path, labels=labelled.labels: path.write_bytes(labels))
            writer.save(labelled.episode)
            if progress is not None:
                progress(number + 1, manifest.episodes)
    how = f"simulated by armillary from {MANIFEST_FILE}; actions in SI units of each drive"
    nobody = "simulated: no people"
    card = card_text(read_metadata(out), {"how": how, "recorded by": "armillary simulate", "consent": nobody}, f"twin-{manifest.scene}")
    write_text(out / CARD_FILE, card + _LABELS)
    return out


def label_path(dataset: Path | str, episode: int) -> Path:
    """Where the labels of an episode are."""
    return Path(dataset) / LABELS_FOLDER / f"episode-{episode:06d}.npz"
