"""Where a layer's pictures lie in the site, and how their tiles are laid out: known before any of them is made."""

from __future__ import annotations

import numpy as np

from interp.microscope.plan import Plan
from interp.site.microscope import LayerSummary, Picture, Tiles
from interp.site.microscope.address import PICTURES, folder_of
from interp.site.microscope.sprites import tiles_of

# Pixels of the longer side of a thumbnail.
_THUMBNAIL = 64
# Pixels of the picture on a layer's card.
_CARD = 96


def folder(layer: str) -> str:
    """The folder of a layer's pictures."""
    return f"{PICTURES}/{folder_of(layer)}"


def optimized(layer: str, channel: int) -> str:
    """The file of a unit's optimized images."""
    return f"{folder(layer)}/{channel}.webp"


def examples(layer: str, channel: int) -> str:
    """The file of the pictures that a unit was strong or weak on."""
    return f"{folder(layer)}/{channel}-seen.webp"


def standing_for(layer: str) -> str:
    """The file of the picture on the network's page."""
    return f"{folder(layer)}/layer.webp"


def thumbnails(layer: str) -> tuple[str, str]:
    """The stem of the sheets of a layer's thumbnails, and what is said of each."""
    return f"{folder(layer)}/units", f"{layer}:{{}}"


def kernels(layer: str) -> tuple[str, str]:
    """The stem of the sheets of a layer's weights as pictures, and what is said of each."""
    return f"{folder(layer)}/kernels", f"{layer}:{{}}, its weights as a picture; grey is zero"


def thumbnails_of(plan: Plan, layer: str) -> Tiles:
    """Where the thumbnails of a layer are: other layers' pages show them."""
    share = _THUMBNAIL / max(plan.size)
    rows, cols = (max(1, round(side * min(1.0, share))) for side in plan.size)
    stem, alt = thumbnails(layer)
    return tiles_of(stem, plan.channels(layer), (rows, cols), alt)


def summary_of(plan: Plan, layer: str) -> LayerSummary:
    """What the network's page and other layers show of a layer."""
    tiles = thumbnails_of(plan, layer)
    found, (across, units) = plan.model.layer(layer), standing(len(tiles))
    alt = f"{layer}, units {', '.join(map(str, units))}"
    rows, cols = standing_size(tiles)
    picture = Picture(standing_for(layer), across * (rows + 2), across * (cols + 2), alt)
    titled = layer == plan.model.output and bool(plan.model.spec.classes)
    return LayerSummary(layer, found.kind, len(tiles), picture, tiles, titled, found.channels)


def standing_size(tiles: Tiles) -> tuple[int, int]:
    """Pixels of each thumbnail of those that stand for a layer: four fill a card of the network's page."""
    share = min(1.0, _CARD / 2 / max(tiles.rows, tiles.cols))
    return max(1, round(tiles.rows * share)), max(1, round(tiles.cols * share))


def standing(count: int) -> tuple[int, list[int]]:
    """The units whose thumbnails stand for a layer of so many on the network's page, in a square of so many across."""
    across = 2 if count >= 4 else 1
    return across, np.linspace(0, count - 1, across**2).round().astype(int).tolist()
