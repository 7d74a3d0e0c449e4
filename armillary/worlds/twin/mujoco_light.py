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
    corners = []
    for thing in scene.things:
        for body in thing.asset.bodies:
            for shape in body.shapes:
                if not isinstance(shape.geometry, Plane):
                    world_from_shape = thing.pose.then(body.pose).then(shape.pose)
                    corners.append(world_from_shape.apply(_corners(shape.geometry.bounds())))
    if not corners:
        return np.zeros(3), 1.0
    every = np.concatenate(corners)
    low, high = every.min(axis=0), every.max(axis=0)
    return (low + high) / 2.0, max(1.0, float(np.linalg.norm(high - low) / 2.0))


def _corners(bounds: np.ndarray) -> np.ndarray:
    return np.array([[bounds[i, 0], bounds[j, 1], bounds[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
