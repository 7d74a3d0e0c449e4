"""Pictures as the bytes of image files."""

import io

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

JPEG_QUALITY = 95


def png(picture: UInt8[np.ndarray, "h w 3"] | UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]) -> bytes:
    """Lossless, in colour or in 8 or 16 bits of grey."""
    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(written, format="PNG")
    return written.getvalue()


def jpeg(picture: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Small, nearly lossless, colours at full resolution."""
    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(written, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return written.getvalue()
