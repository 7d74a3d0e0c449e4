"""What randomisation changes, how far, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.core import ConfigError
from armillary.core.settings import override
from armillary.worlds.twin.asset import Asset, Body, Drive, Inertia, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box
from armillary.worlds.twin.manifest import Manifest, read_manifest, write_manifest
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.randomise import NOTHING, Randomiser, randomise
from armillary.worlds.twin.scene import Camera, Light, Placed, Scene
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.texture import KINDS

SUN = Light(name="sun", direction=(0.0, 0.0, -1.0), colour=(0.5, 0.6, 0.7))
CAMERA = Camera.looking("front", at=(0.0, 0.0, 0.0), eye=(2.0, 0.0, 1.0), fov_y_deg=40.0)
PHYSICAL = ("mass", "friction", "drives")


def one_of_each() -> Scene:
    """A door on a driven hinge: one of every number that is varied."""
    about = {"source": "measured", "low": 1.0, "high": 3.0}
    wood = Material(
        name="wood",
        colour=(0.5, 0.5, 0.5, 0.9),
        density=Quantity(500.0, "estimated"),
        friction=Quantity(0.5, "estimated"),
        restitution=Quantity(0.2, "estimated"),
    )
    inertia = Inertia(tuple(Quantity(value, "measured") for value in (0.1, 0.2, 0.25)))
    leaf = Body(name="leaf", shapes=(Shape(name="leaf", geometry=Box((0.4, 0.02, 1.0)), material="wood"),), inertia=inertia)
    drive = Drive(stiffness=Quantity(2.0, **about), damping=Quantity(2.0, **about), max_force=Quantity(2.0, **about))
    hinge = Joint(name="hinge", kind="hinge", child="leaf", damping=Quantity(2.0, **about), armature=Quantity(2.0, **about), drive=drive)
    asset = Asset(name="door", bodies=(replace(leaf, mass=Quantity(2.0, **about)),), joints=(hinge,), materials=(wood,))
    return Scene(name="door", things=(Placed(name="door", asset=asset),), cameras=(CAMERA,), lights=(SUN,))


def numbers(scene: Scene) -> dict[str, np.ndarray]:
    """Everything that may be varied, by the settings that vary it."""
    asset = scene.things[0].asset
    material, body, joint = asset.materials[0], asset.bodies[0], asset.joints[0]
    camera, light = scene.cameras[0], scene.lights[0]
    return {
        "light": np.array([scene.ambient, *scene.sky, *light.colour]),
        "light_deg": np.array(light.direction),
        "colour": np.array(material.colour),
        "camera_m": np.array(camera.pose.position),
        "camera_deg": np.array(camera.pose.turn),
        "fov_deg": np.array([camera.fov_y_deg]),
        "mass": np.array([body.mass.value, material.density.value, *(moment.value for moment in body.inertia.moments)]),
        "friction": np.array([material.friction.value, material.restitution.value]),
        "drives": np.array(
            [quantity.value for quantity in (joint.damping, joint.armature, joint.drive.stiffness, joint.drive.damping)]
            + [joint.drive.max_force.value]
        ),
    }


def drawn(settings: Randomiser, seed: int = 0) -> Scene:
    return randomise(one_of_each(), settings, np.random.default_rng(seed))


def test_nothing_changes_where_nothing_is_varied():
    before, after = numbers(one_of_each()), numbers(drawn(NOTHING))
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=0, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("name", list(numbers(one_of_each())))
def test_a_setting_changes_its_own_part_and_no_other(name):
    alone, together = numbers(drawn(replace(NOTHING, **{name: 0.5}))), numbers(drawn(replace(Randomiser(), **{name: 0.5})))
    for part, values in numbers(one_of_each()).items():
        changed = np.abs(alone[part] - values) > 1e-12
        assert changed.any() if part == name else not changed.any(), part
    np.testing.assert_allclose(alone[name], together[name], rtol=0, atol=1e-12, err_msg="its numbers must not depend on other settings")


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 1.0, 3.0), (0.5, 1.5, 2.5)])
def test_physical_numbers_fill_the_share_of_their_range_and_no_more(share, low, high):
    settings = replace(NOTHING, **dict.fromkeys(PHYSICAL, share))
    found = [drawn(settings, seed).things[0].asset for seed in range(300)]
    for values in (
        [asset.bodies[0].mass.value for asset in found],
        [asset.joints[0].drive.stiffness.value for asset in found],
        [asset.joints[0].damping.value for asset in found],
    ):
        assert low <= min(values) < low + 0.02 * (high - low) * 2 and high - 0.02 * (high - low) * 2 < max(values) <= high


def test_a_heavier_body_resists_being_turned_by_as_much_more():
    before, after = one_of_each().things[0].asset.bodies[0], drawn(replace(NOTHING, mass=1.0)).things[0].asset.bodies[0]
    heavier = after.mass.value / before.mass.value
    assert heavier != pytest.approx(1.0, abs=1e-3)
    ratios = [new.value / old.value for new, old in zip(after.inertia.moments, before.inertia.moments, strict=True)]
    assert ratios == pytest.approx([heavier] * 3, rel=1e-12)


def test_lamps_tilt_and_cameras_turn_by_at_most_as_much_as_said():
    tilts, turns, places = [], [], []
    for seed in range(200):
        scene = drawn(replace(NOTHING, light_deg=10.0, camera_deg=3.0, camera_m=0.02), seed)
        tilts.append(np.degrees(np.arccos(-scene.lights[0].direction[2])))
        moved = CAMERA.pose.inverse().then(scene.cameras[0].pose)
        turns.append(np.degrees(2 * np.arccos(min(abs(moved.turn[0]), 1.0))))
        places.append(np.abs(moved.position).max())
    assert 5.0 < max(tilts) <= 10.0 and 2.7 < max(turns) <= 3.0 + 1e-9 and 0.018 < max(places) <= 0.02 + 1e-12


def test_the_same_randomness_gives_the_same_scene_and_another_another():
    assert drawn(Randomiser(), 3) == drawn(Randomiser(), 3)
    assert drawn(Randomiser(), 3) != drawn(Randomiser(), 4)


def test_opacity_stays():
    assert drawn(Randomiser(colour=1.0)).things[0].asset.materials[0].colour[3] == 0.9


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("light", 1.5, ">= 0 and <= 1, received 1.5"), ("camera_m", -0.1, ">= 0, received -0.1"), ("mass", float("nan"), "received nan")],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(name, value, words):
    with pytest.raises(ConfigError, match=f"randomise.{name} .*{words}"):
        Randomiser(**{name: value})


def test_the_share_of_materials_that_get_a_pattern_is_as_asked():
    patterned = [drawn(replace(NOTHING, texture=0.3), seed).things[0].asset.materials[0].texture for seed in range(200)]
    found = [texture for texture in patterned if texture is not None]
    assert len(found) / 200 == pytest.approx(0.3, abs=0.08)
    assert {texture.kind for texture in found} == set(KINDS)
    assert all(np.abs(np.array(texture.colour) - 0.5).max() > 0.1 for texture in found), "it must be told from the material's own colour"
    assert min(texture.size_m for texture in found) >= 0.12 * 2.0 and max(texture.size_m for texture in found) <= 1.0
    assert drawn(Randomiser(texture=1.0), 3).things[0].asset.materials[0].texture is not None


def test_distractors_and_patterns_leave_every_other_number_as_it_is():
    scene = build("tabletop", 0)
    plain, full = (
        randomise(scene, settings, np.random.default_rng(1)) for settings in (Randomiser(), Randomiser(texture=1.0, distractors=(2, 2)))
    )
    assert (plain.lights, plain.cameras, plain.sky) == (full.lights, full.cameras, full.sky)
    for thing in plain.things:
        other = full.thing(thing.name)
        bare = tuple(replace(material, texture=None) for material in other.asset.materials)
        assert replace(other, asset=replace(other.asset, materials=bare)) == thing
    assert [thing.name for thing in full.things[len(plain.things) :]] == ["distractor 1", "distractor 2"]


@pytest.mark.parametrize(
    ("given", "meant"), [((3,), (3, 3)), ((1, 4), (1, 4)), ((2, 1), None), ((0, 21), None), ((1, 2, 3), None), ((), None)]
)
def test_distractors_are_one_number_or_two(given, meant):
    if meant is not None:
        assert Randomiser(distractors=given).distractors == meant
        return
    with pytest.raises(ConfigError, match=r"randomise\.distractors must be one or two whole numbers, fewest first, of 0 to 20, received"):
        Randomiser(distractors=given)


def test_settings_are_asked_for_by_name_and_survive_the_manifests_file(tmp_path):
    words = {"randomise.texture": "0.5", "randomise.distractors": "2", "randomise.lens": "1.0", "randomise.shot-noise": "0.02"}
    manifest = override(Manifest(scene="tabletop"), words)
    settings = manifest.randomise
    assert (settings.texture, settings.distractors, settings.lens, settings.shot_noise) == (0.5, (2, 2), 1.0, 0.02)
    assert override(manifest, {"randomise.distractors": "1,3"}).randomise.distractors == (1, 3)
    write_manifest(manifest, tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json") == manifest
    for wrong in ("2", "[1.5]", '["2"]', "[true]"):
        (tmp_path / "wrong.json").write_text(f'{{"scene": "tabletop", "randomise": {{"distractors": {wrong}}}}}')
        with pytest.raises(ConfigError, match=r"wrong.json: randomise.distractors must be a list of one or two whole numbers, received"):
            read_manifest(tmp_path / "wrong.json")
