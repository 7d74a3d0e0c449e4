"""A manifest's episodes as one LeRobot dataset with labels beside it, by as many processes as wanted: the same bytes for any number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from armillary.core import Prompt, seeded
from armillary.core.storage import write_atomically, write_text
from armillary.data.card import CARD_FILE, card_text
from armillary.data.labels import CARD_SECTION, MANIFEST_FILE, label_path
from armillary.data.metadata import read_metadata
from armillary.data.record import DatasetWriter
from armillary.data.staging import refuse_existing
from armillary.studies.processes import in_order
from armillary.worlds.twin.manifest import Manifest, write_manifest
from armillary.worlds.twin.perform import world_of
from armillary.worlds.twin.record import action_names, pictures, record_episode, state_names

_AGAIN = f"""
The manifest's noise is on pictures and state only. `{MANIFEST_FILE}` makes this dataset again:
`armillary simulate --manifest {MANIFEST_FILE} --out COPY`.
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
        pictures(world, state, None, manifest.cameras or (world.camera.name,), manifest.modalities)
        return Columns(actions=action_names(world, manifest.policy), state=state_names(world, manifest.policy))
    finally:
        world.close()


def simulate(
    manifest: Manifest,
    out: Path | str,
    *,
    workers: int = 1,
    in_order: Callable[..., Iterator] = in_order,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a new LeRobot v3 dataset of the manifest's episodes, with labels, the manifest and a card that explains them; its folder.

    `in_order` says which processes do the episodes: this machine's, or Ray's (`ray_processes.on_ray`).
    StorageError when `out` exists. Killed half-way, the episodes written so far can be read with their labels, and
    `armillary data doctor OUT --repair` closes the dataset.
    """
    out = Path(out)
    refuse_existing(out)
    columns, episodes = try_out(manifest), iter(in_order(partial(record_episode, manifest), manifest.episodes, workers))
    first = next(episodes)  # what fails at once leaves no folder behind
    with DatasetWriter(out, robot_type=f"twin-{manifest.scene}", action_names=columns.actions, state_names=columns.state) as writer:
        write_manifest(manifest, out / MANIFEST_FILE)
        for number, labelled in enumerate(chain([first], episodes)):
            write_atomically(label_path(out, number), lambda path, labels=labelled.labels: path.write_bytes(labels))
            writer.save(labelled.episode)
            if progress is not None:
                progress(number + 1, manifest.episodes)
    how = f"simulated by armillary from {MANIFEST_FILE}; actions in SI units of each drive"
    nobody = "simulated: no people"
    card = card_text(read_metadata(out), {"how": how, "recorded by": "armillary simulate", "consent": nobody}, f"twin-{manifest.scene}")
    write_text(out / CARD_FILE, card + CARD_SECTION + _AGAIN)
    return out
