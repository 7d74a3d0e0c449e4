"""Manifests: to JSON and back, what they refuse and how they say so, and whose randomness an episode has."""

import json
from dataclasses import replace

import numpy as np
import pytest

from armillary.core import ConfigError, DataError
from armillary.worlds.twin.manifest import Manifest, read_manifest, write_manifest
from armillary.worlds.twin.randomise import Randomiser

MANIFEST = Manifest(
    scene="rooms",
    seed=7,
    episodes=3,
    steps=12,
    seconds_per_step=0.05,
    size=64,
    cameras=("robot", "above"),
    modalities=("rgb", "normals"),
    quality="draft",
    vary_layout=False,
    reach=0.5,
    randomise=Randomiser(light=0.1, latency_s=0.2),
)


def test_a_manifest_survives_its_file(tmp_path):
    write_manifest(MANIFEST, tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json") == MANIFEST


def test_what_a_file_leaves_out_is_the_default(tmp_path):
    (tmp_path / "manifest.json").write_text('{"scene": "dominoes", "randomise": {"light": 0}}')
    assert read_manifest(tmp_path / "manifest.json") == Manifest(scene="dominoes", randomise=Randomiser(light=0.0))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scene": "tabletop", "episods": 3}, "there is no setting episods; did you mean episodes"),
        ({"scene": "tabletop", "randomise": {"lihgt": 0.1}}, "no setting randomise.lihgt; did you mean randomise.light"),
        ({"scene": "tabletop", "randomise": {"light": "bright"}}, "randomise.light must be a number, received 'bright'"),
        ({"scene": "tabletop", "randomise": {"light": 2}}, r"randomise.light .*<= 1, received 2"),
        ({"scene": "tabletop", "randomise": 3}, "randomise must be an object .* received 3"),
        ({"scene": "tabletop", "episodes": 2.5}, "episodes must be a whole number, received 2.5"),
        ({"scene": "tabletop", "vary_layout": "no"}, "vary_layout must be true or false, received 'no'"),
        ({"scene": "tabletop", "cameras": "front"}, "cameras must be a list of names, received 'front'"),
        ({"scene": "tabletop", "cameras": ["front", "front"]}, "cameras must name each one once"),
        ({"scene": "tabletop", "modalities": ["depth"]}, "modalities must hold rgb"),
        ({"scene": "tabletop", "steps": 1}, "steps must be >= 2, received 1"),
        ({"scene": "tabletop", "seconds_per_step": 0}, "seconds_per_step must be finite and > 0, received 0"),
        ({"scene": "tabletop", "reach": 1.5}, "reach must lie in 0 to 1, received 1.5"),
        ({"scene": "tabletop", "policy": "sleep"}, "policy must be one of random, expert, mimic, tour, received 'sleep'"),
        ({"scene": "tabletop", "policy": "expert"}, "policy 'expert' needs a task; tasks: reach, grasp"),
        ({"scene": "rooms", "task": "reach"}, "the task 'reach' is done in the scene 'tabletop', received 'rooms'"),
        ({"scene": "rooms", "task": "juggle"}, "there is no task 'juggle'; tasks: reach, grasp"),
        ({"scene": "tabletop", "task": "grasp", "policy": "mimic"}, "policy mimic and a dataset of demonstrations need one another"),
        (
            {"scene": "tabletop", "task": "grasp", "policy": "expert", "demonstrations": "D"},
            "received policy 'expert' and demonstrations 'D'",
        ),
        ({"scene": "tabletop", "quality": "best"}, "quality must be one of draft, fast, fine"),
        ({"scene": "attic"}, "no scene 'attic'; scenes: tabletop, "),
        ({"episodes": 3}, "names its scene"),
        ([1], "a manifest is a JSON object"),
    ],
)
def test_what_cannot_be_is_refused_with_the_file_and_the_setting(tmp_path, values, words):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=words) as raised:
        read_manifest(path)
    assert str(path) in str(raised.value)


def test_what_is_no_json_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("scene: tabletop")
    with pytest.raises(DataError, match="not valid JSON"):
        read_manifest(tmp_path / "manifest.json")


def draws(manifest: Manifest, episode: int) -> list[float]:
    return [stream.random() for stream in manifest.streams(episode)]


def test_randomness_depends_on_the_seed_and_the_episode_alone():
    assert draws(MANIFEST, 4) == draws(replace(MANIFEST, episodes=900, scene="road", size=16), 4)
    found = [number for seed in (7, 8) for episode in range(50) for number in draws(replace(MANIFEST, seed=seed), episode)]
    assert len(np.unique(found)) == len(found), "no two streams of any seed or episode may be the same"


def test_layouts_differ_between_episodes_only_where_asked():
    varied, fixed = Manifest(scene="unstable_stack"), Manifest(scene="unstable_stack", vary_layout=False)
    assert varied.layout(0) == varied.layout(0) != varied.layout(1)
    assert fixed.layout(0) == fixed.layout(1) != replace(fixed, seed=1).layout(0)
