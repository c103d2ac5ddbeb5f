"""A layer's filters before a training, after it, and of weights for which others took far longer."""

from __future__ import annotations

from dataclasses import replace

from interp.comparisons.kernels import panel
from interp.comparisons.learning import smoothness
from interp.comparisons.scaling import number
from interp.figures import Grid, Panel, TilePanel
from interp.kernels import Kernels


def figure(before: Kernels, after: Kernels, ready: Kernels, names: tuple[str, str, str], title: str) -> Grid:
    """Side by side, each on its own scale, with Moran's I (the median over the filters) below it."""
    return Grid((tuple(_told(one) for one in (before, after, ready)),), (), names, title, panel_size=2.6)


def numbers(before: Kernels, after: Kernels, ready: Kernels) -> dict[str, object]:
    """For ``metrics.json``."""
    return {"moran_i": {"before": smoothness(before), "after": smoothness(after), "end_point": smoothness(ready)}}


def _told(one: Kernels) -> Panel:
    own = panel(one)
    return replace(own, label=f"Moran's I {number(round(smoothness(one), 2) + 0.0)}") if isinstance(own, TilePanel) else own
