"""Rays of a camera as Pluecker coordinates: the direction of each ray, and its moment, origin x direction.

Frames: a camera looks along +z, x to the right, y down (OpenCV). Lengths are metres. A line's moment is the same for every point on it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def pinhole(height: int, width: int, field_of_view_deg: float) -> Float[Tensor, "3 3"]:
    """The matrix of a camera of square pixels with this horizontal field of view, its axis in the middle of the picture.

    ValueError unless the field of view is above 0 and below 180 degrees.
    """
    if not 0 < field_of_view_deg < 180:
        raise ValueError(f"the field of view must lie between 0 and 180 degrees, received {field_of_view_deg}")
    focal = width / 2 / math.tan(math.radians(field_of_view_deg) / 2)
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def pluecker_rays(
    camera_matrix: Float[Tensor, "3 3"],
    world_from_camera: Float[Tensor, "*lead 4 4"],
    *,
    height: int,
    width: int,
    rows: int,
    columns: int,
) -> Float[Tensor, "*lead 6 rows columns"]:
    """Direction (of length one) and moment in the world's frame of the ray through the middle of every cell of a picture.

    `height` and `width` are those of the picture that `camera_matrix` speaks of; cells are height / rows x width / columns pixels.
    """
    device, dtype = world_from_camera.device, world_from_camera.dtype
    y = (torch.arange(rows, device=device, dtype=dtype) + 0.5) * height / rows
    x = (torch.arange(columns, device=device, dtype=dtype) + 0.5) * width / columns
    pixel = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns), torch.ones(rows, columns, device=device, dtype=dtype)])
    seen = torch.linalg.solve(camera_matrix.to(device, dtype), pixel.flatten(1))
    direction = torch.nn.functional.normalize(world_from_camera[..., :3, :3] @ seen, dim=-2)
    origin = world_from_camera[..., :3, 3:].expand_as(direction)
    moment = torch.linalg.cross(origin, direction, dim=-2)
    return torch.cat([direction, moment], dim=-2).unflatten(-1, (rows, columns))


def poses_along(motions: Float[Tensor, "b s 6"]) -> Float[Tensor, "b s+1 4 4"]:
    """world_from_camera before and after each motion, the world being the first camera's frame.

    A motion is what the camera does in its own frame: a rotation vector (radians), then a translation (metres).
    """
    batch, steps = motions.shape[:2]
    step = pose_of(motions)
    poses = [torch.eye(4, dtype=motions.dtype, device=motions.device).expand(batch, 4, 4)]
    for index in range(steps):
        poses.append(poses[-1] @ step[:, index])
    return torch.stack(poses, dim=1)


def pose_of(motion: Float[Tensor, "*lead 6"]) -> Float[Tensor, "*lead 4 4"]:
    """The pose that a rotation vector (radians) and a translation (metres) lead to."""
    x, y, z = motion[..., :3].unbind(-1)
    nothing = torch.zeros_like(x)
    skew = torch.stack([nothing, -z, y, z, nothing, -x, -y, x, nothing], dim=-1).unflatten(-1, (3, 3))
    pose = torch.eye(4, dtype=motion.dtype, device=motion.device).repeat(*motion.shape[:-1], 1, 1)
    pose[..., :3, :3] = torch.linalg.matrix_exp(skew)
    pose[..., :3, 3] = motion[..., 3:]
    return pose
