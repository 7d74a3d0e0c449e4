"""Patterns through OpenUSD: there and back, by its validators, and what is said where they cannot be read."""

from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Usd, UsdValidation

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.texture import Texture
from armillary.worlds.twin.usd_read import read_usd
from armillary.worlds.twin.usd_write import write_usd
from tests.worlds.twin.usd_assets import one_of_everything

GRAIN = Texture(kind="grain", colour=(0.1, 0.2, 1.0 / 3.0), size_m=0.07, seed=2**40)


def patterned() -> Asset:
    asset = one_of_everything()
    first, *others = asset.materials
    return replace(asset, materials=(replace(first, texture=GRAIN), *others))


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_a_pattern_comes_back_and_the_validators_find_nothing(tmp_path: Path, suffix: str):
    path = tmp_path / f"asset{suffix}"
    write_usd(patterned(), path)
    back = read_usd(path)
    assert [material.texture for material in back.materials] == [material.texture for material in patterned().materials]
    assert back.notes == ()
    stage = Usd.Stage.Open(str(path))
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    errors = UsdValidation.ValidationContext(validators).Validate(stage)
    assert [error.GetMessage() for error in errors if error.GetType() == UsdValidation.ValidationErrorType.Error] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [('"grain"', '"tartan"'), ("double size_m = 0.07", "double size_m = -1"), ('string kind = "grain"', "int kind = 3")],
)
def test_a_pattern_that_cannot_be_understood_is_left_aside_and_said(tmp_path: Path, old: str, new: str):
    path = tmp_path / "asset.usda"
    write_usd(patterned(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    back = read_usd(path)
    assert all(material.texture is None for material in back.materials)
    assert any("its pattern cannot be understood, so it is left aside" in note for note in back.notes)
