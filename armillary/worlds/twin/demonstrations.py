"""Demonstrations: a simulated dataset whose episodes are played again, so that what was shown can be carried over to other places."""

from functools import lru_cache
from pathlib import Path

import torch

from armillary.core import DataError
from armillary.data.dataset import open_dataset
from armillary.data.labels import MANIFEST_FILE, read_attempt
from armillary.worlds.twin.episode_world import drawn_world
from armillary.worlds.twin.manifest import Manifest, read_manifest
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.mimic import Demonstration, demonstration
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import Staged, Task, TaskWorld


class Demonstrations:
    """The episodes of a dataset with a task. They are simulated again from their actions, so that nothing but them is believed.

    DataError, naming the dataset, if it was not simulated, has no task that can be carried over, or was itself made by carrying over.
    """

    def __init__(self, path: Path | str):
        self.path, self._dataset = Path(path), open_dataset(path)
        if not (self.path / MANIFEST_FILE).is_file():
            raise DataError(f"{self.path} has no {MANIFEST_FILE}: demonstrations are datasets that `armillary simulate --task` made")
        self.manifest: Manifest = read_manifest(self.path / MANIFEST_FILE)
        if not self.manifest.task or self.manifest.policy == "mimic":
            raise DataError(
                f"{self.path} was made with task {self.manifest.task!r} and policy {self.manifest.policy!r}; demonstrations need a "
                "task, and are not made of demonstrations"
            )
        self._shown: dict[int, Demonstration] = {}

    def __len__(self) -> int:
        return len(self._dataset)

    def task(self, number: int) -> Task:
        """What is done in the `number`-th demonstration; after the last one the first comes again. DataError if it has no stages."""
        task = self._world(number).task
        if not isinstance(task, Staged):
            raise DataError(
                f"{self.path}: the task {self.manifest.task!r} cannot be carried over; those with stages can: grasp, pick_place"
            )
        return task

    def shown(self, number: int) -> Demonstration:
        """What it shows. DataError if playing its actions again does not do the task."""
        record = self._record(number)
        if record.index not in self._shown:
            world = self._world(number)
            actions = torch.tensor(self._dataset.load(record, cameras=()).actions)
            played = attempt(world, Replay(world, actions), delay=self.manifest.delay(record.index, read_attempt(self._dataset, record)))
            if not played.done:
                raise DataError(
                    f"{self.path}, episode {record.index}: its actions do not do the task when they are played again; leave it out, or "
                    "record it again with this version"
                )
            self._shown[record.index] = demonstration(world, played)
        return self._shown[record.index]

    def _record(self, number: int):
        return self._dataset.episodes[number % len(self._dataset)]

    def _world(self, number: int) -> TaskWorld:
        record = self._record(number)
        return drawn_world(self.manifest, record.index, read_attempt(self._dataset, record))


@lru_cache(maxsize=2)
def demonstrations(path: str) -> Demonstrations:
    """Those of a dataset; a process that needs them again has what it simulated."""
    return Demonstrations(path)
