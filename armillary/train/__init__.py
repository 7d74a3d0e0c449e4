"""The one training loop: data order, precision, checkpoints, resume, many processes."""

from armillary.train.checkpoint import load_weights
from armillary.train.config import TrainConfig
from armillary.train.loop import FitResult, fit
from armillary.train.progress import Progress
from armillary.train.run import RunFolder

__all__ = ["FitResult", "Progress", "RunFolder", "TrainConfig", "fit", "load_weights"]
