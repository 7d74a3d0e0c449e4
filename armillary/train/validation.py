"""The same few windows of held-out episodes, looked at with the same noise every time."""

import logging
from collections.abc import Iterator, Sequence

from armillary.core import Batch, Episode, Phase
from armillary.data.windows import WindowLoader, WindowSampler
from armillary.train.distributed import Group
from armillary.train.schedule import mixed_seed

logger = logging.getLogger(__name__)
_SEED = 20180327  # the day the World Models paper appeared; any fixed number does


class ValidationSet:
    """Fixed windows of held-out episodes for one phase, whatever the run's seed, so that runs compare."""

    def __init__(self, episodes: Sequence[Episode], camera: str, phase: Phase, num_batches: int, group: Group):
        long_enough = [episode for episode in episodes if len(episode) >= phase.num_frames]
        windows = sum(len(episode) - phase.num_frames + 1 for episode in long_enough)
        self._episodes, self._camera, self._group, self._phase = long_enough, camera, group, phase
        self.batch_size = min(phase.batch_size, windows) // group.world_size * group.world_size
        self.num_batches = min(num_batches, windows // self.batch_size) if self.batch_size else 0
        if episodes and not self.num_batches:
            logger.warning("phase %s: no held-out episode has %d frames, so it is not validated", phase.name, phase.num_frames)

    def __bool__(self) -> bool:
        return self.num_batches > 0

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """This rank's rows of every batch, each with the seed of its noise."""
        sampler = WindowSampler(
            [len(episode) for episode in self._episodes],
            num_frames=self._phase.num_frames,
            batch_size=self.batch_size,
            seed=_SEED,
            rank=self._group.rank,
            world_size=self._group.world_size,
        )
        loader = WindowLoader(self._episodes, self._camera, sampler, workers=0)
        for index, batch in zip(range(self.num_batches), loader, strict=False):
            yield mixed_seed("validation", self._phase.name, index), batch
