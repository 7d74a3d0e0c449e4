"""What a dream is made of: what it begins with, what is done in it, that it can be repeated, and that nothing is left half done."""

import json
from dataclasses import replace
from pathlib import Path

import av
import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

from armillary.core import ConfigError, DataError, Prompt, Renders, StorageError, World, WorldError, WorldSpec, seeded, to_disk, to_model
from armillary.data.cache import open_cache
from armillary.data.content import file_sha256
from armillary.data.dataset import open_dataset
from armillary.data.resize import area_resize
from armillary.data.video import decode_video, encode_video, probe_video
from armillary.studies import dream as study
from armillary.studies.dream import DreamJob, prepare, run_dream
from armillary.studies.dream_actions import Commands, actions_of_file, beyond
from armillary.studies.dream_prompt import read_beginning
from armillary.studies.runs import load_run
from tests.core.counting import Count
from tests.studies.dreaming import STRIDE, train_tiny, write_material

FAMILIES = ("vmc", "diffusion", "autoregressive")


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dreams")
    data = write_material(folder)
    for family in FAMILIES:
        train_tiny(family, data, folder / family, "--data.stride", STRIDE)
    return folder


@pytest.fixture(scope="module")
def loaded(material):
    return load_run(material / "vmc")


@pytest.fixture
def job(material, tmp_path):
    """A picture and a file of actions, to be changed by each test."""
    prompt, actions = str(material / "frame.png"), material / "actions.npy"
    return DreamJob(run=material / "vmc", prompt=prompt, actions=actions, out=tmp_path / "out")


def recorded(material, episode: int = 4, moment: str = "") -> str:
    return f"{material / 'data'}:{episode}{moment}"


def test_a_decoder_draws_the_same_codes_anew(material, job, tmp_path):
    words = ("--data.stride", STRIDE, "--model.codes", material / "autoregressive")
    decoder = train_tiny("code-decoder", material / "data", tmp_path / "decoder", *words)
    jobs = {name: replace(job, run=material / "autoregressive", out=tmp_path / name) for name in ("plain", "redrawn", "again")}
    for name, one in jobs.items():
        run_dream(prepare(one if name == "plain" else replace(one, decoder=decoder)))
    plain, redrawn, again = (decode_video(tmp_path / name / "seed-0.mp4") for name in jobs)
    assert plain.shape == redrawn.shape and not np.array_equal(plain, redrawn) and np.array_equal(redrawn, again)
    told = json.loads((tmp_path / "redrawn" / "provenance.json").read_text())
    assert told["decoder"]["weights_sha256"] == file_sha256(Path(told["decoder"]["weights"]))
    assert "decoder" not in json.loads((tmp_path / "plain" / "provenance.json").read_text())


def test_a_decoder_of_other_codes_is_refused(material, job, tmp_path):
    other = train_tiny("autoregressive", material / "data", tmp_path / "other", "--data.stride", STRIDE, "--train.seed", 1)
    decoder = train_tiny("code-decoder", material / "data", tmp_path / "decoder", "--data.stride", STRIDE, "--model.codes", other)
    for run, given, message in (
        ("autoregressive", decoder, "learned other codes"),
        ("vmc", decoder, "foretells none"),
        ("autoregressive", material / "vmc", "is a run of vmc"),
    ):
        with pytest.raises(ConfigError, match=message):
            prepare(replace(job, run=material / run, decoder=given))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_bytes(material, job, tmp_path, family):
    jobs = {name: replace(job, run=material / family, out=tmp_path / name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))}
    for one in jobs.values():
        run_dream(prepare(one))
    files = ["dream.mp4", "seed-5.mp4", "strip.png"]
    assert sorted(path.name for path in jobs["a"].out.iterdir()) == sorted([*files, "provenance.json"])
    for name in files:
        assert (jobs["a"].out / name).read_bytes() == (jobs["b"].out / name).read_bytes(), name
    other = decode_video(jobs["c"].out / "seed-6.mp4")
    alike = np.array_equal(decode_video(jobs["a"].out / "seed-5.mp4"), other)
    assert alike == (family == "vmc"), "a V-M-C at temperature 0 leaves nothing to chance"


def test_each_sample_can_be_dreamt_again_alone(material, job, tmp_path):
    several = run_dream(prepare(replace(job, run=material / "diffusion", samples=3, seed=1)))
    run_dream(prepare(replace(job, run=material / "diffusion", seed=2, out=tmp_path / "alone")))
    assert several["panels"] == ["dream, seed 1", "dream, seed 2", "dream, seed 3"]
    pictures = [decode_video(job.out / f"seed-{seed}.mp4") for seed in (1, 2, 3)]
    assert np.array_equal(pictures[1], decode_video(tmp_path / "alone" / "seed-2.mp4"))
    assert not np.array_equal(pictures[0], pictures[1]) and not any("the same" in note for note in several["notes"])


def test_samples_of_a_world_without_chance_are_said_to_be_the_same(job):
    assert any("all 2 samples are the same" in note for note in run_dream(prepare(replace(job, samples=2)))["notes"])


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_a_dream_is_the_worlds_rollout_from_the_recorded_moment(material, tmp_path, family):
    """Frames, actions and their order are those of the episode as training cuts it, from any frame of a stride."""
    prepared = prepare(DreamJob(run=material / family, prompt=recorded(material, 4, "@0.9"), out=tmp_path / "out", seconds=1.0))
    world, steps = prepared.loaded.world, prepared.loaded.world.spec.context_steps
    height, width = world.spec.sees
    cached = open_cache(open_dataset(material / "data"), camera=prepared.loaded.camera, size=(height, width)).episodes[4]
    episode, now = cached.every(STRIDE, 9 % STRIDE), 9 // STRIDE
    frames = to_model(np.asarray(episode.frames[prepared.loaded.camera]))
    actions = torch.from_numpy(episode.actions.copy())
    prompt = Prompt(frames=frames[None, now - steps + 1 : now + 1], actions=actions[None, now - steps + 1 : now])
    rng = seeded(0)
    states = world.rollout(world.start(prompt, rng), actions[None, now : now + 5], rng)
    true = to_disk(torch.cat([world.render(state)["rgb"] for state in states]))
    assert np.array_equal(study._dream(prepared, 0, None), true)
    assert np.array_equal(to_model(prepared.beginning.next_frames[:5]), frames[now + 1 : now + 6])


def test_what_really_happened_is_shown_beside_recorded_actions_only(material, job):
    told = run_dream(prepare(replace(job, prompt=recorded(material), actions=None, samples=2)))
    assert told["panels"] == ["recorded", "dream, seed 0", "dream, seed 1"]
    assert told["prompt"]["part"] == "test" and told["prompt"]["moment_s"] == pytest.approx(0.4)
    assert told["dream"]["steps"] == 12 and told["actions"]["recorded"] is True, "30 frames: 3 to begin with, 12 steps of 2 to go"
    film = probe_video(job.out / "dream.mp4")
    assert (film.frames, film.fps) == (3 + 12, 5.0) and probe_video(job.out / "seed-1.mp4").frames == 12
    prepared = prepare(replace(job, prompt=recorded(material), out=job.out.parent / "other"))
    assert list(study._shown(prepared, {0: study._dream(prepared, 0, None)}, "").panels) == ["dream, seed 0"]


def test_an_episode_that_was_learned_from_is_said_to_be(material, job):
    notes = prepare(replace(job, prompt=recorded(material, 0))).notes
    assert any("has seen this episode in training (train)" in note for note in notes)


def test_a_moment_near_the_beginning_gives_what_frames_there_are(material, job):
    prepared = prepare(replace(job, prompt=recorded(material, 4, "@0.2"), actions=None))
    assert len(prepared.beginning.frames) == 2 and prepared.beginning.actions.shape == (1, 2 * STRIDE)
    assert any("begins best from 3" in note for note in prepared.notes)


def test_a_picture_is_one_frame_shrunk_as_recordings_are(material, loaded):
    begun = read_beginning(str(material / "wide.jpg"), loaded)
    true = area_resize(np.asarray(Image.open(material / "wide.jpg"))[None], (64, 64))
    assert np.array_equal(begun.frames, true) and begun.actions.shape == (0, 2 * STRIDE)
    assert begun.about["resized"].startswith("48 x 96 to 64 x 64") and begun.about["sha256"] == file_sha256(material / "wide.jpg")
    assert any("squeezed" in note for note in begun.notes) and any("was given one" in note for note in begun.notes)
    assert not any("squeezed" in note for note in read_beginning(str(material / "frame.png"), loaded).notes)


def test_a_video_gives_its_last_frames_at_the_worlds_rate(material, loaded, tmp_path):
    """Frame `i` of 20 a second is grey of 10 i; steps of 0.2 s from three frames are the frames 12, 16 and 20."""
    grey = np.broadcast_to(10 * np.arange(21, dtype=np.uint8)[:, None, None, None], (21, 32, 32, 3))
    encode_video(tmp_path / "grey.mp4", grey, 20.0, crf=0)
    begun = read_beginning(str(tmp_path / "grey.mp4"), loaded)
    assert begun.about["rows"] == [12, 16, 20] and begun.frames.shape == (3, 64, 64, 3)
    assert np.abs(begun.frames.mean(axis=(1, 2, 3)) - [120, 160, 200]).max() < 3
    assert begun.actions is None and any("is not known" in note for note in begun.notes)
    encode_video(tmp_path / "short.mp4", grey[:6], 20.0)
    short = read_beginning(str(tmp_path / "short.mp4"), loaded)
    assert short.about["rows"] == [1, 5] and any("holds 2 of the 3 frames" in note for note in short.notes)
    encode_video(tmp_path / "one.mp4", grey[:1], 2.0)
    assert read_beginning(str(tmp_path / "one.mp4"), loaded).about["rows"] == [0], "of one frame the rate says nothing"


COMMANDS = Commands(size=2, a_step=2, seconds_per_step=0.2)
ROWS = np.array([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]], np.float32)


@pytest.mark.parametrize(
    ("rows", "fps", "steps"),
    [
        (ROWS, None, [[1, 2, 3, 4], [5, 6, 7, 8]]),
        (ROWS, 10.0, [[1, 2, 3, 4], [5, 6, 7, 8]]),
        (ROWS, 10.1, [[1, 2, 3, 4], [5, 6, 7, 8]]),
        (ROWS[:2], 5.0, [[1, 2, 1, 2], [3, 4, 3, 4]]),
        (ROWS[:1], 2.5, [[1, 2, 1, 2], [1, 2, 1, 2]]),
        (ROWS, 20.0, [[1, 2, 5, 6]]),
        (ROWS[:4].reshape(2, 4), 5.0, [[1, 2, 3, 4], [5, 6, 7, 8]]),
    ],
)
def test_rows_become_steps_by_hand(tmp_path, rows, fps, steps):
    np.save(tmp_path / "a.npy", rows)
    found = actions_of_file(tmp_path / "a.npy", fps, COMMANDS)
    assert found.values.tolist() == steps and found.about["sha256"] == file_sha256(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("rows", "fps", "error", "said"),
    [
        (ROWS, 7.0, ConfigError, "7 does not go with .*commands of 2 numbers, 10 a second, 2 of them in a step of 0.2 s"),
        (ROWS, 0.0, ConfigError, "above 0, received 0"),
        (ROWS, -5.0, ConfigError, "above 0"),
        (ROWS, float("nan"), ConfigError, "above 0, received nan"),
        (ROWS, float("inf"), ConfigError, "above 0, received inf"),
        (ROWS[:4].reshape(2, 4), None, DataError, "4 numbers a row.*rows of 4 are taken with --actions-fps 5"),
        (ROWS[:, :1], None, DataError, "1 numbers a row.*commands of 2 numbers"),
        (ROWS[:1], None, DataError, "1 rows, 10 a second; one step of this world needs 0.2 s"),
    ],
)
def test_actions_that_do_not_fit_are_refused(tmp_path, rows, fps, error, said):
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(error, match=said):
        actions_of_file(tmp_path / "a.npy", fps, COMMANDS)


def test_numbers_beyond_what_was_learned_are_told(material, job):
    space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    assert beyond(np.array([[1.0, -1.0]], np.float32), space) == ""
    assert "2 of 4 numbers" in (said := beyond(np.array([[0, 0], [3, -2]], np.float32), space)) and "step 1: number 0 is 3" in said
    np.save(job.out.parent / "far.npy", np.full((4, 2), 1e4, np.float32))
    assert any("cut off there" in note for note in prepare(replace(job, actions=job.out.parent / "far.npy")).notes)


def test_how_long_it_is(job):
    assert prepare(job).steps == 6, "12 commands, two a step"
    assert prepare(replace(job, seconds=0.6)).steps == 3, "exactly, though 0.6 / 0.2 is a little more than 3"
    assert prepare(replace(job, seconds=0.61)).steps == 4 and prepare(replace(job, seconds=0.01)).steps == 1
    with pytest.raises(DataError, match=r"makes 6 steps \(1.2 s\); --seconds 1.3 needs 7, which are 14 commands of 2 numbers"):
        prepare(replace(job, seconds=1.3))


def test_the_folder_says_how_it_came_to_be(material, job, loaded):
    words = ["armillary", "dream", "a run", "--out", "x"]
    told = run_dream(prepare(replace(job, fps=10.0)), replay=words)
    assert told == json.loads((job.out / "provenance.json").read_text())
    weights = file_sha256(told["world"]["weights"])
    assert told["world"]["weights_sha256"] == weights and told["world"]["config"]["model"]["latent_size"] == 8
    assert told["command"] == "armillary dream 'a run' --out x" and told["precision"] == "float32" and told["device"]
    assert told["prompt"]["kind"] == "picture" and told["actions"]["rows"] == 12 and told["actions"]["steps_used"] == 6
    assert told["files"] == {name: file_sha256(job.out / name) for name in ("dream.mp4", "seed-0.mp4", "strip.png")}
    assert told["environment"]["armillary"] and told["environment"]["created"] and told["seconds_a_frame"] > 0
    for name in ("dream.mp4", "seed-0.mp4"):
        with av.open(str(job.out / name)) as film:
            assert weights in film.metadata["comment"] and "dreamt by a world model" in film.metadata["comment"]
    assert "dreamt by a world model" in Image.open(job.out / "strip.png").text["Comment"]
    assert probe_video(job.out / "dream.mp4").fps == 10.0 and probe_video(job.out / "seed-0.mp4").fps == 5.0
    dreamt = study._dream(prepare(replace(job, out=job.out.parent / "new")), 0, None)
    assert np.abs(decode_video(job.out / "seed-0.mp4").mean(axis=(1, 2)) - dreamt.mean(axis=(1, 2))).max() < 3


@pytest.mark.parametrize("fault", [KeyboardInterrupt, WorldError])
def test_a_dream_that_is_broken_off_leaves_nothing(job, monkeypatch, fault):
    prepared = prepare(job)

    def stop(done, total):
        if done == 3:
            raise fault

    with pytest.raises(fault):
        run_dream(prepared, on_step=stop)
    assert not list(job.out.parent.iterdir())


def test_damaged_weights_are_said_to_be(job, monkeypatch):
    prepared = prepare(job)
    monkeypatch.setattr(prepared.loaded.world, "render", lambda state: {"rgb": torch.full((1, 3, 64, 64), torch.nan)})
    with pytest.raises(WorldError, match="after step 0 the world draws NaN"):
        run_dream(prepared)
    assert not list(job.out.parent.iterdir())


def test_a_folder_that_exists_is_never_written_into(job):
    job.out.mkdir()
    with pytest.raises(StorageError, match="exists already"):
        prepare(job)
    job.out.rmdir()
    prepared = prepare(job)
    job.out.mkdir()
    with pytest.raises(StorageError, match="exists already"):
        run_dream(prepared)
    assert not list(job.out.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seconds": 0.0}, "--seconds must be a number above 0, received 0"),
        ({"seconds": -2.0}, "received -2"),
        ({"seconds": float("nan")}, "received nan"),
        ({"seconds": float("inf")}, "received inf"),
        ({"fps": 0.0}, "--fps must be a number from 0.1 to 1000"),
        ({"fps": float("nan")}, "received nan"),
        ({"fps": 1e9}, "received 1000000000"),
        ({"samples": 0}, "--samples must be 1 or more"),
        ({"seed": -1}, "--seed must be from 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(job, change, said):
    with pytest.raises(ConfigError, match=said):
        replace(job, **change)


@pytest.mark.parametrize("change", [{"seconds": 1e12}, {"samples": 10**12}])
def test_more_than_memory_holds_is_refused_with_the_estimate(job, change):
    with pytest.raises(ConfigError, match=r"need [\d,.]+ GB, this machine has [\d,.]+"):
        prepare(replace(job, **change))


def test_a_gpu_that_is_not_there_is_said_not_to_be(job, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert prepare(job).device.type == "cpu"
    with pytest.raises(ConfigError, match="--device cuda: no GPU is here"):
        prepare(replace(job, device="cuda"))


class Storyteller(torch.nn.Module, World, Renders):
    """Begins as bright as its text is long, and grows brighter by its action."""

    spec = WorldSpec(
        observation_space=gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8),
        action_space=gymnasium.spaces.Box(-1.0, 1.0, (2 * STRIDE,), np.float32),
        seconds_per_step=0.2,
        prompt=("text",),
    )

    def start(self, prompt, rng):
        return Count(torch.tensor([len(text) / 100 for text in prompt.text]), torch.zeros(len(prompt.text)))

    def step(self, state, action, rng):
        return Count(state.value + 0.01, state.last)

    def render(self, state):
        return {"rgb": state.value[:, None, None, None].expand(-1, 3, 64, 64)}


def test_a_world_of_texts_dreams_from_a_text_alone(job, loaded, monkeypatch):
    monkeypatch.setattr(study, "load_run", lambda *_: replace(loaded, world=Storyteller()))
    told = run_dream(prepare(replace(job, prompt="a red block in a room")))
    assert told["prompt"] == {"kind": "text", "text": "a red block in a room"}
    dreamt = decode_video(job.out / "seed-0.mp4")
    assert np.abs(dreamt.mean(axis=(1, 2, 3)) - 255 * (0.21 + 0.01 * np.arange(1, 7))).max() < 3
    assert probe_video(job.out / "dream.mp4").frames == 6, "nothing was seen before"
    for prompt, said in ((job.prompt, "starts from text, not from a picture"), ("lost.png", "no file 'lost.png'"), (" ", "no file ' '")):
        with pytest.raises(ConfigError, match=said):
            prepare(replace(job, prompt=prompt, out=job.out.parent / "new"))


@pytest.fixture(scope="module")
def of_texts(material, tmp_path_factory):
    """A video-diffusion run of two steps, on recordings with texts."""
    return train_tiny("video-diffusion", material / "data", tmp_path_factory.mktemp("texts") / "run")


def test_who_imagines_needs_nobody_to_say_what_is_done(material, of_texts, job, tmp_path):
    picture = replace(job, run=of_texts, actions=None, seconds=0.3, seed=5)
    told = {}
    for name, prompt in (("text", "push the block"), ("frame", picture.prompt), ("film", str(material / "film.mp4"))):
        told[name] = run_dream(prepare(replace(picture, prompt=prompt, out=tmp_path / name)))
        assert told[name]["actions"]["said"] is False
        steps = told[name]["dream"]["steps"]
        assert len(decode_video(tmp_path / name / "seed-5.mp4")) == steps == round(0.3 / told[name]["dream"]["seconds_per_step"])
    assert told["text"]["prompt"] == {"kind": "text", "text": "push the block"}
    again = run_dream(prepare(replace(picture, prompt="push the block", out=tmp_path / "again")))
    assert again["files"]["seed-5.mp4"] == told["text"]["files"]["seed-5.mp4"], "the seed decides"
    assert told["text"]["files"]["seed-5.mp4"] != told["frame"]["files"]["seed-5.mp4"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": "push the block", "actions": "actions.npy"}, "a text shows nothing; leave out --actions"),
        ({"seconds": None}, "how long shall the dream be"),
        ({"prompt": "lost.png"}, "starts from frames or from text"),
    ],
)
def test_what_an_imagining_world_cannot_be_asked(material, of_texts, job, change, said):
    asked = replace(job, run=of_texts, actions=None, seconds=0.3)
    change = {name: str(material / value) if name == "actions" else value for name, value in change.items()}
    with pytest.raises(ConfigError, match=said):
        prepare(replace(asked, **change))
    assert not Path(job.out).exists()


def test_a_world_that_never_learned_from_texts_takes_none(material, job, tmp_path):
    run = train_tiny("video-diffusion", material / "data", tmp_path / "run", "--model.modes.text-to-world", "0")
    with pytest.raises(ConfigError, match="not from text"):
        prepare(replace(job, run=run, prompt="push the block", actions=None, seconds=0.3))


def test_a_world_that_must_know_what_was_done_takes_no_video(material, job, loaded, monkeypatch):
    monkeypatch.setattr(loaded.world, "spec", replace(loaded.world.spec, prompt=("frames", "actions")))
    monkeypatch.setattr(study, "load_run", lambda *_: loaded)
    with pytest.raises(ConfigError, match="a video does not tell"):
        prepare(replace(job, prompt=str(material / "film.mp4")))
    assert prepare(job).steps == 6, "of a picture nothing came before"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"camera": "wrist"}, DataError, "has no camera wrist"),
        ({"stride": 3}, DataError, "has 10 frames a second; the run was trained on 15"),
    ],
)
def test_a_dataset_of_another_robot_is_refused(material, loaded, change, error, said):
    with pytest.raises(error, match=said):
        read_beginning(recorded(material), replace(loaded, **change))


def test_other_actions_than_the_runs_are_refused(material, loaded, monkeypatch):
    wide = gymnasium.spaces.Box(-1.0, 1.0, (10,), np.float32)
    monkeypatch.setattr(loaded.world, "spec", replace(loaded.world.spec, action_space=wide))
    with pytest.raises(DataError, match="actions of 2 numbers; the run was trained on 5"):
        read_beginning(recorded(material), loaded)
    monkeypatch.setattr(loaded.world, "spec", replace(loaded.world.spec, action_space=gymnasium.spaces.Discrete(3)))
    with pytest.raises(ConfigError, match="only vectors"):
        Commands.of(loaded)
