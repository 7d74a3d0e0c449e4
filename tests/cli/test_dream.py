"""armillary dream: what it prints and writes, and that whatever cannot be dreamt is one clear message before anything is made."""

import json

import numpy as np
import pytest
from PIL import Image

from armillary.data.video import probe_video
from tests.cli.small_data import run, run_json
from tests.studies.dreaming import STRIDE, train_tiny, write_material


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dreams")
    data = write_material(folder)
    train_tiny("vmc", data, folder / "vmc", "--data.stride", STRIDE)
    for family in ("jepa", "tokenizer", "goal-cloning"):
        train_tiny(family, data, folder / family)
    train_tiny("vjepa2", data, folder / "vjepa2")
    _write_faults(folder)
    return folder


def _write_faults(folder) -> None:
    """Everything that a person may hand in by mistake."""
    rows = np.random.default_rng(0).uniform(-1, 1, (12, 2))
    spoilt = rows.copy()
    spoilt[7, 1] = np.nan
    for name, values in (("nan", spoilt), ("one", rows[:, :1]), ("steps", np.tile(rows, 2)), ("empty", rows[:0]), ("flat", rows[:, 0])):
        np.save(folder / f"{name}.npy", values)
    spoilt[7, 1] = -np.inf
    (folder / "inf.json").write_text(json.dumps(spoilt.tolist()))
    (folder / "words.csv").write_text("x,y\n0.1,0.2\n0.3,left\n")
    (folder / "ragged.csv").write_text("0.1,0.2\n0.3\n")
    np.save(folder / "objects.npy", np.array([[{}]], dtype=object))
    (folder / "pickled.npy").write_bytes(b"cpytest\nfail\n(Va pickle was opened\ntR.")
    (folder / "table.xlsx").write_bytes(b"PK")
    film = (folder / "film.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(film[: len(film) // 2])
    (folder / "nothing.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("a dream of a robot")
    (folder / "broken.png").write_bytes((folder / "frame.png").read_bytes()[:200])
    Image.new("RGBA", (64, 64)).save(folder / "clear.png")
    (folder / "none.mp4").write_bytes(_without_frames())


def _without_frames() -> bytes:
    """A sound mp4 with a video track in which there is no frame."""
    import io

    import av

    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    return written.getvalue()


def dream(material, *words: object, prompt: str = "frame.png", actions: str | None = "actions.npy", family: str = "vmc") -> tuple:
    """The words of a dream; prompts and actions that are files of the material by their names."""
    prompt = str(material / prompt) if (material / prompt.partition(":")[0]).exists() else prompt
    given = () if actions is None else ("--actions", material / actions)
    return ("dream", material / family, "--prompt", prompt, *given, *words)


def test_it_prints_what_it_wrote(material, tmp_path, capsys):
    assert run(*dream(material, "--out", tmp_path / "out", "--seconds", "0.8", "--samples", "2")) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'out'}/dream.mp4: 2 dreams of 0.8 s, 4 pictures of 64 x 64 pixels" in said and "note: " in said
    assert probe_video(tmp_path / "out" / "dream.mp4").frames == 5 and (tmp_path / "out" / "seed-1.mp4").exists()


def test_json_is_the_provenance(material, tmp_path, capsys):
    words = dream(material, "--out", tmp_path / "out", "--seed", "3", prompt="data:-1@1.0", actions=None)
    told = run_json(capsys, *words)
    assert told == json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert told["prompt"]["episode"] == 4 and told["dream"]["seeds"] == [3] and told["panels"] == ["recorded", "dream, seed 3"]
    assert told["command"].startswith("armillary dream ") and "--seed 3" in told["command"] and "--json" not in told["command"]


def test_the_command_of_a_dream_dreams_it_again(material, tmp_path, capsys):
    told = run_json(capsys, *dream(material, "--out", tmp_path / "out", "--seconds", "0.6", prompt="film.mp4"))
    words = told["command"].split()
    words[words.index("--out") + 1] = str(tmp_path / "again")
    assert run(*words[1:]) == 0
    for name in ("dream.mp4", "seed-0.mp4", "strip.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_dry_run_says_what_would_be_and_writes_nothing(material, tmp_path, capsys):
    told = run_json(capsys, *dream(material, "--out", tmp_path / "out", "--dry-run", prompt="film.mp4"))
    assert told["dream"]["steps"] == 6 and told["prompt"]["kind"] == "video" and told["prompt"]["frames"] == 3
    assert run(*dream(material, "--out", tmp_path / "out", "--dry-run")) == 0
    assert "would dream one dream of 1.2 s, 6 pictures" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["0.5,0.1\n-0.5,0.2\n0,0\n1,1\n", "vx,vy\n0.5,0.1\n-0.5,0.2\n0,0\n1,1"])
def test_actions_may_be_csv_or_json(material, tmp_path, capsys, text):
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.json").write_text("[[0.5, 0.1], [-0.5, 0.2], [0, 0], [1, 1]]")
    pictures = []
    for name in ("a.csv", "a.json"):
        assert run(*dream(material, "--actions", tmp_path / name, "--out", tmp_path / f"of {name}", actions=None)) == 0
        pictures.append((tmp_path / f"of {name}" / "seed-0.mp4").read_bytes())
    assert pictures[0] == pictures[1] and "one dream of 0.4 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words", "code", "said"),
    [
        # runs
        ({"family": "jepa"}, (), 2, "(jepa) foretells latents and draws no pictures; train vmc, diffusion or autoregressive"),
        ({"family": "tokenizer"}, (), 2, "(tokenizer) is no world"),
        ({"family": "vjepa2"}, (), 2, "(vjepa2) is no world"),
        ({"family": "goal-cloning"}, (), 2, "(goal-cloning) is a policy"),
        ({"family": "nowhere"}, (), 4, "is not a run folder"),
        ({"family": "data"}, (), 4, "is not a run folder"),
        # prompts
        ({"prompt": "a robot lifts a cup"}, (), 2, "starts from frames, not from text; give a picture (.png, .jpg), a video, or DATASET"),
        ({"prompt": "lost.png"}, (), 2, "there is no file 'lost.png'"),
        ({"prompt": ""}, (), 2, "is a folder"),
        ({"prompt": "data"}, (), 2, "DATASET:EPISODE@SECONDS"),
        ({"prompt": "vmc:0"}, (), 3, "info.json"),
        ({"prompt": "data:first"}, (), 2, "must be DATASET:EPISODE or DATASET:EPISODE@SECONDS"),
        ({"prompt": "data:"}, (), 2, "must be DATASET:EPISODE"),
        ({"prompt": "data:1@soon"}, (), 2, "must be DATASET:EPISODE"),
        ({"prompt": "data:1@nan"}, (), 2, "must be DATASET:EPISODE"),
        ({"prompt": "data:99"}, (), 3, "has no episode 99; it has 5 episodes"),
        ({"prompt": "data:-6"}, (), 3, "has no episode -6"),
        ({"prompt": "data:1@2.9"}, (), 3, "can be dreamt on from 0 to 2.6 s; --prompt names 2.9 s"),
        ({"prompt": "data:1@-1"}, (), 3, "names -1 s"),
        ({"prompt": "notes.txt"}, (), 3, "neither a picture (png, jpg) nor a sound video"),
        ({"prompt": "broken.png"}, (), 3, "cannot be read as a picture"),
        ({"prompt": "clear.png"}, (), 3, "transparent"),
        ({"prompt": "cut.mp4"}, (), 3, "nor a sound video"),
        ({"prompt": "nothing.mp4"}, (), 3, "nor a sound video"),
        ({"prompt": "none.mp4"}, (), 3, "nor a sound video"),
        ({"prompt": "slow.mp4"}, (), 2, "has 2 frames a second, the world's context has 5"),
        # actions
        ({"actions": None}, (), 2, "Give --actions FILE (.npy, .csv or .json): this world takes commands of 2 numbers, 10 a second"),
        ({"actions": "lost.npy"}, (), 3, "no such file"),
        ({"actions": "table.xlsx"}, (), 3, "one of .npy, .csv, .json"),
        ({"actions": "nan.npy"}, (), 3, "row 7, column 1 holds nan"),
        ({"actions": "inf.json"}, (), 3, "row 7, column 1 holds -inf"),
        ({"actions": "words.csv"}, (), 3, "line 3, column 1 holds 'left'"),
        ({"actions": "ragged.csv"}, (), 3, "line 2 has 1 numbers"),
        ({"actions": "one.npy"}, (), 3, "1 numbers a row; this world was trained on commands of 2 numbers"),
        ({"actions": "steps.npy"}, (), 3, "rows of 4 are taken with --actions-fps 5"),
        ({"actions": "flat.npy"}, (), 3, "reshape(-1, 1)"),
        ({"actions": "empty.npy"}, (), 3, "holds no action"),
        ({"actions": "objects.npy"}, (), 3, "pickled objects, which are never opened"),
        ({"actions": "pickled.npy"}, (), 3, "pickled objects, which are never opened"),
        ({"prompt": "data:4", "actions": None}, ("--actions-fps", "5"), 2, "give --actions FILE too"),
        ({}, ("--actions-fps", "7"), 2, "does not go with"),
        ({}, ("--actions-fps", "0"), 2, "above 0"),
        ({}, ("--actions-fps", "nan"), 2, "above 0"),
        ({}, ("--actions-fps", "fast"), 2, "invalid float"),
        ({"actions": "one.npy"}, ("--actions-fps", "5"), 3, "1 numbers a row"),
        # length, number, rate
        ({}, ("--seconds", "0"), 2, "--seconds must be a number above 0"),
        ({}, ("--seconds", "-1"), 2, "received -1"),
        ({}, ("--seconds", "nan"), 2, "received nan"),
        ({}, ("--seconds", "inf"), 2, "received inf"),
        ({}, ("--seconds", "1e11"), 2, "this machine has"),
        ({}, ("--seconds", "5"), 3, "makes 6 steps (1.2 s); --seconds 5 needs 25, which are 50 commands"),
        ({"prompt": "data:4", "actions": None}, ("--seconds", "9"), 3, "what was recorded after that moment makes 12 steps"),
        ({}, ("--samples", "0"), 2, "--samples"),
        ({}, ("--samples", "99999999999"), 2, "this machine has"),
        ({}, ("--seed", "-1"), 2, "--seed"),
        ({}, ("--fps", "0"), 2, "--fps"),
        ({}, ("--weights", "worst"), 2, "invalid choice"),
        ({}, ("--sampels", "2"), 2, "did you mean --samples"),
    ],
)
def test_what_cannot_be_dreamt_is_said_before_anything_is_made(material, tmp_path, capsys, given, words, code, said):
    assert run(*dream(material, *words, "--out", tmp_path / "out", **given)) == code
    printed = capsys.readouterr()
    assert said in printed.err and "Traceback" not in printed.err and not printed.out
    assert not list(tmp_path.iterdir())


def test_out_is_never_written_over(material, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_text("mine")
    for out in ("out", "file"):
        for more in ((), ("--dry-run",)):
            assert run(*dream(material, "--out", tmp_path / out, *more)) == 5
            assert "exists already" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir()) and (tmp_path / "file").read_text() == "mine"
    assert run(*dream(material)) == 2 and "--out" in capsys.readouterr().err
