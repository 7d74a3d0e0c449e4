"""What a folder must hold, what a machine must have, and what is said where either is not so."""

import json
import shutil
import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from armillary.cli.main import main
from armillary.core import CheckpointError, ConfigError, Prompt, WorldError, seeded
from armillary.studies.runs import open_world
from armillary.worlds.cosmos import memory
from armillary.worlds.cosmos.config import CosmosConfig
from armillary.worlds.cosmos.load import describe, load
from armillary.worlds.cosmos.memory import needs
from armillary.worlds.cosmos.released import WEIGHTS, open_release

NAME = "CosmosVideoToWorldPipeline"
GIVEN = 5  # frames that a chunk goes on from: two latents
PROMPT = Prompt(frames=torch.zeros(1, 1, 3, 32, 32), text=["a ball"])


@pytest.fixture
def folder(released, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(released(NAME), tmp_path / "model")


def rewrite(path, **changed) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def no_index(folder):
    (folder / "model_index.json").unlink()


def no_part(folder):
    shutil.rmtree(folder / "tokenizer")


def no_weights(folder):
    (folder / "vae" / WEIGHTS["vae"]).unlink()


def cut_off(folder):
    path = folder / "transformer" / WEIGHTS["transformer"]
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder):
    (folder / "text_encoder" / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def another_kind(folder):
    rewrite(folder / "model_index.json", _class_name="Cosmos3OmniPipeline")


def foreign_code(folder):
    rewrite(folder / "model_index.json", transformer=["mine", "Evil"])


def stray_shard(folder):
    (folder / "vae" / f"{WEIGHTS['vae']}.index.json").write_text(json.dumps({"weight_map": {"a": "../../other.safetensors"}}))


def a_tensor_less(folder):
    path = folder / "text_encoder" / WEIGHTS["text_encoder"]
    tensors = load_file(path)
    tensors.pop("encoder.block.0.layer.0.SelfAttention.q.weight")
    save_file(tensors, path, {"format": "pt"})


def another_width(folder):
    rewrite(folder / "transformer" / "config.json", num_attention_heads=4)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_index, "model_index.json"),
        (no_part, "lacks the part tokenizer"),
        (no_weights, "lacks diffusion_pytorch_model.safetensors"),
        (cut_off, "damaged"),
        (pickled, r"pickled weights \(pytorch_model.bin\)"),
        (another_kind, "not run as a world"),
        (foreign_code, "'Evil'"),
        (stray_shard, "safetensors files beside it"),
        (a_tensor_less, "lacks 1 tensors"),
        (another_width, "could not be loaded"),
    ],
)
def test_a_folder_that_is_not_whole(folder, settings, spoil, words):
    spoil(folder)
    with pytest.raises(CheckpointError, match=words):
        load(folder, settings)


def test_shards_that_an_index_names(folder, settings):
    path = folder / "vae" / WEIGHTS["vae"]
    tensors = load_file(path)
    names = {name: f"part-{place % 2}.safetensors" for place, name in enumerate(tensors)}
    for shard in set(names.values()):
        save_file({name: tensors[name] for name in names if names[name] == shard}, folder / "vae" / shard, {"format": "pt"})
    path.unlink()
    (folder / "vae" / f"{WEIGHTS['vae']}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    assert open_release(folder).numbers()["vae"] == sum(tensor.numel() for tensor in tensors.values())
    load(folder, settings)


def test_needs_are_known_before_a_weight_is_read(released, settings):
    release, cpu = open_release(released(NAME)), torch.device("cpu")
    world = load(released(NAME), settings)
    counted = {part: sum(one.numel() for one in getattr(world, part).parameters()) for part in WEIGHTS}
    assert release.numbers() == counted
    wide, half = needs(release, settings, cpu), needs(release, replace(settings, dtype="bfloat16"), cpu)
    assert wide.weights == {part: 4 * count for part, count in counted.items()}
    assert half.weights == {part: (4 if part == "vae" else 2) * count for part, count in counted.items()}
    longer = needs(release, replace(settings, num_frames=17), cpu)
    assert longer.work > wide.work and wide.whole == sum(wide.weights.values()) + wide.work > wide.in_turns
    fewer = {part: module.dtype for part, module in load(released(NAME), replace(settings, dtype="bfloat16")).named_children()}
    assert fewer == {"transformer": torch.bfloat16, "vae": torch.float32, "text_encoder": torch.bfloat16}


def test_a_machine_that_is_too_small(released, settings, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 2**20)
    monkeypatch.setattr("armillary.worlds.cosmos.load.load_pipeline", lambda *given: pytest.fail("weights were read"))
    with pytest.raises(ConfigError, match=r"needs .* GiB of RAM .*, and 0\.0 GiB are free; set dtype to bfloat16"):
        load(released(NAME), settings)


def test_free_memory_is_of_this_machine():
    psutil = pytest.importorskip("psutil")
    assert 2**27 < memory.free_bytes(torch.device("cpu")) <= psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"height": 40}, "multiple of 16"),
        ({"height": 1936}, "places for"),
        ({"num_frames": 8}, r"1 \+ a multiple of 4"),
        ({"condition_frames": 3}, "1 or 5"),
        ({"condition_frames": 5, "num_frames": 5}, "fewer than num_frames"),
        ({"offload": True}, "there is none"),
    ],
)
def test_settings_that_cannot_be(released, settings, changed, words):
    with pytest.raises(ConfigError, match=words):
        load(released(NAME), replace(settings, **changed))
    with pytest.raises(ConfigError, match="dtype must be one of"):
        CosmosConfig(dtype="int4")


@pytest.mark.parametrize("library", ["diffusers", "transformers"])
def test_without_the_libraries(released, settings, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=rf"{library}, which is not installed .*\[cosmos\]"):
        load(released(NAME), settings)


class Guardrail:
    """Refuses one word; draws a line into every video, or refuses it."""

    refuses_videos = False

    def to(self, device):
        self.device = device

    def check_text_safety(self, text):
        return "weapon" not in text

    def check_video_safety(self, frames):
        marked = frames.copy()
        marked[:, 0] = 255
        return None if self.refuses_videos else marked


def test_the_guardrail_is_asked(released, settings, monkeypatch):
    guarded = replace(settings, safety_checker=True)
    monkeypatch.setitem(sys.modules, "cosmos_guardrail", None)
    with pytest.raises(ConfigError, match="pip install cosmos_guardrail"):
        load(released(NAME), guarded)
    module = ModuleType("cosmos_guardrail")
    module.CosmosSafetyChecker = Guardrail
    monkeypatch.setitem(sys.modules, "cosmos_guardrail", module)
    world = load(released(NAME), guarded)
    with pytest.raises(WorldError, match="refuses the text 'a weapon'"):
        world.start(replace(PROMPT, text=["a weapon"]), seeded(0))
    start = world.start(PROMPT, seeded(0))
    drawn = world.render(world.step(start, torch.zeros(1, 0), seeded(0)))["rgb"]
    assert bool((drawn[:, :, 0] == 1.0).all()) and not bool((drawn == 1.0).all())
    assert world.guardrail.device == "cpu"
    world.guardrail.refuses_videos = True
    with pytest.raises(WorldError, match="refuses the video"):
        world.step(start, torch.zeros(1, 0), seeded(0))


def test_a_guardrail_that_cannot_start(released, settings, monkeypatch):
    def unreachable():
        raise OSError("no connection")

    module = ModuleType("cosmos_guardrail")
    module.CosmosSafetyChecker = unreachable
    monkeypatch.setitem(sys.modules, "cosmos_guardrail", module)
    with pytest.raises(ConfigError, match="no connection"):
        load(released(NAME), replace(settings, safety_checker=True))


def test_from_the_hub(released, settings, monkeypatch):
    hub, asked = pytest.importorskip("huggingface_hub"), {}

    def fetched(name, *, revision, allow_patterns):
        asked.update(name=name, revision=revision, patterns=allow_patterns)
        return str(released(NAME))

    monkeypatch.setattr(hub, "snapshot_download", fetched)
    assert load("nvidia/Cosmos@diffusers/base", settings).spec.seconds_per_step == 1 / 30
    assert asked["name"] == "nvidia/Cosmos" and asked["revision"] == "diffusers/base"
    assert "transformer/*.safetensors" in asked["patterns"] and not any(".bin" in one or ".pt" in one for one in asked["patterns"])

    words = {"height": "32", "width": "32", "num_frames": "9", "safety_checker": "no", "device": "cpu"}
    assert open_world("hub:nvidia/Cosmos", settings=words).spec.context_steps == GIVEN
    assert asked["name"] == "nvidia/Cosmos" and asked["revision"] is None

    def unreached(*given, **named):
        raise OSError("no route to the hub")

    monkeypatch.setattr(hub, "snapshot_download", unreached)
    with pytest.raises(CheckpointError, match="no route to the hub"):
        load("nvidia/Cosmos", settings)
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        load("../elsewhere", settings)


def test_half_as_wide_numbers_draw_too(released, settings):
    world = load(released(NAME), replace(settings, dtype="bfloat16"))
    state = world.step(world.start(PROMPT, seeded(0)), torch.zeros(1, 0), seeded(0))
    assert world.render(state)["rgb"].std() > 0.02


def test_one_function_opens_runs_and_releases(released, tmp_path):
    words = {"height": "32", "width": "48", "num-frames": "9", "dtype": "float32", "safety-checker": "no", "device": "cpu"}
    assert open_world(released(NAME), settings=words).spec.observation_space.shape == (32, 48, 3)
    with pytest.raises(CheckpointError):
        open_world(tmp_path)
    with pytest.raises(ConfigError, match="its own"):
        open_world(tmp_path, settings=words)


def test_info_of_a_release(released, capsys):
    assert main(["info", str(released(NAME)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pipeline"] == NAME and told["frames_per_chunk"] == 121 and told["fits"] == (told["bytes_needed"] <= told["bytes_free"])
    assert describe(released(NAME))["parameters"] == told["parameters"]
    assert main(["info", str(released(NAME))]) == 0
    assert "GB" in capsys.readouterr().out
