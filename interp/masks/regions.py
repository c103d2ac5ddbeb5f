"""Polygons, boxes and run lengths as truth values per pixel. A pixel belongs to a region where its middle does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from interp.errors import InterpError
from interp.masks.matching import Mask

# A count is a 32-bit number in the format's own implementation; five bits to a character.
_MOST_CHARACTERS = 7


class BadRegion(InterpError):
    """A region is not what its format says. The message says why, and is completed by who knows where it stands."""


def polygon(corners: Sequence[float], size: tuple[int, int]) -> Mask:
    """Inside of the polygon [x1, y1, x2, y2, ...]; x runs over columns, 0 is the left border of the first pixel."""
    if len(corners) < 6 or len(corners) % 2:
        raise BadRegion(f"a polygon has {len(corners)} numbers: x and y of at least 3 corners are needed")
    if not all(math.isfinite(c) for c in corners):
        raise BadRegion("a polygon has a corner that is not a finite number")
    from skimage.draw import polygon as inside

    points = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    mask = np.zeros(size, dtype=bool)
    rows, cols = inside(  # type: ignore[no-untyped-call]
        points[:, 1] - 0.5, points[:, 0] - 0.5, size
    )
    mask[rows, cols] = True
    return mask


def box(left: float, top: float, right: float, bottom: float, size: tuple[int, int]) -> Mask:
    """Pixels whose middle lies in [left, right) x [top, bottom), 0 being the border of the first pixel; what sticks out is cut off."""
    if not all(math.isfinite(v) for v in (left, top, right, bottom)):
        raise BadRegion("a box has a side that is not a finite number")
    if right <= left or bottom <= top:
        raise BadRegion(f"a box from column {left:g} to {right:g} and row {top:g} to {bottom:g} is empty")
    mask = np.zeros(size, dtype=bool)
    first_row, last_row, first_col, last_col = (max(0, math.ceil(v - 0.5)) for v in (top, bottom, left, right))
    mask[first_row:last_row, first_col:last_col] = True
    return mask


def run_lengths(counts: Sequence[int], size: tuple[int, int]) -> Mask:
    """Runs of 0 and 1 in turn, the first of 0, down the columns (COCO's uncompressed RLE)."""
    if any(count < 0 for count in counts):
        raise BadRegion("a run length is negative")
    if any(count > size[0] * size[1] for count in counts):
        raise BadRegion(f"a run length is longer than the picture, which has {size[0]} x {size[1]} pixels")
    if sum(counts) != size[0] * size[1]:
        raise BadRegion(f"the run lengths add up to {sum(counts)} pixels, not to {size[0]} x {size[1]} = {size[0] * size[1]}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, np.asarray(counts, dtype=np.int64)).reshape(size[1], size[0]).T.copy()


def decompressed(text: str) -> list[int]:
    """Run lengths from COCO's compressed text.

    Characters carry 5 bits from code 48 on, low ones first, a sixth bit says that more follow; from the fourth run on,
    the difference from the run before the last is stored. The sign is the highest bit of the last character.
    """
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise BadRegion(f"a compressed run length holds the character {character!r}")
        value |= (code & 31) << (5 * shift)
        shift += 1
        if shift > _MOST_CHARACTERS:
            raise BadRegion("a compressed run length does not end")
        if code & 32:
            continue
        if code & 16:
            value -= 1 << (5 * shift)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise BadRegion("the compressed run lengths are cut off")
    return counts
