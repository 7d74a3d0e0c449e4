"""The one training loop: data order, precision, checkpoints, resume, many processes."""

from armillary.train.checkpoint import load_weights
from armillary.train.config import TrainConfig
from armillary.train.cost import Cost, estimate_cost
from armillary.train.loop import FitResult, fit
from armillary.train.progress import Progress
from armillary.train.run import RunFolder

__all__ = ["Cost", "FitResult", "Progress", "RunFolder", "TrainConfig", "estimate_cost", "fit", "load_weights"]
