"""Every command and every piece of Python in the documents is run, in a smoke form, so that none of them goes stale."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from armillary.data.video import encode_video
from armillary.worlds.twin.asset_files import save_asset
from recipes.faults.clean_assets import door
from tests.cli.small_data import SMALL, run, write_small_dataset

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "docs/tutorials/*.md", "armillary/**/README.md")
    for path in ROOT.glob(pattern)
)
REAL = "../shared/data"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What keeps a documented command short in a test; nothing else of it is changed.
QUIET = ("--train.tensorboard", "no", "--train.validation-batches", "1", "--train.workers", "0")
TINY_VIT = ("width 48", "depth 1", "heads 3", "predictor-width 24", "predictor-depth 1", "predictor-heads 2", "batch-size 2")
TINY = {
    "vmc": SMALL,
    "tokenizer": (
        *("--data.height", "32", "--data.width", "32", "--model.num-frames", "9", "--model.crop", "0"),
        *("--model.channels", "2", "--model.blocks", "1", "--model.batch-size", "2", *QUIET),
    ),
    "diffusion": (
        *("--data.height", "32", "--data.width", "32", "--model.width", "24", "--model.depth", "1", "--model.heads", "2"),
        *("--model.read-size", "8", "--model.chunk-steps", "4", "--model.batch-size", "2", *QUIET),
    ),
    "video-diffusion": (
        *("--data.height", "32", "--data.width", "32", "--model.width", "24", "--model.depth", "1", "--model.heads", "2"),
        *("--model.chunk-steps", "4", "--model.batch-size", "2", *QUIET),
    ),
    "autoregressive": (
        *("--data.height", "32", "--data.width", "32", "--model.width", "24", "--model.depth", "1", "--model.heads", "2"),
        *("--model.context-steps", "2", "--model.dream-steps", "4", "--model.batch-size", "2", "--model.tokenize-batch-size", "2", *QUIET),
    ),
    "code-decoder": (
        *("--data.height", "32", "--data.width", "32", "--model.width", "24", "--model.depth", "1", "--model.heads", "2"),
        *("--model.sampling-steps", "2", "--model.batch-size", "2", *QUIET),
    ),
    "genie": (
        *("--data.height", "32", "--data.width", "32", "--model.width", "24", "--model.depth", "1", "--model.heads", "2"),
        *("--model.tokenizer-width", "24", "--model.tokenizer-heads", "2", "--model.tokenizer-depth", "1", "--model.action-width", "24"),
        *("--model.action-heads", "2", "--model.action-depth", "1", "--model.context-steps", "2", "--model.batch-size", "2"),
        *("--steps", "4", *QUIET),  # a step for each of its phases
    ),
    "goal-cloning": ("--model.batch-size", "2", "--model.pairs-per-window", "2", *QUIET),
    "inverse-dynamics": ("--model.batch-size", "2", "--model.pairs-per-window", "2", *QUIET),
    "jepa": ("--model.batch-size", "2", "--model.latent-size", "16", *QUIET),
    "vjepa2": ("--data.height", "64", "--data.width", "64", *(f"--model.{one}".replace(" ", "=") for one in TINY_VIT), *QUIET),
    "vjepa2-ac": ("--model.predictor-width", "24", "--model.predictor-depth", "1", "--model.batch-size", "2", *QUIET),
}
SMOKE = {
    "demo": ("--no-browser", "--steps", "2", "--episodes", "5", *SMALL),
    "train": ("--steps", "2"),
    "cost": (),
    "distill": ("--train.steps", "2"),
    "evaluate": ("--protocol.horizon-s", "1", "--protocol.starts-every-s", "2"),
    "record": ("--episodes", "5", "--steps", "16"),
    "preview": ("--quality", "draft"),
    "play": ("--check",),
    "plan": ("--episodes", "1", "--steps", "2", "--planner.samples", "8", "--planner.elites", "2", "--planner.iterations", "1"),
}
# Set-up, which CI itself has done before any test runs.
EXTRAS = ("onnx", "serve", "twin", "all")
INSTALLS = {"pip install -e .", *(f'pip install -e ".[{extra}]"' for extra in EXTRAS), "pip install -c constraints.txt -e ."}


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [body for found, body in FENCE.findall(text) if found == language]


def commands(document: str) -> list[list[str]]:
    """Every command of the bash blocks, without comments."""
    lines = "".join(blocks(document, "bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> dict[str, Path]:
    """The datasets and the run that the documents speak of."""
    folder = tmp_path_factory.mktemp("prepared")
    places = {"PATH": write_small_dataset(folder / "mine"), "ANOTHER": write_small_dataset(folder / "another", seed=1, num_episodes=2)}
    assert run("train", "vmc", "--data", places["PATH"], "--out", folder / "run", "--steps", "2", *SMALL) == 0
    save_asset(door(), folder / "door.usda")
    pictures = np.random.default_rng(0).integers(0, 256, (9, 32, 48, 3), np.uint8)
    encode_video(folder / "film.mp4", pictures, 10.0)
    Image.fromarray(pictures[0]).save(folder / "frame.png")
    np.save(folder / "actions.npy", np.zeros((10, 2), np.float32))
    return places | {
        "VIDEO": folder / "film.mp4",
        "FRAME": folder / "frame.png",
        "ACTIONS": folder / "actions.npy",
        "ASSET": folder / "door.usda",
        "OLD": places["PATH"],
        "A": places["PATH"],
        "B": places["ANOTHER"],
        "RUN": folder / "run",
    }


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if commands(one)])
def test_commands_work(document, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made: set[str] = set()
    for words in commands(document):
        if words[0] == "armillary":
            _run_verb(words, prepared, made)
        elif words[:2] == ["python", "-m"]:
            assert words[2].split(".")[0] in ("recipes", "benchmarks"), words
            _run_help(words)
        elif words[0] == "make":
            _make_knows(words)
        else:
            assert shlex.join(words).replace("'", '"') in {one.replace("'", '"') for one in INSTALLS}, f"no smoke form for {words}"


def _run_verb(words: list[str], prepared: dict[str, Path], made: set[str]) -> None:
    """Run `armillary ...`. Names in capitals are the prepared ones, or new folders here; a run that was just made wins."""
    if any(word.startswith(REAL) for word in words):
        if not (ROOT / REAL).is_dir():
            return
        words = [str(ROOT / word) if word.startswith(REAL) else word for word in words]
    verb, makes = words[1], {words[i + 1] for i, word in enumerate(words[:-1]) if word in ("--out", "--report")}
    placed = [str(prepared[word]) if word in prepared and word not in makes | made else word for word in words[1:]]
    family = TINY.get(words[2], SMALL) if verb in ("train", "cost") else ()
    code = run(*placed, *SMOKE.get(words[2] if verb in ("data", "twin") else verb, ()), *family)
    made |= makes if "--dry-run" not in words else set()
    faulty = verb == "data" and words[2] == "doctor" and "--repair" not in words
    assert code == 0 or (faulty and code == 3), f"{shlex.join(words)} ended with {code}"


def _run_help(words: list[str]) -> None:
    found = subprocess.run([sys.executable, "-m", words[2], "--help"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    for option in (word for word in words[3:] if word.startswith("--")):
        assert option in found.stdout, f"{words[2]} has no {option}"


def _make_knows(words: list[str]) -> None:
    found = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if blocks(one, "python")])
def test_python_works(document, tmp_path):
    for number, body in enumerate(blocks(document, "python")):
        if REAL in body and not (ROOT / REAL).is_dir():
            continue
        script = tmp_path / f"block_{number}.py"
        script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{body}")
        found = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
        assert found.returncode == 0, f"{document}, block {number}:\n{found.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    broken = [target for target in targets if target and not ((ROOT / document).parent / target).exists()]
    assert not broken, f"{document} links to what is not there: {broken}"


def test_every_dependency_has_a_decision():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[<>=\[]", one)[0] for one in needed} - {"armillary"}
    notes = "\n".join(path.read_text().lower() for path in (ROOT / "docs" / "decisions").glob("*.md"))
    missing = sorted(name for name in names if name.lower() not in notes and name.removeprefix("pytest-") not in notes)
    assert not missing, f"docs/decisions says nothing of {missing}"


def test_every_dependency_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[<>=\[]", one)[0].replace("_", "-").lower() for one in needed} - {"armillary"}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "every line pins one version, without a local build"
    assert names <= {line.partition("==")[0].replace("_", "-").lower() for line in lines}
    assert "torch==2.13.0" in lines
