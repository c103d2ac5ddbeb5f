"""Optimized images across layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interp.comparisons.scaling import number
from interp.featurevis import Feature
from interp.figures import EmptyPanel, Grid, ImagePanel, Panel


def panel(feature: Feature, name: str = "") -> Panel:
    """One optimized image with its score; a unit that stayed silent is said so, not drawn."""
    if feature.dead:
        return EmptyPanel(f"{feature.unit} stayed silent: no gradient from this start")
    return ImagePanel(feature.image, label=name or str(feature.unit), sublabel=f"score {number(feature.final)}")


def figure(found: Mapping[str, Sequence[Feature]], title: str, names: Mapping[str, str] | None = None) -> Grid:
    """Columns: layers; rows: units, in the order given. ``names`` gives a unit's words, such as its class."""
    depth = max(map(len, found.values()))
    names = names or {}
    rows = [
        tuple(panel(column[k], names.get(str(column[k].unit), "")) if k < len(column) else EmptyPanel() for column in found.values())
        for k in range(depth)
    ]
    headers = tuple(f"unit {k + 1}" for k in range(depth))
    return Grid(tuple(rows), headers, tuple(found), title, panel_size=1.6)
