"""Where a report's numbers come from: what a reader needs to get them again."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """Provenance of a judged model. Every text may come from strangers; the page escapes it."""

    model: str
    dataset: str
    camera: str
    command: str
    seed: int
    commit: str
    data_hash: str
    hardware: str
    train_seconds: float | None
    evaluate_seconds: float | None = None
    train_episodes: int = 0
    parameters: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)
