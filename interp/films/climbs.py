"""Images of units over time: what each of them looks for, as far as the network has come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from interp.comparisons.scaling import number
from interp.core.depth import evenly
from interp.figures import Grid, ImagePanel
from interp.figures import film as moving
from interp.films.frames import Frames
from interp.films.timeline import UnitImages

UNITS = 24
"""Rows of the figure, at most: evenly over the units."""
_PANEL = 0.7  # inches
_FRAME = 150  # grey, as a white image has no end on white
_SIDE = 96  # pixels of a unit in a sheet, at least


def enlarged(images: UInt8[np.ndarray, "moments h w 3"]) -> UInt8[np.ndarray, "moments h2 w2 3"]:
    """Small images with each pixel as a square of whole pixels."""
    times = max(1, -(-_SIDE // images.shape[1]))
    result: np.ndarray = images.repeat(times, axis=1).repeat(times, axis=2)
    return result


def figure(found: UnitImages, names: Sequence[str], moments: Sequence[int], title: str) -> Grid:
    """Units (rows) at ``moments`` (columns), each image with its score below it, or that the unit is silent."""
    rows = []
    for unit in evenly(range(len(found.units)), UNITS):
        pictures = enlarged(found.images[:, unit])
        rows.append(tuple(ImagePanel(pictures[moment], label=said(found, moment, unit)) for moment in moments))
    headers = tuple(found.units[unit] for unit in evenly(range(len(found.units)), UNITS))
    return Grid(tuple(rows), headers, tuple(names[moment] for moment in moments), title, panel_size=_PANEL)


def said(found: UnitImages, moment: int, unit: int) -> str:
    """What the ascent reached, to three digits."""
    return "silent" if found.silent[moment, unit] else number(float(found.scores[moment, unit]))


def sheets(found: UnitImages) -> Frames:
    """All units at every moment in thin frames, eight in a row at most, with their names."""
    edge = ((0, 0), (1, 1), (1, 1), (0, 0))
    films = [np.pad(enlarged(found.images[:, unit]), edge, constant_values=_FRAME) for unit in range(len(found.units))]
    return moving.sheet(films, found.units)
