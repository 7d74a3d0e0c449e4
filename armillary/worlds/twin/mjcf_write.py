"""Asset -> MJCF, as MuJoCo's own users write it: shapes that collide by themselves, each with its friction."""

from pathlib import Path

from armillary.core import DataError
from armillary.core.storage import write_text
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mujoco_compile import SpecBuilder
from armillary.worlds.twin.scene import Placed, Scene

_NAME = "asset"


def write_mjcf(asset: Asset, path: Path) -> None:
    """Write an MJCF file with meshes inside, whole or not at all. Bodies, joints and shapes keep their numbers; what no joint holds flies.

    Numbers have six digits. MJCF has no word for restitution, provenance and ranges: they are left out, and where no friction is known
    MuJoCo's 1 holds.
    DataError where a moving body's mass is unknown, or MuJoCo refuses the model (with its words).
    """
    builder = SpecBuilder(
        Scene(name=asset.name, things=(Placed(name=_NAME, asset=asset, moves=True),), cameras=(), lights=()), needs("mujoco")
    )
    builder.add_thing(builder.scene.things[0])
    geoms = {geom.name: geom for geom in builder.spec.geoms}
    for surface in builder.surfaces:
        geom = geoms[surface.geom]
        geom.contype = geom.conaffinity = 1
        if surface.material is not None and surface.material.friction is not None:
            geom.friction[0] = surface.material.friction.value
    try:
        builder.spec.compile()
        text = builder.spec.to_xml()
    except ValueError as error:
        raise DataError(f"asset {asset.name!r} cannot be written as MJCF: {' '.join(str(error).split())}") from error
    write_text(Path(path), text.replace(f'"{_NAME}/', '"'))
