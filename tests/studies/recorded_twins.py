"""Two small twins whose truth is known, and datasets that `armillary simulate` makes of the truth."""

from pathlib import Path

import numpy as np
import pytest

from armillary.studies.simulate import simulate
from armillary.worlds.twin.asset import Asset, Body, Drive, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box, Plane
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.randomise import NOTHING
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes import catalogue

ALONG_X = Pose.about((0.0, 1.0, 0.0), np.pi / 2)
CAMERA = Camera.looking("front", at=(0.0, 0.0, 0.0), eye=(0.5, -2.0, 1.0))
TRUTH = {"mass": 1.3, "friction": 0.35, "damping": 3.0}
GUESS = {"mass": 0.8, "friction": 0.2, "damping": 1.0}


def known(value: float) -> Quantity:
    return Quantity(value, "measured", value, value)


def unsure(value: float) -> Quantity:
    return Quantity(value, "estimated", 0.1 * value, 10.0 * value)


def slid(numbers: dict[str, float], *, y: float = 0.0) -> Scene:
    """A block on rails that let it hop and slide along a table; the drive is a force."""
    material = Material(name="wood", friction=unsure(numbers["friction"]), restitution=Quantity(0.2, "estimated"))
    force = Drive(stiffness=known(0.0), damping=known(0.0), max_force=known(20.0))
    shape = Shape(name="box", geometry=Box((0.06, 0.06, 0.02)), material="wood")
    asset = Asset(
        name="block",
        materials=(material,),
        bodies=(Body(name="rail"), Body(name="body", mass=unsure(numbers["mass"]), shapes=(shape,))),
        joints=(
            Joint(name="along", kind="slide", child="rail", frame=ALONG_X, drive=force),
            Joint(name="up", kind="slide", child="body", parent="rail"),
        ),
    )
    table = Asset(name="table", bodies=(Body(name="top", shapes=(Shape(name="top", geometry=Plane()),)),))
    things = (Placed(name="table", asset=table), Placed(name="block", asset=asset, pose=Pose((0.0, y, 0.02))))
    return Scene(name="slid", things=things, cameras=(CAMERA,), seconds_per_substep=0.005)


def load(numbers: dict[str, float]) -> Asset:
    """A thing that hangs on a spring, whose other end the drive moves."""
    drive = Drive(stiffness=known(200.0), damping=known(0.0))
    body = Body(name="body", mass=unsure(numbers["mass"]), shapes=(Shape(name="box", geometry=Box((0.05, 0.05, 0.05))),))
    hook = Joint(name="hook", kind="slide", child="body", damping=unsure(numbers["damping"]), drive=drive)
    return Asset(name="load", bodies=(body,), joints=(hook,))


def lifted(numbers: dict[str, float]) -> Scene:
    placed = Placed(name="load", asset=load(numbers), pose=Pose((0.0, 0.3, 1.0)))
    return Scene(name="lifted", things=(placed,), cameras=(CAMERA,), seconds_per_substep=0.005)


SCENES = {"slid": slid, "lifted": lifted}


def manifest(scene: str, **changes) -> Manifest:
    common = {
        "seed": 1,
        "episodes": 3,
        "steps": 10,
        "size": 16,
        "modalities": ("rgb",),
        "quality": "draft",
        "vary_layout": False,
        "reach": 1.0,
    }
    return Manifest(scene=scene, randomise=NOTHING, **(common | changes))


def in_catalogue(patch: pytest.MonkeyPatch, numbers: dict[str, float]) -> None:
    """Have the catalogue's `slid` and `lifted` be these."""
    for name, make in SCENES.items():
        patch.setitem(catalogue.SCENES, name, lambda rng, make=make: make(numbers))


def record(folder: Path, scene: str, name: str = "", **changes) -> Path:
    """A dataset of the truth."""
    with pytest.MonkeyPatch.context() as patch:
        in_catalogue(patch, TRUTH)
        return simulate(manifest(scene, **changes), folder / (name or scene))
