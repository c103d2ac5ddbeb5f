"""What one pass over a data set gives: plain values, per layer and per channel. Nothing here knows how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float, Int

RARE = 0.01
"""A channel that is active in a smaller share of the images is rare."""

# Kinds whose output is 0 or about 0 wherever their input is negative: a channel that is never above 0 passes nothing on.
_RECTIFIERS = ("ReLU", "GELU", "SiLU", "Hardswish", "Mish", "ELU")


class Side(Enum):
    """Which end of the data set: the images with the largest values, or with the smallest."""

    TOP = "top"
    BOTTOM = "bottom"


@dataclass(frozen=True, eq=False)
class Examples:
    """The images at one end of every channel of a layer, the outermost first; of equal ones the earlier image first.

    ``values`` (channels, k): the channel's maximum (top) or minimum (bottom) over the places of an image, one per image; ``images``
    the indices into `Scan.sources`, -1 (and nan, -1, -1) where there are fewer than k images; ``rows`` and ``cols`` the place in the
    layer's map that has the value, the first in raster order.
    """

    values: Float[np.ndarray, "c k"]
    images: Int[np.ndarray, "c k"]
    rows: Int[np.ndarray, "c k"]
    cols: Int[np.ndarray, "c k"]


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """All channels of one layer over a data set; arrays go by channel.

    ``places`` (rows, cols) of the maps, (1, 1) for a vector; ``images`` how many went in; ``kind`` the class of the module.
    ``mean``, ``sd`` (of the population), ``minimum``, ``maximum`` are over images and places, float64. ``zeros``: the share of values
    that are exactly 0; ``active``: the share of images in which any place is above 0.

    ``quantiles`` (channels, levels) and the histogram, ``counts`` in bins [edge, next edge), are of ``counted`` values of each channel.
    While a channel has at most `few.MOST` values these are all of them, and quantiles are NumPy's. Beyond, each quantile is off by at
    most ``resolution`` of its channel, and of maps of more than `places.PLACES` places so many count in each image, a sample: the
    share q of all values below a quantile has a standard error of at most sqrt(q (1 - q) / ``counted``). The levels 0 and 1 are
    always the least and the largest of all values.

    ``correlation``: Pearson's, over images and places (at most `correlation.PLACES` of a map, on an even grid); nan where a
    channel is constant; None where it was not asked for or the layer has too many channels. ``nearest`` (channels, m) are the
    other channels of the largest correlation, the largest first, -1 (and nan) where there are none, with ``nearest_correlation``.

    ``selectivity``: the class selectivity index (Morcos et al. 2018), (a - b) / (a + b), a the largest of the classes' mean positive
    parts and b the mean of the others; ``preferred`` the class of the largest, an index into `Scan.labels`. 0 and -1 where the channel
    is never positive. None where there are fewer than two labels.
    """

    layer: str
    places: tuple[int, int]
    images: int
    mean: Float[np.ndarray, " c"]
    sd: Float[np.ndarray, " c"]
    minimum: Float[np.ndarray, " c"]
    maximum: Float[np.ndarray, " c"]
    zeros: Float[np.ndarray, " c"]
    active: Float[np.ndarray, " c"]
    levels: tuple[float, ...]
    quantiles: Float[np.ndarray, "c q"]
    edges: Float[np.ndarray, "c e"]
    counts: Int[np.ndarray, "c b"]
    counted: int
    top: Examples
    bottom: Examples
    correlation: Float[np.ndarray, "c c"] | None = None
    selectivity: Float[np.ndarray, " c"] | None = None
    preferred: Int[np.ndarray, " c"] | None = None
    nearest: Int[np.ndarray, "c m"] | None = None
    nearest_correlation: Float[np.ndarray, "c m"] | None = None
    resolution: Float[np.ndarray, " c"] | None = None
    kind: str = ""

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def values(self) -> int:
        """How many values each channel has: images x places."""
        return self.images * self.places[0] * self.places[1]

    @property
    def dead(self) -> Bool[np.ndarray, " c"]:
        """Constant over all images and places; behind a ReLU or what is like one also never above 0."""
        constant: np.ndarray = self.minimum == self.maximum
        return constant | (self.active == 0) if any(name in self.kind for name in _RECTIFIERS) else constant

    @property
    def rare(self) -> Bool[np.ndarray, " c"]:
        """Above 0 in at least one image and in fewer than 1 % of them."""
        rare: np.ndarray = (self.active > 0) & (self.active < RARE)
        return rare

    def examples(self, side: Side) -> Examples:
        return self.top if side is Side.TOP else self.bottom


@dataclass(frozen=True)
class Source:
    """One picture that went in: its name (path relative to the data), SHA-256 of its content, label, and its index in the data set."""

    name: str
    sha256: str
    label: str | None
    index: int


@dataclass(frozen=True, eq=False)
class Scan:
    """What one pass over a data set found.

    ``sources`` are the pictures that went in, in their order; ``skipped`` (name, reason) those that could not be read. ``labels`` are
    the classes that ``preferred`` counts. ``key`` is the hash of all that the result depends on: weights, names and hashes of the
    pictures, labels, preprocessing, layers, options, and the version of the pass.
    """

    layers: Mapping[str, LayerStatistics]
    sources: tuple[Source, ...]
    skipped: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    key: str
