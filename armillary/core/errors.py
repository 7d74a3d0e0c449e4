"""The tree of errors that users see. Each says what was wrong, where, the value received and what to do next."""


class ArmillaryError(Exception):
    """Root of every error that Armillary raises on purpose. Exit code of the command line: 1."""


class ConfigError(ArmillaryError, ValueError):
    """A setting is unknown, has the wrong type or contradicts another. Exit code 2."""


class DataError(ArmillaryError, ValueError):
    """A dataset, episode or file does not hold what it says it holds. Exit code 3."""


class VideoError(DataError):
    """A video could not be decoded whole, or asked for more than the limits allow."""


class CheckpointError(ArmillaryError, ValueError):
    """A run folder or a checkpoint is missing, damaged or of another shape. Exit code 4."""


class StorageError(ArmillaryError, OSError):
    """Writing failed (disk full, input/output error); nothing already written was lost. Exit code 5."""


class WorldError(ArmillaryError, ValueError):
    """A world was asked for something outside its spec, or breaks the World contract."""


class TrainingError(ArmillaryError):
    """Training cannot go on: the loss or its gradient is no longer a number. Exit code 1."""


class InterruptedRun(ArmillaryError):
    """The person pressed Ctrl-C; a checkpoint was written and the run can be resumed. Exit code 130."""
