"""Materials and their patterns in MuJoCo, which wraps a pattern well around nothing but meshes that say where it goes."""

from typing import Any

import numpy as np

from armillary.worlds.twin.asset import Material
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.geometry import Plane
from armillary.worlds.twin.texture import SIDE, texels


def add_material(spec: Any, name: str, material: Material) -> None:
    """Put a material into an MjSpec, with its pattern if it has one."""
    made = _surface(spec, name, material)
    if material.texture is None:
        return
    drawn = spec.add_texture(name=name, type=needs("mujoco").mjtTexture.mjTEXTURE_2D, width=SIDE, height=SIDE, nchannel=3)
    drawn.data = texels(material.texture, material.colour[:3]).tobytes()
    _wear(made, name, material)


def add_plane_material(spec: Any, geom: Any, plane: Plane, material: Material) -> str:
    """The name of a material like that of the geom, whose pattern has its right size on this plane: there MuJoCo counts repeats."""
    name = f"{geom.name}/pattern"
    made = _surface(spec, name, material)
    _wear(made, geom.material, material)
    made.texrepeat = 2.0 * np.array(plane.half_sizes) / material.texture.size_m
    return name


def _surface(spec: Any, name: str, material: Material) -> Any:
    return spec.add_material(
        name=name,
        rgba=material.colour,
        specular=0.5 * (1.0 - material.roughness),
        shininess=1.0 - material.roughness,
        roughness=material.roughness,
        metallic=material.metallic,
    )


def _wear(made: Any, pattern: str, material: Material) -> None:
    made.rgba = (1.0, 1.0, 1.0, material.colour[3])  # the pattern has the colours
    made.textures[needs("mujoco").mjtTextureRole.mjTEXROLE_RGB] = pattern
