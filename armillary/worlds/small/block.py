"""A square block on a table: Coulomb friction, contact with a disc, contact with straight rails. All batched, metres and seconds."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import State

GRAVITY_M_S2 = 9.81


@dataclass(frozen=True)
class Block(State):
    """Pose, motion and make of a uniform square; angle in radians anticlockwise, spin in radians per second."""

    position: Float[Tensor, "b 2"]
    velocity: Float[Tensor, "b 2"]
    angle: Float[Tensor, " b"]
    spin: Float[Tensor, " b"]
    size_m: Float[Tensor, " b"]
    mass_kg: Float[Tensor, " b"]
    friction: Float[Tensor, " b"]

    @property
    def inertia(self) -> Float[Tensor, " b"]:
        """About the centre, kg m2."""
        return self.mass_kg * self.size_m**2 / 6.0

    def to_table(self, vector: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
        """A direction given in the block's own axes, in the table's."""
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.stack([cos * vector[:, 0] - sin * vector[:, 1], sin * vector[:, 0] + cos * vector[:, 1]], dim=-1)

    def to_own(self, vector: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
        """A direction given in the table's axes, in the block's own."""
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.stack([cos * vector[:, 0] + sin * vector[:, 1], cos * vector[:, 1] - sin * vector[:, 0]], dim=-1)

    def velocity_at(self, arm: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
        """The velocity of the point at `arm` from the centre."""
        return self.velocity + self.spin[:, None] * torch.stack([-arm[:, 1], arm[:, 0]], dim=-1)

    def struck(self, impulse: Float[Tensor, "b 2"], arm: Float[Tensor, "b 2"]) -> "Block":
        """The block after an impulse (kg m/s) at `arm` from its centre."""
        return replace(self, velocity=self.velocity + impulse / self.mass_kg[:, None], spin=self.spin + cross(arm, impulse) / self.inertia)


def cross(first: Float[Tensor, "b 2"], second: Float[Tensor, "b 2"]) -> Float[Tensor, " b"]:
    """The third component of a cross product in the plane."""
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def slide(block: Block, dt: float) -> Block:
    """Let the block slide and turn for `dt`, slowed by the table.

    Exact for each motion alone: from speed v it stops after v^2 / (2 mu g). Turning is slowed by the torque of an evenly
    pressed square, mu m g 0.3826 side. Their coupling (a spinning block slides farther) is left out.
    """
    deceleration = block.friction * GRAVITY_M_S2
    speed = block.velocity.norm(dim=-1)
    time = torch.minimum(speed / deceleration, torch.full_like(speed, dt))
    heading = block.velocity / speed.clamp_min(1e-9)[:, None]
    angular = deceleration * block.mass_kg * 0.3826 * block.size_m / block.inertia
    turning = torch.minimum(block.spin.abs() / angular, torch.full_like(speed, dt))
    sign = block.spin.sign()
    return replace(
        block,
        position=block.position + heading * (speed * time - deceleration * time**2 / 2)[:, None],
        velocity=heading * (speed - deceleration * time).clamp_min(0.0)[:, None],
        angle=torch.remainder(block.angle + block.spin * turning - sign * angular * turning**2 / 2, 2 * torch.pi),
        spin=sign * (block.spin.abs() - angular * turning).clamp_min(0.0),
    )


def touch_disc(
    block: Block, center: Float[Tensor, "b 2"], velocity: Float[Tensor, "b 2"], radius_m: float, mass_kg: float, *, give: float
) -> tuple[Block, Float[Tensor, "b 2"], Float[Tensor, "b 2"]]:
    """Where block and disc overlap, a smooth inelastic impulse (momentum is conserved), and both are moved apart.

    `give` is the share of the separation that the block takes: 0 where it is held by a rail.
    """
    arm, normal, depth = _nearest(block, center, radius_m)
    touching = depth > 0
    closing = ((velocity - block.velocity_at(arm)) * normal).sum(dim=-1)
    ease = 1.0 / mass_kg + 1.0 / block.mass_kg + cross(arm, normal) ** 2 / block.inertia
    impulse = torch.where(touching & (closing < 0), -closing / ease, 0.0)[:, None] * normal
    block = block.struck(-impulse, arm)
    separation = depth.clamp_min(0.0)[:, None] * normal
    block = replace(block, position=block.position - give * separation)
    return block, center + (1.0 - give) * separation, velocity + impulse / mass_kg


def _nearest(block: Block, center: Float[Tensor, "b 2"], radius_m: float) -> tuple[Tensor, Tensor, Tensor]:
    """The block's point nearest to a disc (from the block's centre), the way out of the block there, and the overlap in metres."""
    half = (block.size_m / 2)[:, None]
    own = block.to_own(center - block.position)
    nearest = own.clamp(-half, half)
    gap = own - nearest
    distance = gap.norm(dim=-1)
    # A disc whose centre is inside leaves by the nearest face.
    face = torch.nn.functional.one_hot((half - own.abs()).argmin(dim=-1), 2).to(own.dtype) * torch.where(own < 0, -1.0, 1.0)
    inside = distance < 1e-7
    normal = torch.where(inside[:, None], face, gap / distance.clamp_min(1e-7)[:, None])
    depth = torch.where(inside, radius_m + (half - own.abs()).amin(dim=-1), radius_m - distance)
    nearest = torch.where(inside[:, None], torch.where(face != 0, face * half, own), nearest)
    return block.to_table(nearest), block.to_table(normal), depth


def touch_rails(block: Block, low_m: float, high_m: float, restitution: float) -> Block:
    """Keep every corner of the block between straight rails on all four sides, by impulses at the deepest corner."""
    for axis in (0, 1):
        arm, depth, inward = _deepest_corner(block, axis, low_m, high_m)
        normal = torch.zeros_like(arm)
        normal[:, axis] = inward
        closing = (block.velocity_at(arm) * normal).sum(dim=-1)
        ease = 1.0 / block.mass_kg + cross(arm, normal) ** 2 / block.inertia
        impulse = torch.where((depth > 0) & (closing < 0), -(1.0 + restitution) * closing / ease, 0.0)
        block = block.struck(impulse[:, None] * normal, arm)
        block = replace(block, position=block.position + depth.clamp_min(0.0)[:, None] * normal)
    return block


def _deepest_corner(
    block: Block, axis: int, low_m: float, high_m: float
) -> tuple[Float[Tensor, "b 2"], Float[Tensor, " b"], Float[Tensor, " b"]]:
    """The corner farthest beyond either rail (from the block's centre), how far in metres, and which way is in (1 or -1)."""
    cos, sin = block.angle.cos() * block.size_m / 2, block.angle.sin() * block.size_m / 2
    first, second = torch.stack([cos - sin, sin + cos], dim=-1), torch.stack([cos + sin, sin - cos], dim=-1)
    corners = torch.stack([first, second, -first, -second], dim=1)
    reach, index = corners[:, :, axis].max(dim=1)  # a square is its own mirror image: it reaches as far to either side
    place = block.position[:, axis]
    below, above = low_m - (place - reach), place + reach - high_m
    inward = torch.where(below > above, 1.0, -1.0)
    arm = corners[torch.arange(len(index), device=index.device), index] * -inward[:, None]
    return arm, torch.maximum(below, above), inward
