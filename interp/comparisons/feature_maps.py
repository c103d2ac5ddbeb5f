"""What a layer answers to a few pictures at moments of a training: some of its channels beside each other, on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from interp.comparisons.classified import enlarged
from interp.comparisons.scaling import number, scale_for
from interp.figures import Grid, ImagePanel, Panel, TilePanel

_ACROSS = 3  # channels in a row of a sheet


def figure(
    pictures: UInt8[np.ndarray, "n h w 3"],
    names: Sequence[str],
    maps: Float[np.ndarray, "moments n k rows cols"],
    moments: Sequence[str],
    title: str,
) -> Grid:
    """Rows: ``pictures``; columns: the picture, then a sheet of the k channels at each of the ``moments``. One scale for all sheets."""
    scale = scale_for([maps.astype(np.float64)], "activation")
    rows: list[tuple[Panel, ...]] = []
    for k, picture in enumerate(pictures):
        sheets = [
            TilePanel(at[k].astype(np.float64), scale, min(_ACROSS, maps.shape[2]), f"up to {number(float(at[k].max()))}") for at in maps
        ]
        rows.append((ImagePanel(enlarged(picture)), *sheets))
    return Grid(tuple(rows), tuple(names), ("picture", *moments), title, panel_size=1.3)
