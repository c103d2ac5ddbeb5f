"""What each dimension of a tensor stands for: images, rows, columns, or something else.

A shape alone does not say it. A (heads, tokens, features) tensor looks like channels and a grid, tokens that were cut into
windows look like tokens row by row. So each tensor of one forward carries what its dimensions are made of, and every
operation says what it does to that: a view splits and joins them, a convolution makes new rows and columns, attention
takes its places from the queries, a Linear over places mixes them.

What is not known of an operation is not guessed: its result carries nothing, and `interp.core.layout.infer` has the word.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from interp.core.layout import ChannelsLast, Layout, Maps, Tokens


class Kind(Enum):
    """What an index counts. ``TOKENS`` are places row by row with other tokens before or behind them."""

    IMAGE = "image"
    ROW = "row"
    COL = "col"
    TOKENS = "tokens"
    OTHER = "other"


Span = tuple[float, float]
WHOLE: Span = (0.0, 1.0)
# By how much of the picture a grid may begin or end beside its border and still be drawn over all of it: a padding to whole windows.
_BESIDE = 0.15


@dataclass(frozen=True)
class Part:
    """One factor of a dimension: ``size`` indices, each of them ``step`` rows (or columns) further in a grid of ``extent``.

    Rows cut into windows of 7 are two parts: which window (step 7), and where in it (step 1). ``shift``: by how many
    indices the rows were rolled. ``prefix`` and ``suffix``: of `Kind.TOKENS`, how many have no place; ``grid`` the others.
    ``span``: where the grid begins and ends, in heights (or widths) of the picture, as it was cropped or padded; of tokens that of
    rows, and ``across`` that of columns.
    """

    kind: Kind
    size: int
    step: int = 1
    extent: int = 0
    shift: int = 0
    prefix: int = 0
    suffix: int = 0
    grid: tuple[int, int] = (0, 0)
    span: Span = WHOLE
    across: Span = WHOLE

    @property
    def placed(self) -> bool:
        """Whether its indices are places."""
        return self.kind in (Kind.ROW, Kind.COL, Kind.TOKENS)

    @property
    def whole(self) -> bool:
        """Whether its indices run over the whole height (or width) in order."""
        return self.kind in (Kind.ROW, Kind.COL) and self.size * self.step >= self.extent and self.shift == 0


Axis = tuple[Part, ...]
"""The parts of one dimension, the slowest first; () where its size is 1."""
Axes = tuple[Axis, ...]


def other(size: int) -> Axis:
    """A dimension that counts neither images nor places."""
    return (Part(Kind.OTHER, size),) if size != 1 else ()


def fresh(kind: Kind, size: int, span: Span = WHOLE) -> Axis:
    """All rows or columns of a grid that covers the ``span`` of the picture."""
    return (Part(kind, size, 1, size, span=span),) if size != 1 else ()


def pictures(shape: Sequence[int]) -> Axes:
    """The axes of images (N, C, rows, cols)."""
    images, channels, rows, cols = shape
    return ((Part(Kind.IMAGE, images),), other(channels), fresh(Kind.ROW, rows), fresh(Kind.COL, cols))


def size_of(axis: Axis) -> int:
    """How many indices it has."""
    return math.prod(part.size for part in axis)


def is_placed(axis: Axis) -> bool:
    """Whether any part of it is a place."""
    return any(part.placed for part in axis)


def is_whole(axis: Axis, kind: Kind) -> bool:
    """Whether it is all rows (or columns) in order; so is one of size 1."""
    return axis == () or (len(axis) == 1 and axis[0].kind is kind and axis[0].whole)


def raster(axis: Axis) -> Part | None:
    """The axis as tokens, where it is places row by row, with or without others before them."""
    if len(axis) == 1 and axis[0].kind is Kind.TOKENS:
        return axis[0]
    if len(axis) == 2 and is_whole(axis[:1], Kind.ROW) and is_whole(axis[1:], Kind.COL):
        return Part(Kind.TOKENS, size_of(axis), grid=(axis[0].size, axis[1].size), span=axis[0].span, across=axis[1].span)
    if len(axis) == 1 and axis[0].whole:  # one row, or one column
        if axis[0].kind is Kind.COL:
            return Part(Kind.TOKENS, axis[0].size, grid=(1, axis[0].size), across=axis[0].span)
        return Part(Kind.TOKENS, axis[0].size, grid=(axis[0].size, 1), span=axis[0].span)
    return None


def joined(parts: Iterable[Part]) -> Axis:
    """Neighbouring parts in one where they count on: the windows of rows and the rows within, channels and channels."""
    found: list[Part] = []
    for part in parts:
        if part.size == 1:
            continue
        last = found[-1] if found else None
        if part.kind in (Kind.OTHER, Kind.IMAGE):
            part = Part(part.kind, part.size)
        if last is not None and last.kind is part.kind is Kind.OTHER:
            found[-1] = Part(Kind.OTHER, last.size * part.size)
        elif (
            last is not None
            and last.kind is part.kind
            and part.kind in (Kind.ROW, Kind.COL)
            and (last.step, last.extent, last.shift, last.span) == (part.step * part.size, part.extent, part.shift, part.span)
        ):
            found[-1] = replace(part, size=last.size * part.size)
        else:
            found.append(part)
    return tuple(found)


def viewed(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """The axes of a view of that shape; None where it cuts through a part."""
    left = [part for axis in axes for part in axis]
    found: list[Axis] = []
    for size in shape:
        parts: list[Part] = []
        while size > 1:
            if not left:
                return None
            part = left.pop(0)
            if size % part.size == 0:
                parts.append(part)
                size //= part.size
            elif part.size % size == 0 and part.kind is not Kind.TOKENS:
                inner = part.size // size
                parts.append(replace(part, size=size, step=part.step * inner))
                left.insert(0, replace(part, size=inner))
                size = 1
            else:
                return None
        found.append(joined(parts))
    return tuple(found)


def union(one: Axis, two: Axis) -> Axis | None:
    """What a dimension is in a sum of two tensors; None where they contradict each other."""
    if one == two or not _tells(two):
        return one if one or not two else two
    if not _tells(one):
        return two
    for kind in (Kind.ROW, Kind.COL):
        if one and two and is_whole(one, kind) and is_whole(two, kind):
            return fresh(kind, size_of(one), one[0].span) if near(one[0].span, two[0].span) else None
    first, second = raster(one), raster(two)
    return one if first is not None and second is not None and (first.prefix, first.grid) == (second.prefix, second.grid) else None


def _tells(axis: Axis) -> bool:
    return any(part.kind is not Kind.OTHER for part in axis)


def sliced(axis: Axis, start: int, stop: int, step: int) -> Axis:
    """Every ``step``-th index from ``start`` up to ``stop``; some of the rows in order are a grid of their own, of a part of the span."""
    size, count = size_of(axis), max(0, -(-(stop - start) // step))
    if count == size:
        return axis
    if len(axis) == 1 and axis[0].whole:
        part = axis[0]
        every = step > 1 and start < step and stop > size - step
        return joined([replace(part, size=count, step=part.step * step)]) if every else fresh(part.kind, count, part_of(part, start, stop))
    tokens = raster(axis)
    if tokens is not None and step == 1:
        before, behind = tokens.prefix - start, tokens.suffix - (size - stop)
        if before >= 0 and behind >= 0:
            return with_tokens(tokens, before, behind)
    return other(count)


def part_of(part: Part, start: int | float, stop: int | float) -> Span:
    """The span of some of its indices, of fewer than none and more than there are too."""
    low, high = part.span
    each = (high - low) / part.size
    return (low + each * start, low + each * stop)


def with_tokens(places: Part, prefix: int, suffix: int = 0) -> Axis:
    """The grid of ``places`` row by row, with tokens that have no place before and behind them."""
    if not prefix and not suffix:
        rows, cols = _grid(places)
        return (*rows, *cols)
    count = prefix + places.grid[0] * places.grid[1] + suffix
    return (replace(places, kind=Kind.TOKENS, size=count, prefix=prefix, suffix=suffix),)


def _grid(places: Part) -> tuple[Axis, Axis]:
    """Rows and columns of places row by row."""
    return fresh(Kind.ROW, places.grid[0], places.span), fresh(Kind.COL, places.grid[1], places.across)


def lengthened(axis: Axis, before: int, behind: int) -> Axis | None:
    """With so many more indices before and behind, which hold nothing of the picture; fewer where negative."""
    size = size_of(axis) + before + behind
    if before == behind == 0:
        return axis
    if not _tells(axis):
        return other(size)
    if len(axis) == 1 and axis[0].whole:
        return fresh(axis[0].kind, size, part_of(axis[0], -before, size_of(axis) + behind))
    tokens = raster(axis)
    return with_tokens(tokens, tokens.prefix + before, tokens.suffix + behind) if tokens and min(before, behind) >= 0 else None


def rolled(axis: Axis, by: int) -> Axis:
    """Turned round by so many indices; places in one dimension, which would go on in the next row, are places no more."""
    if not _tells(axis):
        return axis
    if len(axis) == 1 and axis[0].kind in (Kind.ROW, Kind.COL) and axis[0].size * axis[0].step >= axis[0].extent:
        return (replace(axis[0], shift=(axis[0].shift + by) % axis[0].size),)
    return other(size_of(axis))


def told(axes: Axes, shape: tuple[int, ...]) -> Layout | str | None:
    """The layout of an output with these axes, or why it has none; None where that is open.

    ``shape`` is that of the output without its images, as messages name it.
    """
    if len(shape) not in (2, 3):
        return None
    if len(axes[0]) != 1 or axes[0][0].kind is not Kind.IMAGE:
        return f"its output {shape} does not keep the images apart"
    rest = axes[1:]
    placed = [axis for axis in rest if is_placed(axis)]
    if len(shape) == 2:
        tokens = raster(rest[0])
        if tokens is not None and not tokens.suffix and not is_placed(rest[1]):
            return _beside(shape, *_grid(tokens)) or Tokens(tokens.prefix, tokens.grid)
    elif placed:
        if is_whole(rest[1], Kind.ROW) and is_whole(rest[2], Kind.COL) and not _has_whole(rest[0]):
            return _beside(shape, *rest[1:]) or Maps()
        if is_whole(rest[0], Kind.ROW) and is_whole(rest[1], Kind.COL) and not _has_whole(rest[2]):
            return _beside(shape, *rest[:2]) or ChannelsLast()
    elif 1 in shape:
        return None
    return _why(rest, placed, shape)


def near(one: Span, two: Span, slack: float = _BESIDE) -> bool:
    """Whether two grids lie over the same part of the picture, but for a padding."""
    return max(abs(one[0] - two[0]), abs(one[1] - two[1])) <= slack


def _beside(shape: tuple[int, ...], rows: Axis, cols: Axis) -> str:
    """Why a grid cannot be drawn over the whole picture, where it lies over a part of it, or over more; "" where it can.

    One place too many, as of a picture padded to whole strides, is no matter.
    """
    parts = [axis[0] if axis else Part(Kind.OTHER, 1) for axis in (rows, cols)]
    if all(near(part.span, WHOLE, max(_BESIDE, (part.span[1] - part.span[0]) / part.size)) for part in parts):
        return ""
    height, width = (f"{part.span[0]:.0%} to {part.span[1]:.0%}" for part in parts)
    return (
        f"the places of its output {shape} lie over a part of the picture alone, as it was cropped or padded: rows {height}, cols {width}"
    )


def _has_whole(axis: Axis) -> bool:
    return any(part.whole or part.kind is Kind.TOKENS for part in axis)


def _why(rest: Axes, placed: Sequence[Axis], shape: tuple[int, ...]) -> str:
    if not placed:
        return f"the numbers of its output {shape} belong to no places: these were mixed, or it has none"
    if sum(map(_full, placed)) > 1:
        return f"each number of its output {shape} belongs to two places, as in attention"
    if len(placed) == 1 and (_full(placed[0]) or (len(rest) == 2 and raster(placed[0]))):
        where = "behind its channels" if rest[-1] is placed[0] else "beside heads or groups of channels"
        return f"the places of its output {shape}, in one dimension, stand {where}"
    return f"the places of its output {shape} are not in the order of rows and columns, as where they are cut into windows"


def _full(axis: Axis) -> bool:
    tokens = raster(axis)
    return tokens is not None and min(tokens.grid) > 1
