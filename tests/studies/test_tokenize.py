"""A video through a trained tokenizer, from the command line: what is written, and what is refused before anything is."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from armillary.cli.main import main
from armillary.core import to_disk, to_model
from armillary.data.record import write_dataset
from armillary.data.video import decode_video, encode_video
from armillary.data.video_episodes import video_episode
from armillary.studies.runs import load_run

TINY = ["--model.channels", "2", "--model.blocks", "1", "--model.num-frames", "5", "--data.height", "16", "--data.width", "16"]


def moving(frames: int, height: int = 16, width: int = 24) -> np.ndarray:
    time, row, column = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    waves = [0.5 + 0.4 * np.sin(0.3 * row + 0.2 * column + 0.3 * time + colour) for colour in range(3)]
    return (255 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs of untrained tokenizers, which are truncated DCTs, and a video of 16 x 24 pixels."""
    root = tmp_path_factory.mktemp("tokenize")
    episodes = [video_episode(moving(12 + number, 16, 16), 10.0, camera="observation.images.view") for number in range(3)]
    write_dataset(root / "data", episodes)
    for name in ("small", "small-discrete"):
        words = ["train", "tokenizer", "--data", str(root / "data"), "--out", str(root / name), "--preset", name, "--steps", "1"]
        assert main([*words, *TINY]) == 0
    encode_video(root / "video.mp4", moving(31), 10.0, crf=0)
    return root


@pytest.mark.parametrize(("run", "kind"), [("small", "latents"), ("small-discrete", "codes")])
def test_tokens_give_the_reconstruction_that_lies_beside_them(folder, capsys, run, kind):
    out = folder / f"tokens of {run}"
    assert main(["tokenize", str(folder / run), str(folder / "video.mp4"), "--out", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == json.loads((out / "tokens.json").read_text())
    assert (facts["frames"], facts["frames_left_out_at_the_end"], facts["height"], facts["width"]) == (29, 2, 16, 24)
    network = load_run(folder / run).world.network
    tokens = load_file(out / "tokens.safetensors")[kind]
    assert list(tokens.shape)[-3:] == [8, 2, 3]
    with torch.no_grad():
        frames = (network.decode if kind == "latents" else network.decode_codes)(tokens[None])[0]
    whole = to_model(decode_video(folder / "video.mp4")[:29])
    psnr = -10 * (frames.clamp(0, 1) - whole).square().mean((1, 2, 3)).log10().mean()
    assert facts["psnr_db"] == pytest.approx(float(psnr), abs=0.02)
    shown = decode_video(out / "reconstruction.mp4").astype(int)
    assert shown.shape == (29, 16, 24, 3) and np.abs(shown.mean(-1) - to_disk(frames).mean(-1)).mean() < 5


def test_the_cost_is_told(folder, capsys):
    assert main(["tokenize", str(folder / "small"), str(folder / "video.mp4"), "--out", str(folder / "dry"), "--dry-run"]) == 0
    assert "29 frames of 16 x 24" in capsys.readouterr().out and not (folder / "dry").exists()
    assert main(["tokenize", str(folder / "small-discrete"), str(folder / "video.mp4"), "--out", str(folder / "told")]) == 0
    said = capsys.readouterr().out
    assert "8 x 2 x 3 codes" in said and "of 64000 used" in said and "the last 2 frames make no whole latent" in said
    facts = json.loads((folder / "told" / "tokens.json").read_text())
    assert facts["bits_of_a_pixel"] == pytest.approx(8 * 2 * 3 * np.log2(64000) / (29 * 16 * 24))


def test_what_cannot_be_is_told_and_leaves_nothing(folder, capsys, tmp_path):
    (folder / "kept").mkdir(exist_ok=True)
    (folder / "broken.mp4").write_bytes((folder / "video.mp4").read_bytes()[:900])
    encode_video(folder / "narrow.mp4", moving(5, 2, 24), 10.0, crf=0)
    for run, video, out, code, message in (
        ("small", "video.mp4", folder / "kept", 2, "exists already"),
        ("small", "broken.mp4", tmp_path / "out", 3, "broken.mp4"),
        ("small", "nowhere.mp4", tmp_path / "out", 3, "nowhere.mp4"),
        ("small", "narrow.mp4", tmp_path / "out", 3, "2 x 24 pixels has nothing"),
        ("nowhere", "video.mp4", tmp_path / "out", 4, "not a run folder"),
    ):
        assert main(["tokenize", str(folder / run), str(folder / video), "--out", str(out)]) == code
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not list((folder / "kept").iterdir())


def test_pictures_that_do_not_fit_leave_no_run(folder, capsys, tmp_path):
    words = ["train", "tokenizer", "--data", str(folder / "data"), "--out", str(tmp_path / "run"), "--steps", "1", *TINY]
    assert main([*words, "--data.height", "12"]) == 1
    assert "multiples of 8" in capsys.readouterr().err and not (tmp_path / "run").exists()
