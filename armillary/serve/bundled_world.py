"""The learned world that comes with the package, to walk into straight after install; recipes/bundled_world.py made it.

bundled/config.json         what builds it, as in a run's folder, and the simulator that it learned from
        model.safetensors   its weights, in half precision
        MODEL_CARD.md       what it can and cannot do
"""

from dataclasses import replace
from pathlib import Path

from armillary.core.storage import read_json
from armillary.serve.backends import on_backend
from armillary.serve.beside_truth import Learned, beside_truth
from armillary.serve.playable import Playable
from armillary.train.checkpoint import load_weights
from armillary.train.families import Families
from armillary.worlds.catalog import FAMILIES, build_small

BUNDLED = "platformer-dream"
FOLDER = Path(__file__).parent / "bundled"


def load_bundled(folder: Path = FOLDER) -> tuple[Learned, dict]:
    """The world in evaluation mode, and its config.json. CheckpointError where the weights are not those of the config."""
    recorded = read_json(folder / "config.json")
    world = Families(FAMILIES).build_recorded(recorded)
    load_weights(world, folder / "model.safetensors")
    world.eval().requires_grad_(False)
    return Learned(name=BUNDLED, world=world, stride=recorded["stride"], camera=recorded["camera"]), recorded


def of_bundled(*, backend: str = "eager") -> Playable:
    """The world, computed by the backend, beside its simulator."""
    learned, recorded = load_bundled()
    world = on_backend(learned.world, backend, BUNDLED)
    name, options = recorded["simulator"]["name"], recorded["simulator"]["options"]
    return beside_truth(replace(learned, world=world), name, build_small(name, **options))
