"""What the pages of a microscope show, as plain values: who builds them needs no HTML, and who draws them needs no torch.

Paths of pictures are relative to the site's folder and lie outside the folders of layers (``pictures/`` is meant for them): a layer's
folder holds its pages alone, and is replaced as a whole. Everything that is text stays text in the pages, wherever it is from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from interp.errors import InterpError
from interp.site.microscope.picture import Picture

Numbers = tuple[tuple[str, float | int | str], ...]
"""Lines of a table: a name, and a number or a word."""


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
    ``heat`` are sentences on what is seen in the pictures of the units' weights, and in the maps over their examples, ``read`` on where the
    statistics are read; "" for none. ``total`` is as in ``LayerSummary``.
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
    read: str = ""
    total: int | None = None

    def __post_init__(self) -> None:
        if len(self.thumbnails) != self.channels:
            raise InterpError(f"the layer `{self.name}` has {len(self.thumbnails)} thumbnails for {self.channels} channels")
        check_values(self.name, self.channels, self.columns, self.values)


def check_values(layer: str, channels: int, columns: tuple[Column, ...], values: Mapping[str, tuple[float | None, ...]]) -> None:
    """Raise InterpError where a column has not one value per channel."""
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


def finite(value: float | None) -> float | None:
    """``value``, or None where it is no number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None
