"""What every test shares: shapes and types checked at each call, one thread a worker, and the real recordings."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

# Before anything imports armillary: from here on every annotated call in it is checked.
install_import_hook("armillary", "beartype.beartype")

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
# A busy machine must not fail a test, and every run tries the same examples.
hypothesis.settings.register_profile("armillary", deadline=None, derandomize=True)
hypothesis.settings.load_profile("armillary")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings beside the repository; tests that need it are skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at {folder}")
    return folder


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory) -> None:
    """Frame caches of tests never touch the person's own."""
    os.environ["ARMILLARY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
