"""Rays of known cameras: directions, moments that do not depend on the point, and poses along motions."""

import math

import pytest
import torch

from armillary.core import seeded
from armillary.nn.pluecker import pinhole, pluecker_rays, poses_along


def rays_of(pose: torch.Tensor, rows: int = 3, columns: int = 3) -> torch.Tensor:
    return pluecker_rays(pinhole(30, 30, 90.0).double(), pose, height=30, width=30, rows=rows, columns=columns)


def test_the_middle_ray_goes_where_the_camera_looks():
    """A camera at (1, 2, 3) turned by 90 degrees about y looks along +x; the moment is origin x direction = (0, 3, -2)."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    pose[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    direction, moment = rays_of(pose)[:, 1, 1].split(3)
    assert torch.allclose(direction, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    assert torch.allclose(moment, torch.tensor([0.0, 3.0, -2.0], dtype=torch.float64))


def test_rays_fan_out_with_the_field_of_view():
    """With 90 degrees, the middles of the outer of three cells lie at two thirds of the half picture: tangent 2/3. Down is +y."""
    rays = rays_of(torch.eye(4, dtype=torch.float64))
    right, down = rays[:3, 1, 2], rays[:3, 2, 1]
    assert torch.allclose(right, torch.tensor([2 / 3, 0.0, 1.0], dtype=torch.float64) / math.hypot(1, 2 / 3))
    assert torch.allclose(down, torch.tensor([0.0, 2 / 3, 1.0], dtype=torch.float64) / math.hypot(1, 2 / 3))
    assert torch.allclose(rays[:3].norm(dim=0), torch.ones(3, 3, dtype=torch.float64))
    assert torch.equal(rays[3:], torch.zeros(3, 3, 3, dtype=torch.float64))


def test_a_moment_does_not_depend_on_the_point_of_the_line():
    """Moving the camera along its middle ray leaves that ray as it was, and changes the others' moments."""
    motion = torch.randn(1, 2, 6, generator=seeded(0), dtype=torch.float64)
    pose = poses_along(motion)[0, 2]
    ahead = pose.clone()
    ahead[:3, 3] += 5.0 * pose[:3, 2]
    assert torch.allclose(rays_of(pose)[:, 1, 1], rays_of(ahead)[:, 1, 1])
    assert not torch.allclose(rays_of(pose)[3:, 0, 0], rays_of(ahead)[3:, 0, 0], atol=0.1)
    direction, moment = rays_of(pose).split(3)
    assert torch.allclose((direction * moment).sum(0), torch.zeros(3, 3, dtype=torch.float64), atol=1e-12)


def test_four_quarter_turns_with_a_step_ahead_walk_a_square():
    """Turning right (about +y, which points down) by 90 degrees and then going 2 m along the old axis, in the camera's frame each time."""
    motion = torch.tensor([0.0, math.pi / 2, 0.0, 0.0, 0.0, 2.0], dtype=torch.float64).expand(1, 4, 6)
    poses = poses_along(motion)[0]
    expected = torch.tensor([[0, 0, 0], [0, 0, 2], [2, 0, 2], [2, 0, 0], [0, 0, 0]], dtype=torch.float64)
    assert torch.allclose(poses[:, :3, 3], expected, atol=1e-12)
    assert torch.allclose(poses[4], torch.eye(4, dtype=torch.float64), atol=1e-12)


def test_a_field_of_view_of_nothing_is_refused():
    with pytest.raises(ValueError, match="between 0 and 180 degrees, received 180"):
        pinhole(10, 10, 180.0)
