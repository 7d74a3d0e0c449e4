"""The planners by name, for the command line and for tables that compare them."""

import difflib

from armillary.core import ConfigError, Planner
from armillary.planning.categorical_cem import CategoricalCEM, CategoricalCEMConfig
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.config import SearchConfig
from armillary.planning.gradient import GradientConfig, GradientPlanner
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.mppi import MPPI, MPPIConfig
from armillary.planning.random_shooting import RandomShooting, RandomShootingConfig

PLANNERS: dict[str, tuple[type[Planner], type[SearchConfig]]] = {
    "cem": (CEM, CEMConfig),
    "icem": (ICEM, ICEMConfig),
    "mppi": (MPPI, MPPIConfig),
    "gradient": (GradientPlanner, GradientConfig),
    "categorical-cem": (CategoricalCEM, CategoricalCEMConfig),
    "random-shooting": (RandomShooting, RandomShootingConfig),
}


def planner_config(name: str) -> SearchConfig:
    """The default settings of a planner, ready for `core.settings.override`.

    >>> planner_config("icem").noise_exponent
    2.0
    """
    return _look_up(name)[1]()


def build_planner(name: str, config: SearchConfig | None = None) -> Planner:
    """A planner by its name. ConfigError for a name that nobody has, or for settings of another planner.

    >>> type(build_planner("mppi")).__name__
    'MPPI'
    """
    planner, kind = _look_up(name)
    if config is not None and type(config) is not kind:
        raise ConfigError(f"the planner {name!r} takes a {kind.__name__}, received a {type(config).__name__}")
    return planner(config)


def _look_up(name: str) -> tuple[type[Planner], type[SearchConfig]]:
    if name not in PLANNERS:
        near = difflib.get_close_matches(name, PLANNERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no planner {name!r}{hint} (choose one of {', '.join(PLANNERS)})")
    return PLANNERS[name]
