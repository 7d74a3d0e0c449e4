"""The one converter between texts and what a batch holds of them: UTF-8, a row each, zeros after the end."""

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor


def to_bytes(texts: Sequence[str], length: int | None = None) -> UInt8[Tensor, "b n"]:
    """Each text in `length` bytes, the rest of a longer one left out; without a length as many as the longest has.

    >>> to_bytes(["go", ""]).tolist()
    [[103, 111], [0, 0]]
    """
    encoded = [text.encode() for text in texts]
    length = max(map(len, encoded), default=0) if length is None else length
    return torch.tensor([list(row[:length].ljust(length, b"\0")) for row in encoded], dtype=torch.uint8).reshape(len(encoded), length)


def to_texts(rows: UInt8[Tensor, "b n"]) -> list[str]:
    """The texts again; a letter that was cut in two is dropped.

    >>> to_texts(to_bytes(["go", "pick up"], 4))
    ['go', 'pick']
    """
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in rows.tolist()]
