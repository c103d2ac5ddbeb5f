"""A picture of a site as a plain value: a file, or a tile of a sheet of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from interp.errors import InterpError
from interp.site.link import beside

MAX_ACROSS = 32
"""Sheets have at most this many tiles in a row and in a column: the style sheet has a rule for each place."""


@dataclass(frozen=True)
class Picture:
    """A picture of ``rows`` x ``cols`` pixels; ``alt`` says what is seen in it.

    A tile of a sprite sheet has its ``box`` (top, left, bottom, right) in pixels of the ``sheet`` (rows, cols). Sheets are made of equal
    tiles without gaps, at most ``MAX_ACROSS`` each way, so that the box lies on the grid of its own size (`sprites.pack` makes such).
    InterpError for a picture without ``alt``, a path out of the folder, a box that is not a tile of its sheet.
    """

    path: str
    rows: int
    cols: int
    alt: str
    box: tuple[int, int, int, int] | None = None
    sheet: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        beside(self.path, "picture")
        if not self.alt.strip():
            raise InterpError(f"the picture `{self.path}` has no `alt` text; say in a few words what is seen in it")
        if min(self.rows, self.cols) < 1:
            raise InterpError(f"the picture `{self.path}` is {self.rows} x {self.cols}; sizes are positive")
        if (self.box is None) != (self.sheet is None):
            raise InterpError(f"the picture `{self.path}` has one of `box` and `sheet`; give both or none")
        if self.box is not None and self.sheet is not None and not _is_tile(self.box, self.sheet, self.rows, self.cols):
            raise InterpError(
                f"the box {self.box} of `{self.path}` is no tile of {self.rows} x {self.cols} in a sheet of "
                f"{self.sheet[0]} x {self.sheet[1]}; sheets are whole rows of equal tiles, at most {MAX_ACROSS} each way"
            )


def _is_tile(box: tuple[int, int, int, int], sheet: tuple[int, int], rows: int, cols: int) -> bool:
    top, left, bottom, right = box
    whole = sheet[0] % rows == 0 and sheet[1] % cols == 0 and max(sheet[0] // rows, sheet[1] // cols) <= MAX_ACROSS
    placed = top % rows == 0 and left % cols == 0 and (bottom - top, right - left) == (rows, cols)
    return whole and placed and 0 <= top < bottom <= sheet[0] and 0 <= left < right <= sheet[1]


@dataclass(frozen=True)
class Sheet:
    """One file of a sprite sheet: ``down`` x ``across`` tiles."""

    path: str
    down: int
    across: int


@dataclass(frozen=True)
class Tiles(Sequence[Picture]):
    """Pictures of one size, one per channel, in raster order over one or more sheets; a sequence of ``Picture``.

    ``rows`` x ``cols`` is one tile in pixels, ``alt`` a text in which ``{}`` becomes the index, such as ``layer1:{} excited``.
    """

    sheets: tuple[Sheet, ...]
    total: int
    rows: int
    cols: int
    alt: str

    def __post_init__(self) -> None:
        if sum(sheet.down * sheet.across for sheet in self.sheets) < self.total:
            raise InterpError(f"{len(self.sheets)} sheets hold fewer than the {self.total} tiles that are asked of them")

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Picture, ...]: ...
    def __getitem__(self, index: int | slice) -> Picture | tuple[Picture, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(self.total)))
        place = index + self.total if index < 0 else index
        if not 0 <= place < self.total:
            raise IndexError(index)
        alt = self.alt.replace("{}", str(place))
        for sheet in self.sheets:
            if place < sheet.down * sheet.across:
                top, left = place // sheet.across * self.rows, place % sheet.across * self.cols
                box = (top, left, top + self.rows, left + self.cols)
                return Picture(sheet.path, self.rows, self.cols, alt, box, (sheet.down * self.rows, sheet.across * self.cols))
            place -= sheet.down * sheet.across
        raise IndexError(index)
