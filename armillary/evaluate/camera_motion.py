"""How a camera moved, read from its pictures: a dream that was asked for a motion is held against it.

The first picture is a true one, of which the depth is known. Found is the motion of the camera under which its points have the same
colours in a later picture (direct alignment: Lucas and Kanade 1981; Kerl, Sturm and Cremers, ICRA 2013), from coarse to fine, with weights
that leave out what fits nowhere. It needs no features, of which small pictures and dreams have few, and knows lengths, since it knows the
depth. The search begins at the motion of the picture before.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from armillary.core import DataError
from armillary.evaluate.consistency_3d import direction_error_deg, rotation_error_deg
from armillary.evaluate.flow import blur

BLURS = (1 / 12, 1 / 24, 1 / 48, 1 / 96)  # shares of the picture's height, coarse to fine
ITERATIONS = 8
PIXELS_APART = 1.3  # at most, in standard deviations of the blur: points that count
LEAST_SEEN = 0.15  # of the first picture's points that must still be in the later one
LEAST_SCALE = 0.01  # below which residuals (of full brightness) are all alike
NEAREST_M = 0.05
WORST_DEG, CHANCE_DEG = 180.0, 90.0


@dataclass(frozen=True, kw_only=True)
class MotionError:
    """A recovered motion against the one asked for. `direction_deg` is between the two translations; where nothing moved it is CHANCE_DEG.
    Where no motion was recovered (`found` false), angles are WORST_DEG and `place_m` is twice the length asked for."""

    rotation_deg: float
    direction_deg: float
    place_m: float
    found: bool


def recover_motion(
    first: Float[Tensor, "b 3 h w"],
    depth_m: Float[Tensor, "*b_h_w"],
    later: Float[Tensor, "*b_t_3_h_w"],
    intrinsics: Float[np.ndarray, "3 3"],
) -> Float64[np.ndarray, "b t 4 4"]:
    """later_from_first of a camera with x right, y down, z ahead (metres) for each later picture; NaN where none was recovered.

    `depth_m` (b h w) is along the axis, 0 where nothing is; `later` is b t 3 h w; `intrinsics` is OpenCV's camera matrix, whole numbers
    being the centres of pixels. DataError for what does not fit or is not finite.
    """
    _check(first, depth_m, later, np.asarray(intrinsics))
    camera = torch.as_tensor(np.asarray(intrinsics), dtype=torch.float32)
    motion = torch.eye(4).repeat(len(first), 1, 1)
    found = []
    for picture in later.float().unbind(1):
        motion, seen = _align(first.float(), depth_m.float(), picture, camera, motion)
        found.append(torch.where((seen >= LEAST_SEEN)[:, None, None], motion, torch.nan))
        motion = torch.where(torch.isfinite(found[-1]), motion, torch.eye(4))
    return torch.stack(found, dim=1).double().numpy()


def motion_error(recovered: Float[np.ndarray, "4 4"], asked: Float[np.ndarray, "4 4"]) -> MotionError:
    """How far a recovered later_from_first is from the one asked for. DataError where the latter is no pose."""
    rotation, move = np.asarray(asked, dtype=np.float64)[:3, :3], np.asarray(asked, dtype=np.float64)[:3, 3]
    if not np.isfinite(asked).all() or np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3:
        raise DataError(f"the motion asked for must be a pose with a rotation, received {np.asarray(asked).tolist()}")
    if not np.isfinite(recovered).all():
        return MotionError(rotation_deg=WORST_DEG, direction_deg=WORST_DEG, place_m=2.0 * float(np.linalg.norm(move)), found=False)
    gone = recovered[:3, 3]
    still = min(np.linalg.norm(gone), np.linalg.norm(move)) < 1e-6
    return MotionError(
        rotation_deg=rotation_error_deg(recovered[:3, :3], rotation),
        direction_deg=CHANCE_DEG if still else direction_error_deg(gone, move),
        place_m=float(np.linalg.norm(gone - move)),
        found=True,
    )


def _align(first: Tensor, depth_m: Tensor, later: Tensor, camera: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """The motion (b 4 4) that lays the first picture over the later one, and the share of points that are still seen."""
    height, width = depth_m.shape[1:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([columns, rows, torch.ones_like(rows)]).float()  # x, y, 1
    points = torch.einsum("ij,jhw->ihw", torch.linalg.inv(camera), pixels) * depth_m[:, None]  # b 3 h w
    for share in BLURS:
        every = max(1, int(share * height / PIXELS_APART))  # a blurred picture says the same with fewer points
        one, two = blur(first, share * height)[:, :, ::every, ::every].flatten(2), blur(later, share * height)
        target, chosen = torch.cat([two, *_slopes(two)], dim=1), points[:, :, ::every, ::every].flatten(2)
        for _ in range(ITERATIONS):
            motion = _step(one, target, chosen, camera, motion)
    _, _, seen = _project(points.flatten(2), camera, motion, height, width)
    return motion, seen.sum(1) / (depth_m > NEAREST_M).flatten(1).sum(1).clamp(min=1)


def _step(one: Tensor, target: Tensor, points: Tensor, camera: Tensor, motion: Tensor) -> Tensor:
    """One Gauss-Newton step on the motion."""
    height, width = target.shape[2:]
    moved, place, seen = _project(points, camera, motion, height, width)
    ends = place.new_tensor([width - 1, height - 1])[None, :, None]
    grid = (2 * place / ends - 1).transpose(1, 2)[:, None]
    found = torch.nn.functional.grid_sample(target, grid, padding_mode="border", align_corners=True)[:, :, 0]
    colour, slope_x, slope_y = found.split(3, dim=1)
    residual = colour - one  # b 3 n
    x, y, z = moved.unbind(1)
    z, nothing = z.clamp(min=NEAREST_M), torch.zeros_like(x)
    across = camera[0, 0] / z[:, None] * torch.stack([torch.ones_like(x), nothing, -x / z], dim=1)
    down = camera[1, 1] / z[:, None] * torch.stack([nothing, torch.ones_like(x), -y / z], dim=1)
    pull = slope_x[:, :, None] * across[:, None] + slope_y[:, :, None] * down[:, None]  # b 3 3 n: of each colour by x, y, z
    turning = torch.linalg.cross(moved[:, None].expand_as(pull), pull, dim=2)  # d/dw of f(w x p) is p x f'
    jacobian = torch.cat([pull, turning], dim=2).transpose(1, 2).flatten(2)  # b 6 (3 n)
    weighted = jacobian * _weights(residual, seen).flatten(1)[:, None]
    normal = weighted @ jacobian.transpose(1, 2)
    normal = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-6)
    step = -torch.linalg.solve(normal, (weighted @ residual.flatten(1)[..., None])[..., 0])
    step = step * (0.2 / step.norm(dim=1, keepdim=True).clamp(min=0.2))
    return torch.linalg.matrix_exp(_twist(step)) @ motion


def _weights(residual: Float[Tensor, "b 3 n"], seen: Tensor) -> Float[Tensor, "b 3 n"]:
    """Student's t with five degrees of freedom, as in Kerl et al. 2013, its scale from the median."""
    size = torch.where(seen[:, None], residual.abs(), torch.nan).flatten(1)
    scale = (1.4826 * size.nanmedian(dim=1).values).nan_to_num(1.0).clamp(min=LEAST_SCALE)[:, None, None]
    return 6.0 / (5.0 + (residual / scale).square()) * seen[:, None] / scale.square()


def _project(points: Tensor, camera: Tensor, motion: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points in the later camera (b 3 n), where in its picture (b 2 n), and which are inside."""
    moved = motion[:, :3, :3] @ points + motion[:, :3, 3:]
    place = (camera @ (moved / moved[:, 2:].clamp(min=NEAREST_M)))[:, :2]
    x, y = place.unbind(1)
    known = points[:, 2] > NEAREST_M
    return moved, place, known & (moved[:, 2] > NEAREST_M) & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def _slopes(picture: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor]:
    """Along x and along y, a pixel."""
    padded = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _twist(step: Float[Tensor, "b 6"]) -> Float[Tensor, "b 4 4"]:
    """A small motion (metres, then radians) as what its matrix is the exponential of."""
    moves, (x, y, z) = step[:, :3], step[:, 3:].unbind(1)
    found = step.new_zeros(len(step), 4, 4)
    found[:, 0, 1], found[:, 0, 2], found[:, 1, 2] = -z, y, -x
    found[:, 1, 0], found[:, 2, 0], found[:, 2, 1] = z, -y, x
    found[:, :3, 3] = moves
    return found


def _check(first: Tensor, depth_m: Tensor, later: Tensor, intrinsics: np.ndarray) -> None:
    batch, _, height, width = first.shape
    steps = later.shape[1] if later.ndim == 5 else 1
    wanted = {"depth_m": (depth_m, (batch, height, width)), "later": (later, (batch, steps, 3, height, width))}
    for name, (values, shape) in wanted.items():
        if tuple(values.shape) != shape:
            raise DataError(f"{name} must be {shape} as the first pictures are, received {tuple(values.shape)}")
    for name, values in {"first": first, "depth_m": depth_m, "later": later}.items():
        if not bool(torch.isfinite(values).all()):
            raise DataError(f"{name} holds NaN or infinity; every number must be finite")
    if np.shape(intrinsics) != (3, 3) or not np.isfinite(intrinsics).all() or not (intrinsics[0][0] > 0 and intrinsics[1][1] > 0):
        raise DataError(f"intrinsics must be a finite 3 x 3 matrix with focal lengths above 0, received {np.asarray(intrinsics).tolist()}")
