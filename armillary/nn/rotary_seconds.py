"""3-D rotary positions whose time axis counts seconds, so that one model serves every frame rate."""

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.nn.rope3d import RotaryTable, rotary_table

TICKS_PER_SECOND = 24.0  # what one unit of time is to the rotation: a frame of a film


def rotary_seconds(times_s: Float[Tensor, "b t"], *, rows: int, columns: int, head_size: int) -> RotaryTable:
    """The table of `t` frames of rows x columns tokens, frame after frame, for heads of `head_size` dimensions.

    Two tokens meet by the seconds, rows and columns between them, whatever the frame rate. ValueError for heads of less than 6 dimensions.
    """
    batch, frames, device = *times_s.shape, times_s.device
    place = torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device)).float()
    time = (times_s.float() * TICKS_PER_SECOND)[:, :, None, None].expand(-1, -1, len(place), 1)
    return rotary_table(torch.cat([time, place.expand(batch, frames, -1, -1)], dim=-1).flatten(1, 2), head_size)
