"""What a page and the server say to one another. Everything from a page is a stranger's: read here, whole, or refused.

A page sends JSON objects in text, `{"do": ORDER, ...}`. The server sends JSON in text (`welcome`, `status`, `notice`) and frames in binary:
four bytes (big endian) with the length of a JSON object, the object, and the pictures that it lists, one after the other.
"""

import io
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from armillary.core import ConfigError, WorldError
from armillary.serve.controls import Controls, Value

PROTOCOL = 1
MAX_MESSAGE_BYTES = 4096
MAX_NUMBER = 2**53 - 1  # beyond it a page's numbers are not whole
MAX_SEED = 2**31 - 1
MAX_STEPS = 64  # single steps that may wait
MAX_TEXT = 200  # characters of what a world is told
QUALITY = 92
NUMBERS: Mapping[str, tuple[str, int, int]] = {
    "step": ("count", 1, MAX_STEPS),
    "scrub": ("step", 0, MAX_NUMBER),
    "branch": ("bookmark", 1, MAX_NUMBER),
    "forget": ("bookmark", 1, MAX_NUMBER),
    "seen": ("frame", 0, MAX_NUMBER),
}  # orders with one whole number: its name, and its least and greatest value
PLAIN = ("pause", "play", "bookmark")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a page asks for. `number` is a step, a seed, a bookmark, a frame or a count; None: the next seed. `text` is what shall go on."""

    do: str
    number: int | None = None
    value: Value | None = None
    sequence: int = 0
    on: bool = False
    text: str = ""


def read_order(text: str, controls: Controls) -> Order:
    """An order, or WorldError that says why it is refused."""
    told = read_object(text)
    do = told.get("do")
    if do == "act":
        return Order(do="act", value=controls.read(told.get("value")), sequence=_whole(told, "sequence", 0, MAX_NUMBER))
    if do == "reset":
        return Order(do="reset", number=None if told.get("seed") is None else _whole(told, "seed", 0, MAX_SEED))
    if do == "record":
        if not isinstance(told.get("on"), bool):
            raise WorldError("record needs on: true or false")
        return Order(do="record", on=told["on"])
    if do == "tell":
        return Order(do="tell", text=_words(told, "text"))
    if isinstance(do, str) and do in NUMBERS:
        return Order(do=do, number=_whole(told, *NUMBERS[do]))
    if do in PLAIN:
        return Order(do=str(do))
    raise WorldError(f"there is no such order; orders: act, reset, record, tell, {', '.join((*NUMBERS, *PLAIN))}")


def read_object(text: str) -> dict[str, object]:
    """A JSON object without NaN and Infinity, or WorldError."""
    if len(text.encode(errors="surrogatepass")) > MAX_MESSAGE_BYTES:
        raise WorldError(f"a message may have {MAX_MESSAGE_BYTES} bytes")
    try:
        told = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise WorldError(f"a message must be JSON ({error})") from error
    if not isinstance(told, dict):
        raise WorldError("a message must be a JSON object")
    return told


def pack_frame(about: Mapping[str, object], frames: Mapping[str, UInt8[np.ndarray, "h w 3"]], form: str = "jpeg") -> bytes:
    """A frame's message."""
    pictures = {name: encode_picture(frame, form) for name, frame in frames.items()}
    listed = [{"name": name, "bytes": len(picture)} for name, picture in pictures.items()]
    head = json.dumps({**about, "type": f"image/{form}", "pictures": listed}, allow_nan=False).encode()
    return struct.pack(">I", len(head)) + head + b"".join(pictures.values())


def unpack_frame(message: bytes) -> tuple[dict[str, object], dict[str, bytes]]:
    """What `pack_frame` packed: what is said of the frame, and its pictures as files."""
    (length,) = struct.unpack_from(">I", message)
    about, at, pictures = json.loads(message[4 : 4 + length]), 4 + length, {}
    for one in about["pictures"]:
        pictures[one["name"]] = message[at : at + one["bytes"]]
        at += one["bytes"]
    return about, pictures


def encode_picture(frame: UInt8[np.ndarray, "h w 3"], form: str = "jpeg") -> bytes:
    """A picture as a JPEG or WebP file, every pixel with its own colour."""
    if form not in ("jpeg", "webp"):
        raise ConfigError(f"frames are sent as jpeg or webp, received {form!r}")
    file = io.BytesIO()
    settings = {"quality": QUALITY, "subsampling": 0} if form == "jpeg" else {"quality": QUALITY, "method": 0}
    Image.fromarray(np.ascontiguousarray(frame)).save(file, format=form, **settings)
    return file.getvalue()


def _whole(told: Mapping[str, object], name: str, least: int, greatest: int) -> int:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= greatest:
        raise WorldError(f"{name} must be a whole number from {least} to {greatest}")
    return value


def _words(told: Mapping[str, object], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or len(value) > MAX_TEXT or not (value.isprintable() or not value):
        raise WorldError(f"{name} must be at most {MAX_TEXT} characters of plain text")
    return value.strip()


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
