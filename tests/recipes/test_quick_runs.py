"""Every study runs from end to end in its smoke form, and prints rows in the one form."""

import json
import subprocess
import sys

import pytest

from benchmarks.run import ROOT, studies

KEYS = {"name", "subject", "metric", "value", "low", "high", "n", "seeds", "unit"}
NEEDS_G1 = {
    *("diffusion_steps", "g1_action_conditioned", "g1_autoregressive", "g1_diffusion", "g1_open_loop", "new_robot", "offline_planning"),
    *("g1_latent_actions", "video_probes"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(studies()))
def test_a_study_runs_and_prints_its_rows(name, request, tmp_path):
    if name in NEEDS_G1:
        request.getfixturevalue("real_data")
    module = studies()[name]
    out = ["--out", str(tmp_path)] if module.startswith("recipes.") and name != "kill_and_resume" else []
    check_rows(module, *out)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["g1_action_conditioned", "offline_planning"])
@pytest.mark.usefixtures("real_data")
def test_the_studies_of_the_g1_take_the_other_world(name, tmp_path):
    check_rows(studies()[name], "--world", "vjepa2-ac", "--out", str(tmp_path))


def check_rows(module: str, *words: str) -> None:
    command = [sys.executable, "-m", module, "--quick", "--json", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout)
    assert rows and all(set(row) == KEYS for row in rows)
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
