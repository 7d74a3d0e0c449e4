"""Canvas: anti-aliased shapes painted on a batch of pictures, each by its signed distance in metres."""

import torch
from jaxtyping import Float
from torch import Tensor


class Canvas:
    """A batch of pictures (`b 3 h w`, painted in place) of a rectangle of the world; y points up.

    `left` and `bottom` are the world coordinates of the picture's corner, one per world or one for all.
    """

    def __init__(self, picture: Float[Tensor, "b 3 h w"], *, metres_per_pixel: float, left: Tensor | float = 0.0, bottom: float = 0.0):
        height, width = picture.shape[-2:]
        self.picture = picture
        self.metres_per_pixel = metres_per_pixel
        columns = (torch.arange(width, device=picture.device) + 0.5) * metres_per_pixel
        rows = (height - 0.5 - torch.arange(height, device=picture.device)) * metres_per_pixel + bottom
        self._x = columns + left if isinstance(left, float) else columns + left[:, None]
        self._x = self._x.expand(len(picture), width)[:, None, :]
        self._y = rows[None, :, None]

    def _offsets(self, center: Float[Tensor, "b 2"]) -> tuple[Tensor, Tensor]:
        return self._x - center[:, 0, None, None], self._y - center[:, 1, None, None]

    def cover(self, coverage: Float[Tensor, "b h w"], colour: Float[Tensor, "b 3"]) -> None:
        """Mix `colour` in where `coverage` (0 to 1) says so."""
        self.picture.lerp_(colour[:, :, None, None], coverage[:, None])

    def paint(self, distance_m: Tensor, colour: Float[Tensor, "b 3"], opacity: float = 1.0, blur_m: float = 0.0) -> None:
        """Fill where `distance_m` (`b h w`, overwritten) is negative; the edge is one pixel soft, or `blur_m` if that is more."""
        softness = max(self.metres_per_pixel, blur_m)
        coverage = distance_m.mul_(-1.0 / softness).add_(0.5).clamp_(0.0, 1.0)
        self.cover(coverage.mul_(opacity) if opacity != 1.0 else coverage, colour)

    def disc(
        self,
        center: Float[Tensor, "b 2"],
        radius_m: Float[Tensor, " b"] | float,
        colour: Float[Tensor, "b 3"],
        *,
        opacity: float = 1.0,
        blur_m: float = 0.0,
    ) -> None:
        """A filled circle."""
        dx, dy = self._offsets(center)
        radius = radius_m[:, None, None] if isinstance(radius_m, Tensor) else radius_m
        self.paint((dx.square() + dy.square()).sqrt_().sub_(radius), colour, opacity, blur_m)

    def ring(
        self, center: Float[Tensor, "b 2"], radius_m: Float[Tensor, " b"] | float, width_m: float, colour: Float[Tensor, "b 3"]
    ) -> None:
        """A circle's outline, `width_m` wide and centred on its radius."""
        dx, dy = self._offsets(center)
        radius = radius_m[:, None, None] if isinstance(radius_m, Tensor) else radius_m
        self.paint((dx.square() + dy.square()).sqrt_().sub_(radius).abs_().sub_(width_m / 2), colour)

    def frame(self, width_m: float, colour: Float[Tensor, "b 3"]) -> None:
        """A border along the edges of the picture."""
        height, width = self.picture.shape[-2:]
        x = torch.arange(width, device=self.picture.device)
        y = torch.arange(height, device=self.picture.device)
        from_edge_x, from_edge_y = torch.minimum(x, width - 1 - x), torch.minimum(y, height - 1 - y)
        from_edge = torch.minimum(from_edge_x[None, :], from_edge_y[:, None])
        self.cover((width_m / self.metres_per_pixel - from_edge).clamp(0.0, 1.0).expand(len(colour), height, width), colour)

    def rectangle(
        self, center: Float[Tensor, "b 2"], half_size_m: Float[Tensor, "b 2"], colour: Float[Tensor, "b 3"], opacity: float = 1.0
    ) -> None:
        """An upright rectangle, each pixel covered by exactly the share of its area that lies inside."""
        dx, dy = self._offsets(center)
        across = self._share(dx, half_size_m[:, 0, None, None])
        along = self._share(dy, half_size_m[:, 1, None, None])
        self.cover(across * along if opacity == 1.0 else across * along.mul_(opacity), colour)

    def _share(self, offset: Tensor, half: Tensor) -> Tensor:
        """The share of each pixel's width that lies within `half` of zero."""
        pixel = self.metres_per_pixel
        return (torch.minimum(offset + pixel / 2, half) - torch.maximum(offset - pixel / 2, -half)).div_(pixel).clamp_(0.0, 1.0)

    def box(
        self,
        center: Float[Tensor, "b 2"],
        half_size_m: Float[Tensor, "b 2"],
        angle: Float[Tensor, " b"],
        colour: Float[Tensor, "b 3"],
        *,
        rounding_m: float = 0.0,
        opacity: float = 1.0,
        blur_m: float = 0.0,
        outline_m: float = 0.0,
    ) -> None:
        """A turned rectangle (radians, anticlockwise) with rounded corners; only its outline if `outline_m` is given."""
        dx, dy = self._offsets(center)
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        beyond_x = (cos * dx + sin * dy).abs_().sub_(half_size_m[:, 0, None, None] - rounding_m)
        beyond_y = (cos * dy - sin * dx).abs_().sub_(half_size_m[:, 1, None, None] - rounding_m)
        inside = torch.maximum(beyond_x, beyond_y).clamp_(max=0.0)
        outside = beyond_x.clamp_(min=0.0).square_().add_(beyond_y.clamp_(min=0.0).square_()).sqrt_()
        distance = outside.add_(inside).sub_(rounding_m)
        if outline_m:
            distance = distance.abs_().sub_(outline_m / 2)
        self.paint(distance, colour, opacity, blur_m)
