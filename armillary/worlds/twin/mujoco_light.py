"""A scene's light in MuJoCo: lamps, suns whose shadows cover the scene, sky, and what cameras see."""

from typing import Any

import numpy as np

from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.geometry import Plane
from armillary.worlds.twin.scene import Scene

NEAR_M, FAR_M = 0.01, 100.0  # what a camera sees


def light_scene(spec: Any, scene: Scene) -> None:
    """Put the scene's lamps, sky and ambient light into an MjSpec, and say how far its cameras see and its shadows reach."""
    mujoco, visual = needs("mujoco"), spec.visual
    visual.headlight.ambient, visual.headlight.diffuse, visual.headlight.specular = [scene.ambient] * 3, [0.0] * 3, [0.0] * 3
    centre, extent = _middle_and_extent_m(scene)
    for lamp in scene.lights:
        kind, position = mujoco.mjtLightType.mjLIGHT_SPOT, np.array(lamp.position)
        if lamp.directional:  # MuJoCo casts a sun's shadows around the line that it shines along from its position
            kind = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
            position = centre - 3.0 * extent * np.array(lamp.direction) / np.linalg.norm(lamp.direction)
        spec.worldbody.add_light(
            name=lamp.name,
            pos=position,
            dir=lamp.direction,
            diffuse=lamp.colour,
            specular=[0.3 * part for part in lamp.colour],
            type=kind,
            castshadow=lamp.shadows,
        )
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=scene.sky,
        rgb2=scene.sky,
        width=4,
        height=4,
    )
    spec.stat.extent = extent
    visual.map.znear, visual.map.zfar = NEAR_M / extent, FAR_M / extent
    visual.map.shadowclip = 2.0  # extents around a sun's axis that its shadows cover; nearer the rim they are speckled


def _middle_and_extent_m(scene: Scene) -> tuple[np.ndarray, float]:
    """The middle of the scene without its ground, and half its size, which is what a sun's shadows must cover; at least 1 m."""
    placed = []
    for thing in scene.things:
        for body in thing.asset.bodies:
            world_from_body = thing.pose.then(body.pose)
            solid = (shape for shape in body.shapes if not isinstance(shape.geometry, Plane))
            placed += [(world_from_body.then(shape.pose), shape.geometry.bounds()) for shape in solid]
    if not placed:
        return np.zeros(3), 1.0
    near, far = np.stack([bounds for _, bounds in placed], axis=1)
    turning = np.stack([pose.rotation() for pose, _ in placed])
    middles = np.array([pose.position for pose, _ in placed]) + np.einsum("nij,nj->ni", turning, (near + far) / 2.0)
    reach = np.einsum("nij,nj->ni", np.abs(turning), (far - near) / 2.0)  # of each box's farthest corner along every axis
    low, high = (middles - reach).min(axis=0), (middles + reach).max(axis=0)
    return (low + high) / 2.0, max(1.0, float(np.linalg.norm(high - low) / 2.0))
