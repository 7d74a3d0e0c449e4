"""What every test shares: shapes and types checked at each call (but where a model learns), one thread a worker, the real recordings."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Files named `..._learns.py` repeat the same calls a thousand times: a third more time, if each were checked as everywhere else."""
    checked = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", item.path.stem.endswith(("_learns", "_learn")))
    try:
        return (yield)
    finally:
        jaxtyping.config.update("jaxtyping_disable", checked)


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
