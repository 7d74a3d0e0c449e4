"""How much a video may ask for before it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideoLimits:
    """Caps on one request to the decode child. A file beyond any of them is refused with a VideoError that names the cap.

    `ratio` caps decoded bytes over file bytes, and counts only above `ratio_free_bytes` (a still picture compresses
    very well, and a short one is harmless). `output_bytes` caps what one call returns, `memory_bytes` and
    `cpu_seconds` are enforced by the kernel on the child, `wall_seconds` by the parent's clock.
    """

    pixels: int = 16_777_216
    frames: int = 1_000_000
    seconds: float = 6 * 3600.0
    ratio: float = 20_000.0
    ratio_free_bytes: int = 1 << 30
    output_bytes: int = 8 << 30
    memory_bytes: int = 2 << 30
    cpu_seconds: int = 600
    wall_seconds: float = 900.0
