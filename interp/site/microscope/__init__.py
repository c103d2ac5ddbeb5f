"""The microscope's site: static pages for a network, its layers and each of their units. No server, no build step, no torch."""

from __future__ import annotations

from interp.site.microscope.compared import CompareContent, Compared, ComparedLayer
from interp.site.microscope.comparing import comparison_of, write_comparison
from interp.site.microscope.content import (
    Column,
    Curve,
    Example,
    Histogram,
    LayerContent,
    LayerSummary,
    Link,
    NetworkContent,
    Optimized,
    UnitContent,
)
from interp.site.microscope.picture import Picture, Sheet, Tiles
from interp.site.microscope.sprites import pack, save
from interp.site.microscope.writing import layer_is_written, write_layer, write_network

__all__ = [
    "Column",
    "CompareContent",
    "Compared",
    "ComparedLayer",
    "Curve",
    "Example",
    "Histogram",
    "LayerContent",
    "LayerSummary",
    "Link",
    "NetworkContent",
    "Optimized",
    "Picture",
    "Sheet",
    "Tiles",
    "UnitContent",
    "comparison_of",
    "layer_is_written",
    "pack",
    "save",
    "write_comparison",
    "write_layer",
    "write_network",
]
