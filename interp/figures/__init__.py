"""Figures as data, and how they are drawn: the only place that imports matplotlib.

Describe a figure as a `Grid` of panels, compare it with `==`, then `draw`, `save` or turn it into
PNG bytes. A `Scale` says what colours mean and belongs to the figure, so that panels share it:

    scale = Scale.symmetric([one, other], percentile=99, label="relevance")
    grid = Grid(rows=((ImagePanel(photo), MapPanel(one, scale, photo), MapPanel(other, scale, photo)),))
    save(grid, "figures", "comparison", formats=("png", "pdf"))
"""

from interp.figures.draw import draw
from interp.figures.identity import spec_hash
from interp.figures.palette import colors, overlay
from interp.figures.render import FORMATS, Rendered, pdf, picture, png, render, save
from interp.figures.scale import Kind, Scale
from interp.figures.spec import (
    CurvePanel,
    EmptyPanel,
    Grid,
    ImagePanel,
    IntervalPanel,
    KeyPanel,
    MapPanel,
    MatrixPanel,
    Panel,
    TilePanel,
)
from interp.figures.tiles import contact_sheet

__all__ = [
    "FORMATS",
    "CurvePanel",
    "EmptyPanel",
    "Grid",
    "ImagePanel",
    "IntervalPanel",
    "KeyPanel",
    "Kind",
    "MapPanel",
    "MatrixPanel",
    "Panel",
    "Rendered",
    "Scale",
    "TilePanel",
    "colors",
    "contact_sheet",
    "draw",
    "overlay",
    "pdf",
    "picture",
    "png",
    "render",
    "save",
    "spec_hash",
]
