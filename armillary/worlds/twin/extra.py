"""The libraries that only twins need, and what to do where one is missing."""

import importlib
from types import ModuleType

from armillary.core import ConfigError


def needs(module: str) -> ModuleType:
    """The module, imported now. ConfigError, with the command that installs it, where it is missing.

    >>> needs("math").pi > 3
    True
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise ConfigError(f'twins need {name!r}, which is not installed ({error}); run: pip install -e ".[twin]"') from error
