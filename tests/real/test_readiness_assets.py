"""`twin check` on files that others made: what is known to be wrong with them is found, and mending adds no fault of its own."""

from pathlib import Path

import pytest

pytest.importorskip("pxr", reason="twins need the extra of that name")

from armillary.worlds.twin.asset_files import load_asset, save_asset
from armillary.worlds.twin.readiness import check_asset
from armillary.worlds.twin.readiness_fix import fix_asset

FILES = ("cartpole.urdf", "quadruped.urdf", "nv_humanoid.xml", "bunny.usd")


@pytest.fixture(scope="module")
def newton(real_data) -> Path:
    folder = real_data / "sim_assets" / "newton"
    if not folder.is_dir():
        pytest.skip(f"simulation assets are not at {folder}")
    return folder


def test_a_thin_pole_with_the_inertia_of_a_ball_is_found(newton):
    """cartpole.urdf gives poles of 4 x 6 x 100 cm and 0.25 kg 0.1 kg m2 about every axis, also about their length."""
    found = {(one.code, one.where) for one in check_asset(load_asset(newton / "cartpole.urdf")) if one.severity == "error"}
    assert {("inertia-against-size", "body 'pole1'"), ("inertia-against-size", "body 'pole2'"), ("mass-missing", "body 'slider'")} <= found


def test_boxes_of_a_kilogram_that_are_too_small_for_it_are_found(newton):
    heavy = [one.where for one in check_asset(load_asset(newton / "boxes_fourbar.usda")) if one.code == "mass-against-volume"]
    assert heavy == [f"body 'body_{number}'" for number in range(1, 5)]


@pytest.mark.parametrize("name", FILES)
def test_mending_brings_no_new_fault(name, newton, tmp_path):
    asset = load_asset(newton / name)
    save_asset(fix_asset(asset)[0], tmp_path / "fixed.usda")
    left = check_asset(load_asset(tmp_path / "fixed.usda"))
    assert not [one for one in left if one.severity == "error" or one.fixable]
    assert {one.code for one in left} <= {one.code for one in check_asset(asset)}
