"""What follows from depth, bodies and poses: surface normals and optical flow.

A pinhole camera: x right, y up, looking along -z.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a camera is at one moment and where every body is, by its id (metres)."""

    world_from_camera: Float64[np.ndarray, "4 4"]
    world_from_body: Float64[np.ndarray, "n 4 4"]


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture's geometry: `depth_m` (0: nothing there), the id of the body in each pixel (0: none), and where everything was."""

    depth_m: Float32[np.ndarray, "h w"]
    bodies: Int64[np.ndarray, "h w"]
    fov_y_deg: float
    placement: Placement

    def focal_px(self) -> float:
        """The focal length in pixels, the same both ways."""
        return self.depth_m.shape[0] / 2.0 / np.tan(np.radians(self.fov_y_deg) / 2.0)

    def rays(self) -> Float64[np.ndarray, "h w 3"]:
        """The camera frame's point at depth 1 of each pixel's centre."""
        height, width = self.depth_m.shape
        x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2.0, height / 2.0 - 0.5 - np.arange(height))
        return np.stack([x / self.focal_px(), y / self.focal_px(), np.full_like(x, -1.0)], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What a camera saw at one moment: its picture and its geometry, each None where it was not asked for."""

    rgb: UInt8[np.ndarray, "h w 3"] | None
    view: View | None


def normals(view: View) -> Float32[np.ndarray, "h w 3"]:
    """Unit normals in the camera's frame, towards the camera; 0 where nothing is.

    A plane's 1 / depth is linear across the picture, so its slopes give the normal exactly. Each is taken from the left, from the right
    or across, wherever 1 / depth bends least, so that edges stay sharp.
    """
    known = view.bodies > 0
    nearness = np.where(known, 1.0 / np.where(known, view.depth_m, 1.0), 0.0).astype(np.float64)
    per_px = view.focal_px()
    along_x, along_y = _slope(nearness, 1) * per_px, -_slope(nearness, 0) * per_px
    rays = view.rays()
    # On n . p = d with p = depth (x, y, -1): n_x x + n_y y - n_z = d / depth.
    normal = np.stack([along_x, along_y, rays[..., 0] * along_x + rays[..., 1] * along_y - nearness], axis=-1)
    normal *= np.where((normal * rays).sum(axis=-1, keepdims=True) > 0, -1.0, 1.0)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    return (np.where(known[..., None], normal / np.maximum(length, 1e-12), 0.0)).astype(np.float32)


def flow(now: View, later: Placement) -> Float32[np.ndarray, "2 h w"]:
    """How far each pixel's point moves in the picture until `later`, in pixels right and down, whether or not it is hidden then.

    The sky is infinitely far away. A point that gets behind the camera has no place in the picture: NaN.
    """
    rays = now.rays()
    points = _apply(now.placement.world_from_camera, rays * now.depth_m[..., None])
    moved = later.world_from_body @ np.linalg.inv(now.placement.world_from_body)
    moved = moved[now.bodies]  # h w 4 4
    points = np.einsum("hwij,hwj->hwi", moved[..., :3, :3], points) + moved[..., :3, 3]
    camera_from_world = np.linalg.inv(later.world_from_camera)
    far = rays @ (camera_from_world[:3, :3] @ now.placement.world_from_camera[:3, :3]).T
    points = np.where(now.bodies[..., None] > 0, _apply(camera_from_world, points), far)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = points[..., :2] / np.where(points[..., 2:] < 0, -points[..., 2:], np.nan)
    right_up = (place - rays[..., :2]) * now.focal_px()
    return np.stack([right_up[..., 0], -right_up[..., 1]]).astype(np.float32)


def _apply(pose: Float64[np.ndarray, "4 4"], points: Float[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "h w 3"]:
    return points @ pose[:3, :3].T + pose[:3, 3]


def _slope(values: Float64[np.ndarray, "h w"], axis: int) -> Float64[np.ndarray, "h w"]:
    """The change from one pixel to the next along an axis, from the three pixels, before, around or after, that bend least."""
    swapped = np.pad(np.moveaxis(values, axis, -1), ((0, 0), (2, 2)), constant_values=np.inf)
    with np.errstate(invalid="ignore"):
        step = np.diff(swapped, axis=-1)  # step i: from i - 2 to i - 1 of the unpadded
        bend = np.abs(np.diff(step, axis=-1))
        count = values.shape[axis]
        slopes = np.stack([step[:, 1 : count + 1], step[:, 2 : count + 2], (step[:, 1 : count + 1] + step[:, 2 : count + 2]) / 2.0])
    bends = np.stack([bend[:, :count], bend[:, 2 : count + 2], bend[:, 1 : count + 1]])
    best = np.where(np.isnan(bends), np.inf, bends).argmin(axis=0)
    found = np.take_along_axis(slopes, best[None], axis=0)[0]
    return np.moveaxis(np.where(np.isfinite(found), found, 0.0), -1, axis)
