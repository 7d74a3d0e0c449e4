"""The report folder: everything in one page, nothing from outside, and words that say what the numbers say."""

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from armillary.data.video import decode_video
from armillary.evaluate.inverse_dynamics import ProbeConfig, evaluate_inverse_dynamics, fit_probe
from armillary.evaluate.open_loop import Protocol, evaluate_open_loop
from armillary.evaluate.report import RunInfo, write_report
from armillary.evaluate.report.words import verdict
from armillary.evaluate.shift import shift_episodes
from tests.evaluate.toy import CAMERA, SIZE, Levels, walk

HOSTILE = '</title><script src="https://evil.example/x.js">alert(1)</script>"><img onerror=alert(1)>'
EPISODES = [walk(index, task=HOSTILE) for index in range(4)]
GRAY = np.full((SIZE, SIZE, 3), 0.5, np.float32)
INFO = RunInfo(
    model="levels",
    dataset=HOSTILE,
    camera=CAMERA,
    command=f"armillary demo --data {HOSTILE}",
    seed=7,
    commit="0123abc",
    data_hash="sha256:feed",
    hardware="two cores",
    train_seconds=75.0,
    train_episodes=12,
    more={HOSTILE: HOSTILE},
)


def judge(obeys: float = 1.0, episodes=EPISODES, **options):
    return evaluate_open_loop(Levels(obeys=obeys, trusting=True), episodes, camera=CAMERA, mean_frame=GRAY, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    shifted = {name: judge(episodes=shift_episodes(EPISODES, name, camera=CAMERA)) for name in ("hue", "brightness")}
    probe = fit_probe(EPISODES, camera=CAMERA, config=ProbeConfig(steps=2))
    read = evaluate_inverse_dynamics(Levels(), probe, EPISODES, camera=CAMERA)
    (path / "notes.txt").write_text("mine")
    page = write_report(path, judge(), run_info=INFO, shifted=shifted, inverse_dynamics=read)
    assert page == path / "index.html"
    return path


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text outside of style."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_folder_holds_all_parts_and_keeps_what_was_there(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"index.html", "table.csv", "table.json", "film.mp4", "poster.png", "strip.png", "psnr.png", "gain.png", "ssim.png"} <= names
    assert {"error.png", "look-hue.png", "look-brightness.png"} <= names
    assert (folder / "notes.txt").read_text() == "mine"
    assert not [name for name in names if name.startswith(".")]


def test_the_page_asks_nothing_of_anyone_and_runs_nothing(folder):
    page = (folder / "index.html").read_text()
    elements = Elements(page)
    assert not {tag for tag, _ in elements.tags} & {"script", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in elements.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("src", "srcset", "poster", "href"):
            assert attributes.get(name, "data:").startswith(("data:", "#")), (tag, name)
    policy = next(attributes["content"] for tag, attributes in elements.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert "url(" not in style and "@import" not in style


def test_text_from_strangers_stays_text(folder):
    page = (folder / "index.html").read_text()
    assert "<script" not in page and "<img onerror" not in page
    assert HOSTILE in "".join(Elements(page).text)


def test_the_film_in_the_page_is_the_film_in_the_folder_and_plays(folder):
    video = next(attributes for tag, attributes in Elements((folder / "index.html").read_text()).tags if tag == "video")
    assert "controls" in video and video["aria-label"]
    assert base64.b64decode(video["src"].removeprefix("data:video/mp4;base64,")) == (folder / "film.mp4").read_bytes()
    frames = decode_video(folder / "film.mp4")
    assert len(frames) == 5 + 20 + 12 and frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    assert not np.array_equal(frames[4], frames[20])


def test_every_picture_has_words(folder):
    pictures = [attributes for tag, attributes in Elements((folder / "index.html").read_text()).tags if tag == "img"]
    assert len(pictures) == 1 + 4 + 2 and all(len(attributes["alt"]) > 20 for attributes in pictures)


def test_tables_hold_every_row(folder):
    stored = json.loads((folder / "table.json").read_text())
    with open(folder / "table.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(stored["rows"])
    assert {row["look"] for row in rows} == {"as recorded", "hue", "brightness"}
    expected = judge().estimate("psnr", "copy_last", 1.0)
    (row,) = [
        row
        for row in stored["rows"]
        if (row["look"], row["metric"], row["subject"], row["horizon_s"]) == ("as recorded", "psnr", "copy_last", 1.0)
    ]
    assert row["value"] == pytest.approx(expected.value) and row["n"] == 4
    assert any(row["metric"] == "idm_state_r2" for row in rows)
    assert stored["run"]["seed"] == 7 and stored["protocol"]["horizon_s"] == 2.0


def test_the_page_says_what_is_needed_to_run_it_again(folder):
    text = "".join(Elements((folder / "index.html").read_text()).text)
    for needed in ("0123abc", "sha256:feed", "two cores", "75 s", "armillary demo --data", "12 for training, 4 held out"):
        assert needed in text


def test_the_verdict_praises_a_world_that_listens():
    told = verdict(judge())
    assert told[0].tone == "good" and re.match(r"It beats copy-last by \d+\.\d dB at \+1 s \(95 % interval", told[0].text)
    assert told[1].tone == "good" and "it listens to its actions" in told[1].text


def test_the_verdict_exposes_a_world_that_does_not():
    told = {finding.text: finding.tone for finding in verdict(judge(obeys=0.0))}
    assert told["At +1 s it cannot be told from copy-last: +0.0 dB (95 % interval 0.0 to 0.0)."] == "open"
    assert any("does not listen to its actions" in text and tone == "bad" for text, tone in told.items())


def test_the_verdict_says_when_a_frozen_picture_is_better():
    assert "loses to copy-last" in verdict(judge(obeys=-1.0))[0].text


def test_the_verdict_names_looks_in_which_the_model_fails():
    blind = {"hue": judge(obeys=-1.0), "camera": judge()}
    assert verdict(judge(), blind)[-2].text == "In another look it does not beat copy-last: hue; it stays above in camera."
    assert verdict(judge(), {"camera": judge()})[-2].tone == "good"


def test_the_verdict_owns_up_to_few_episodes():
    assert verdict(judge())[-1].text == "Only 4 held-out episodes: the intervals are rough."
    assert "held-out" not in verdict(judge(episodes=[walk(index) for index in range(5)]))[-1].text


def test_the_smallest_report_has_no_shifts_and_no_other_actions(tmp_path):
    result = judge(episodes=[walk(0, 16)], protocol=Protocol(horizon_s=1.1, report_s=(0.7,)))
    assert "shuffled_actions" not in result.subjects
    page = write_report(tmp_path / "new", result, run_info=INFO)
    assert "In looks" not in page.read_text() and "left out" in page.read_text()


def test_a_result_without_samples_is_refused(tmp_path):
    with pytest.raises(ValueError, match="num_samples >= 1"):
        write_report(tmp_path / "empty", judge(num_samples=0), run_info=INFO)
    assert not (tmp_path / "empty").exists()
