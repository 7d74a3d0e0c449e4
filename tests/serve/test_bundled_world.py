"""The world that comes with the package: small, whole, described, and opened without anything else."""

import json

import pytest
import torch
from safetensors import safe_open

from armillary.core import CheckpointError, check_world, seeded
from armillary.serve.bundled_world import BUNDLED, FOLDER, load_bundled
from armillary.serve.open_world import DEFAULT, open_world
from armillary.serve.playable import TRUTH, WORLD
from tests.cli.small_data import run_json

LARGEST_BYTES = 10 << 20


@pytest.fixture(scope="module")
def playable():
    return open_world(BUNDLED)


def test_it_is_small_and_described():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST_BYTES
    with safe_open(FOLDER / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "python -m recipes.bundled_world" in card and "missing" not in card


def test_it_is_what_play_opens(capsys):
    assert DEFAULT == BUNDLED
    found = run_json(capsys, "play", "--check")
    assert found["step_ms"] > 0 and found["round_trip_ms"] > 0


def test_it_keeps_the_contract_of_a_world(playable):
    check_world(playable.world)


def held(playable, choice: int, steps: int):
    place = playable.begin(0).place
    for step in range(steps):
        place = playable.step(place, [choice], seeded(step))
    return {name: pictures[0].astype(float) for name, pictures in playable.show(place).items()}


@torch.no_grad()
def test_it_begins_where_the_simulator_does_and_obeys(playable):
    first = {name: pictures[0].astype(float) for name, pictures in playable.show(playable.begin(0).place).items()}
    assert abs(first[WORLD] - first[TRUTH]).mean() < 10.0
    keys = {choice.held: number for number, choice in enumerate(playable.controls.choices)}
    right, still = (held(playable, keys[way], 8) for way in (("right",), ()))
    moved = abs(right[TRUTH] - still[TRUTH]).max(axis=2) > 40
    assert moved.any()
    nearer = ((right[WORLD] - right[TRUTH]) ** 2)[moved].mean()
    assert nearer < ((still[WORLD] - right[TRUTH]) ** 2)[moved].mean(), "its picture after the key is no nearer to the truth than without"


def test_weights_of_another_world_are_refused(tmp_path):
    told = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    told["config"]["model"]["latent_size"] += 1
    (tmp_path / "config.json").write_text(json.dumps(told), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes((FOLDER / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="another model"):
        load_bundled(tmp_path)
