"""What the pages of a microscope show, as plain values: who builds them needs no HTML, and who draws them needs no torch.

Paths of pictures are relative to the site's folder and lie outside the folders of layers (``pictures/`` is meant for them): a layer's
folder holds its pages alone, and is replaced as a whole. Everything that is text stays text in the pages, wherever it is from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from interp.errors import InterpError
from interp.site.link import beside

Numbers = tuple[tuple[str, float | int | str], ...]
"""Lines of a table: a name, and a number or a word."""

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


@dataclass(frozen=True)
class Link:
    """A neighbour or a connection: the unit, and the number that stands beside it (a cosine, a correlation, a weight)."""

    layer: str
    channel: int
    value: float


@dataclass(frozen=True)
class Example:
    """A picture of the data set on which the unit was strong or weak.

    ``picture`` is the crop that the unit sees, ``whole`` the picture around it, with ``crop`` as the crop's (top, left, bottom, right) in
    fractions of it; ``heat`` a map of the unit over the whole picture (`LayerContent.heat` says which). ``value`` is the unit's
    activation at (``row``, ``col``).
    """

    picture: Picture
    source: str
    value: float
    row: int
    col: int
    heat: Picture | None = None
    whole: Picture | None = None
    label: str | None = None
    crop: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.crop is not None and not (0 <= self.crop[0] < self.crop[2] <= 1 and 0 <= self.crop[1] < self.crop[3] <= 1):
            raise InterpError(f"the crop {self.crop} of `{self.source}` is no box in fractions of a picture: (top, left, bottom, right)")


@dataclass(frozen=True)
class Optimized:
    """An image made to excite the unit. ``kind``: "channel", "neuron", "negative", "diverse 1" and so on.

    ``score`` is what was reached, ``numbers`` what the image is worth (natural ratio ...), ``notes`` what speaks against believing it.
    """

    picture: Picture
    kind: str
    score: float
    notes: tuple[str, ...] = ()
    numbers: Numbers = ()


@dataclass(frozen=True)
class Curve:
    """A tuning curve: the unit's answer ``values`` to the stimuli of a ``family`` at ``positions`` (in ``unit``); at least two.

    ``picture`` is a strip of the stimuli from the first position to the last.
    """

    family: str
    unit: str
    positions: tuple[float, ...]
    values: tuple[float, ...]
    picture: Picture | None = None

    def __post_init__(self) -> None:
        if len(self.positions) != len(self.values) or len(self.positions) < 2:
            raise InterpError(
                f"the curve over {self.family} has {len(self.positions)} positions and {len(self.values)} values; "
                "it has as many of both, two or more"
            )


@dataclass(frozen=True)
class Histogram:
    """``counts`` of activations between ``edges``, which rise and are one more."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1 or not self.counts:
            raise InterpError(f"a histogram of {len(self.counts)} counts has {len(self.counts) + 1} edges, not {len(self.edges)}")


@dataclass(frozen=True)
class UnitContent:
    """One unit's page. ``title`` is a class name where the unit is a class; links are strongest first.

    ``top_note`` and ``bottom_note`` are sentences on the examples of either kind, such as which are left out; "" for none.
    """

    channel: int
    title: str | None = None
    optimized: tuple[Optimized, ...] = ()
    top: tuple[Example, ...] = ()
    bottom: tuple[Example, ...] = ()
    curves: tuple[Curve, ...] = ()
    histogram: Histogram | None = None
    numbers: Numbers = ()
    near_by_weights: tuple[Link, ...] = ()
    near_by_activations: tuple[Link, ...] = ()
    incoming: tuple[Link, ...] = ()
    outgoing: tuple[Link, ...] = ()
    kernel: Picture | None = None
    notes: tuple[str, ...] = ()
    top_note: str = ""
    bottom_note: str = ""


@dataclass(frozen=True)
class Column:
    """A statistic to sort and filter by: its ``key`` in the values, its short ``label``, one sentence of ``help``, digits shown."""

    key: str
    label: str
    help: str
    decimals: int = 3


@dataclass(frozen=True)
class LayerContent:
    """One layer's pages. ``values`` has for each column's key one number per channel (None where it is not known).

    ``thumbnails`` has one picture per channel. ``units`` gives the units one by one, in the order of channels, anew at each call.
    ``places`` are (rows, cols) of the map, ``field`` what a place of it sees, in words: "43 x 43 pixels, every 8". ``weights`` and
    ``heat`` are sentences on what is seen in the pictures of the units' weights, and in the maps over their examples. ``total`` is as
    in ``LayerSummary``.
    """

    name: str
    kind: str
    channels: int
    places: tuple[int, int]
    field: str
    columns: tuple[Column, ...]
    values: Mapping[str, tuple[float | None, ...]]
    thumbnails: Sequence[Picture]
    units: Callable[[], Iterable[UnitContent]]
    numbers: Numbers = ()
    notes: tuple[str, ...] = ()
    weights: str = ""
    heat: str = ""
    total: int | None = None

    def __post_init__(self) -> None:
        if len(self.thumbnails) != self.channels:
            raise InterpError(f"the layer `{self.name}` has {len(self.thumbnails)} thumbnails for {self.channels} channels")
        _check_values(self.name, self.channels, self.columns, self.values)


def _check_values(layer: str, channels: int, columns: tuple[Column, ...], values: Mapping[str, tuple[float | None, ...]]) -> None:
    for column in columns:
        found = len(values.get(column.key, ()))
        if found != channels:
            raise InterpError(f"the layer `{layer}` has {found} values of `{column.key}` for {channels} channels")


@dataclass(frozen=True)
class LayerSummary:
    """A layer in the network's picture. ``thumbnail`` stands for it, and is a file of its own: of a sheet, the page would load all tiles.
    ``thumbnails`` (one per channel) stand for its units where others link to them, () where links go without pictures. ``titled``: its
    units have class names, so that a search looks into them. ``total``: how many channels the layer has, where only the first ``channels``
    of them have pages.
    """

    name: str
    kind: str
    channels: int
    thumbnail: Picture | None = None
    thumbnails: Sequence[Picture] = ()
    titled: bool = False
    total: int | None = None

    def __post_init__(self) -> None:
        if self.thumbnail is not None and self.thumbnail.box is not None:
            raise InterpError(f"the thumbnail of the layer `{self.name}` is a tile of `{self.thumbnail.path}`; give it a file of its own")


@dataclass(frozen=True)
class NetworkContent:
    """The network's page, and what every page says of where it came from.

    ``reference`` is what was asked for ("resnet18"), ``edges`` pairs of layers' names of which the first feeds the second.
    ``provenance`` are lines such as ("Command", "interp microscope resnet18 --images photos"), versions, data, hashes, seed.
    """

    title: str
    reference: str
    weights_hash: str
    layers: tuple[LayerSummary, ...]
    edges: tuple[tuple[str, str], ...]
    numbers: Numbers = ()
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names) or not names:
            raise InterpError("the layers of a network have different names, and there is at least one")
        unknown = {name for edge in self.edges for name in edge} - set(names)
        if unknown:
            raise InterpError(f"the edges name `{min(unknown)}`, which is none of the {len(names)} layers")

    def layer(self, name: str) -> LayerSummary | None:
        """The layer of that name; None where there is none."""
        return next((layer for layer in self.layers if layer.name == name), None)


@dataclass(frozen=True)
class Compared:
    """One of two networks side by side: its title, and where its own microscope lies, relative to the comparison's folder ("" nowhere)."""

    title: str
    reference: str
    weights_hash: str
    site: str = ""


@dataclass(frozen=True)
class ComparedLayer:
    """The units of one layer in both networks: thumbnails of each, and distances (``values``, as in ``LayerContent``) to sort by."""

    name: str
    kind: str
    channels: int
    columns: tuple[Column, ...]
    values: Mapping[str, tuple[float | None, ...]]
    first: Sequence[Picture]
    second: Sequence[Picture]
    titles: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        for side, pictures in (("first", self.first), ("second", self.second)):
            if len(pictures) != self.channels:
                raise InterpError(f"the {side} network has {len(pictures)} thumbnails for {self.channels} channels of `{self.name}`")
        _check_values(self.name, self.channels, self.columns, self.values)


@dataclass(frozen=True)
class CompareContent:
    """Two networks, or two checkpoints of one, unit by unit: the same layer and channel side by side."""

    title: str
    first: Compared
    second: Compared
    layers: tuple[ComparedLayer, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()


def finite(value: float | None) -> float | None:
    """``value``, or None where it is no number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None
