"""Masks as COCO and BOP describe them: exact areas, boxes, and run lengths.

COCO's own library is a C extension; what is needed of it here is one loop.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool


def box(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """[left, top, width, height] of the pixels that are set, of which there must be one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def run_lengths(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """How many pixels in turn are not set and set, down the columns, beginning with those that are not (perhaps none).

    >>> run_lengths(np.array([[True, False], [True, True]]))
    [0, 2, 1, 1]
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = [0, *changes.tolist(), flat.size]
    lengths = [after - before for before, after in pairwise(edges)]
    return [0, *lengths] if flat[0] else lengths


def compressed(lengths: list[int]) -> str:
    """Run lengths as COCO packs them into text: from the fourth on what each differs by from the last but one, in groups of five bits, the
    lowest first, with a sixth bit while more follow, as letters from "0" on; the fifth bit of the last group is the sign."""
    letters = []
    for place, length in enumerate(lengths):
        rest = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            group, rest = rest & 31, rest >> 5
            more = rest != (-1 if group & 16 else 0)
            letters.append(chr(48 + group + 32 * more))
    return "".join(letters)
