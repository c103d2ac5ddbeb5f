"""Which examples of a unit say the same thing twice: crops of one picture that overlap by more than half."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interp.datasets import DataSet
from interp.images import Preprocess
from interp.microscope.data import Part, Samples

MOST = 0.5
"""Of the smaller of two crops, what the other may cover of it."""
SPARE = 4
"""Where pictures are parts of one another, so many times the examples that are shown are kept, for those that are left out."""

Box = tuple[float, float, float, float]
"""(top, left, bottom, right)"""


def spare(data: DataSet) -> int:
    """How many times the examples that are shown the pass is to keep."""
    return SPARE if isinstance(data, Samples) else 1


def place_of(data: DataSet, preprocess: Preprocess, index: int, sha256: str, box: tuple[int, int, int, int]) -> tuple[str, Box]:
    """Where a ``box`` of the network's input lies: in which photograph, and where in that; pictures of the same content are one."""
    top, left, bottom, right = map(float, box)
    if not isinstance(data, Samples):
        return sha256, (top, left, bottom, right)
    part = data.part(index)
    return part.photo, within(part, preprocess, (top, left, bottom, right))


def within(part: Part, preprocess: Preprocess, box: Box) -> Box:
    """A box of the input as one of the photograph, where the network is given that ``part`` of it."""
    top, left, bottom, right = part.box
    rows, cols = bottom - top, right - left
    scale = min(rows, cols) / preprocess.shorter_side((rows, cols))
    down = top + (rows - preprocess.size[0] * scale) / 2
    across = left + (cols - preprocess.size[1] * scale) / 2
    return (down + box[0] * scale, across + box[1] * scale, down + box[2] * scale, across + box[3] * scale)


def apart(places: Iterable[tuple[str, Box]]) -> Iterator[int]:
    """The indices of ``places``, strongest first, of which no stronger one that is among them shows more than half."""
    kept: list[tuple[str, Box]] = []
    for index, (picture, box) in enumerate(places):
        if all(other != picture or overlap(box, taken) <= MOST for other, taken in kept):
            kept.append((picture, box))
            yield index


def overlap(one: Box, other: Box) -> float:
    """What two boxes have in common, as a share of the smaller, [0, 1]."""
    rows = min(one[2], other[2]) - max(one[0], other[0])
    cols = min(one[3], other[3]) - max(one[1], other[1])
    if rows <= 0 or cols <= 0:
        return 0.0
    return rows * cols / min(_area(one), _area(other))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
