"""Where the numbers of a run go: metrics.jsonl always, TensorBoard when it is installed."""

import logging
from collections.abc import Mapping

from armillary.train.config import TrainConfig
from armillary.train.metrics_log import MetricsLog
from armillary.train.run import RunFolder

logger = logging.getLogger(__name__)


class Recorder:
    """Writes rows to metrics.jsonl and, as a convenience that may fail without harm, to TensorBoard."""

    def __init__(self, run: RunFolder, step: int, config: TrainConfig):
        self._log = MetricsLog(run.metrics_path, step=step)
        self._board = _open_board(run, step) if config.tensorboard else None

    def append(self, row: Mapping[str, object]) -> None:
        """Record one step."""
        self._log.append(row)
        if self._board is None:
            return
        try:
            for name, value in row.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"train/{name}", value, row["step"])
        except OSError as error:
            logger.warning("TensorBoard cannot write (%s) and is switched off; metrics.jsonl goes on", error)
            self._board = None

    def sync(self) -> None:
        """Make what was recorded survive power loss."""
        self._log.sync()

    def close(self) -> None:
        """Close the files."""
        self._log.close()
        if self._board is not None:
            try:
                self._board.close()
            except OSError as error:
                logger.warning("TensorBoard could not be closed: %s", error)


def _open_board(run: RunFolder, step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("tensorboard is not installed, so only metrics.jsonl is written; `pip install tensorboard` adds it")
        return None
    return SummaryWriter(str(run.path / "tensorboard"), purge_step=step + 1 if step else None)
