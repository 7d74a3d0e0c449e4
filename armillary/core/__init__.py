"""The nouns that every other room speaks of. Import them from here."""

from armillary.core.check import check_world
from armillary.core.env_world import EnvWorld
from armillary.core.environments import WorldEnv, WorldVectorEnv
from armillary.core.episode import Batch, Episode
from armillary.core.errors import (
    ArmillaryError,
    CheckpointError,
    ConfigError,
    DataError,
    InterruptedRun,
    StorageError,
    TrainingError,
    VideoError,
    WorldError,
)
from armillary.core.frames import to_disk, to_model
from armillary.core.metric import Estimate, Metric, bootstrap
from armillary.core.planner import Objective, Plan, Planner
from armillary.core.policy import Policy
from armillary.core.state import State, concatenate
from armillary.core.text import to_bytes, to_texts
from armillary.core.world import (
    Action,
    CompletesViews,
    Embeds,
    ForetellsCodes,
    Imagines,
    InfersActions,
    Loss,
    Phase,
    Portable,
    Prompt,
    Promptable,
    Renders,
    Rewards,
    Trainable,
    World,
    WorldSpec,
    events_of,
    require,
    seeded,
)

__all__ = [
    "Action",
    "ArmillaryError",
    "Batch",
    "CheckpointError",
    "CompletesViews",
    "ConfigError",
    "DataError",
    "Embeds",
    "EnvWorld",
    "Episode",
    "Estimate",
    "ForetellsCodes",
    "Imagines",
    "InfersActions",
    "InterruptedRun",
    "Loss",
    "Metric",
    "Objective",
    "Phase",
    "Plan",
    "Planner",
    "Policy",
    "Portable",
    "Prompt",
    "Promptable",
    "Renders",
    "Rewards",
    "State",
    "StorageError",
    "Trainable",
    "TrainingError",
    "VideoError",
    "World",
    "WorldEnv",
    "WorldError",
    "WorldSpec",
    "WorldVectorEnv",
    "bootstrap",
    "check_world",
    "concatenate",
    "events_of",
    "require",
    "seeded",
    "to_bytes",
    "to_disk",
    "to_model",
    "to_texts",
]
