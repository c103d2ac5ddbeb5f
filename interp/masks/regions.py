"""Polygons, boxes and run lengths as truth values per pixel. A pixel belongs to a region where its middle does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from interp.errors import InterpError
from interp.masks.matching import Mask

# A count is a 32-bit number in the format's own implementation; five bits to a character.
_MOST_CHARACTERS = 7
# Of a polygon: what its corners and edges may take. Some seconds, and some ten megabytes.
_MOST_CROSSINGS, _AT_ONCE = 20_000_000, 1 << 18
_FURTHEST = 1e9


class BadRegion(InterpError):
    """A region is not what its format says. The message says why, and is completed by who knows where it stands."""


def mark_polygon(mask: Mask, corners: Sequence[float]) -> None:
    """Mark the inside of the polygon [x1, y1, x2, y2, ...]; x runs over columns, 0 is the left border of the first pixel.

    A pixel whose middle lies on the outline is inside. Where the outline crosses itself, what it goes round twice is outside. Time goes
    with the rows that each edge crosses; BadRegion where all edges together cross more than 20 million.
    """
    if len(corners) < 6 or len(corners) % 2:
        raise BadRegion(f"a polygon has {len(corners)} numbers: x and y of at least 3 corners are needed")
    points = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise BadRegion("a polygon has a corner that is not a finite number")
    if np.abs(points).max() > _FURTHEST:
        raise BadRegion(f"a polygon has a corner further away than {_FURTHEST:g} pixels")
    cols, rows = points.T - 0.5
    top, left = (max(0, math.floor(sides.min())) for sides in (rows, cols))
    bottom, right = (min(size, math.ceil(sides.max()) + 1) for size, sides in zip(mask.shape, (rows, cols), strict=True))
    if top < bottom and left < right:
        mask[top:bottom, left:right] |= _filled(rows - top, cols - left, (bottom - top, right - left))


def _filled(rows: np.ndarray, cols: np.ndarray, size: tuple[int, int]) -> Mask:
    """By rows: right of an odd number of edges is inside, and so is what an edge runs through."""
    ends = np.stack([rows, cols, np.roll(rows, -1), np.roll(cols, -1)])
    ends = np.where(ends[0] <= ends[2], ends, ends[[2, 3, 0, 1]])  # downwards
    first = np.clip(np.ceil(ends[0]), 0, size[0]).astype(np.int64)
    # An edge crosses the row of its upper end, not that of its lower one: the next edge does.
    counts = np.clip(np.ceil(ends[2]), 0, size[0]).astype(np.int64) - first
    if counts.sum() > _MOST_CROSSINGS:
        raise BadRegion(f"a polygon of {len(rows)} corners crosses rows {counts.sum()} times, more than {_MOST_CROSSINGS}: simplify it")
    turns = np.zeros((size[0], size[1] + 1), dtype=np.uint8)
    outline = np.zeros(size, dtype=bool)
    _mark_level(outline, ends)
    upto = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = upto[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(upto, done + _AT_ONCE)))
        _cross(turns, outline, ends[:, start:stop], first[start:stop], counts[start:stop])
        start = stop
    inside: Mask = (np.cumsum(turns[:, :-1], axis=1, dtype=np.uint8) % 2 == 1) | outline
    return inside


def _cross(turns: np.ndarray, outline: np.ndarray, ends: np.ndarray, first: np.ndarray, counts: np.ndarray) -> None:
    """Turn inside out what is right of each of these edges, in each row that it crosses."""
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    top, left, bottom, right = ends[:, edge]
    col = left + (row - top) * (right - left) / (bottom - top)
    begin = np.ceil(col)
    exact = (begin == col) & (col >= 0) & (col < outline.shape[1])
    outline[row[exact], begin[exact].astype(np.int64)] = True
    begin = np.clip(begin, 0, outline.shape[1]).astype(np.int64)
    # Counts may run over at 256: whether they are odd stays.
    np.add.at(turns.reshape(-1), row * turns.shape[1] + begin, np.uint8(1))


def _mark_level(outline: np.ndarray, ends: np.ndarray) -> None:
    """Corners on the middle of a pixel, and edges along a row of middles."""
    top, left, bottom, right = ends
    level = (top == np.ceil(top)) & (top == bottom) & (top >= 0) & (top < outline.shape[0])
    for row, one, other in zip(top[level].astype(np.int64), left[level], right[level], strict=True):
        low, high = max(math.ceil(min(one, other)), 0), math.floor(max(one, other))
        outline[row, low : max(high + 1, 0)] = True
    on = (bottom == np.ceil(bottom)) & (right == np.ceil(right)) & (bottom >= 0) & (right >= 0)
    on &= (bottom < outline.shape[0]) & (right < outline.shape[1])
    outline[bottom[on].astype(np.int64), right[on].astype(np.int64)] = True


def mark_box(mask: Mask, left: float, top: float, right: float, bottom: float) -> None:
    """Mark the pixels whose middle lies in [left, right) x [top, bottom); 0 is the border of the first pixel."""
    if not all(math.isfinite(v) for v in (left, top, right, bottom)):
        raise BadRegion("a box has a side that is not a finite number")
    if right <= left or bottom <= top:
        raise BadRegion(f"a box from column {left:g} to {right:g} and row {top:g} to {bottom:g} is empty")
    first_row, last_row, first_col, last_col = (max(0, math.ceil(v - 0.5)) for v in (top, bottom, left, right))
    mask[first_row:last_row, first_col:last_col] = True


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
