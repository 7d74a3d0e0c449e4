"""The planners by name, for the command line and for tables that compare them."""

import difflib

from armillary.core import ConfigError, Planner
from armillary.planning.categorical_cem import CategoricalCEM
from armillary.planning.cem import CEM
from armillary.planning.config import SearchConfig
from armillary.planning.gradient import GradientPlanner
from armillary.planning.icem import ICEM
from armillary.planning.mppi import MPPI
from armillary.planning.random_shooting import RandomShooting
from armillary.planning.search_planner import SearchPlanner

PLANNERS: dict[str, type[SearchPlanner]] = {
    "cem": CEM,
    "icem": ICEM,
    "mppi": MPPI,
    "gradient": GradientPlanner,
    "categorical-cem": CategoricalCEM,
    "random-shooting": RandomShooting,
}


def planner_config(name: str) -> SearchConfig:
    """The default settings of a planner, ready for `core.settings.override`.

    >>> planner_config("icem").noise_exponent
    2.0
    """
    return _look_up(name).Config()


def build_planner(name: str, config: SearchConfig | None = None) -> Planner:
    """A planner by its name. ConfigError for a name that nobody has, or for settings of another planner.

    >>> type(build_planner("mppi")).__name__
    'MPPI'
    """
    return _look_up(name)(config)


def _look_up(name: str) -> type[SearchPlanner]:
    if name not in PLANNERS:
        near = difflib.get_close_matches(name, PLANNERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no planner {name!r}{hint} (choose one of {', '.join(PLANNERS)})")
    return PLANNERS[name]
