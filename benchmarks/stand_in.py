"""Empty modules in the place of packages that a peer imports and that what we measure of it does not use."""

import importlib.machinery
import sys
import types
from collections.abc import Mapping


def stand_in(name: str, contents: Mapping[str, object]) -> None:
    """A module `name` that holds `contents`, unless one was imported already."""
    if name in sys.modules:
        return
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(contents)
    sys.modules[name] = module
