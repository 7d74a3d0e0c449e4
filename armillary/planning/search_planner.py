"""What every planner here is: settings, and the rollouts that they ask for."""

from typing import ClassVar

from armillary.core import ConfigError, Planner
from armillary.planning.config import SearchConfig
from armillary.planning.rollout import Rollouts


class SearchPlanner(Planner):
    """A planner with a config of its own class `Config`; without one, its defaults. ConfigError for another planner's config."""

    Config: ClassVar[type[SearchConfig]]

    def __init__(self, config: SearchConfig | None = None):
        if config is not None and type(config) is not self.Config:
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, received a {type(config).__name__}")
        self.config = config or self.Config()
        self.rollouts = Rollouts(max_rows=self.config.max_rows, compile=self.config.compile, precision=self.config.precision)
