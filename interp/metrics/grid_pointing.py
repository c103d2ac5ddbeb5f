"""The grid pointing game (Boehle et al. 2021): does a map find the image of the asked class among others? It needs no masks.

Four images of different classes are laid out two by two. For the class of each cell the method is asked about the whole grid,
and the positive attribution that falls into the right cell is the score. Whoever asks should choose images that the network
classifies with confidence: of others, no method can tell the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.metrics.evidence import Better, Evidence
from interp.metrics.localization import relevance_mass

SIDE = 2
CELLS = SIDE * SIDE


@dataclass(frozen=True)
class GridPointingGame:
    """Share of the positive attribution of a 2 x 2 grid that lies in the cell of the asked class; 0 to 1, by chance 0.25.

    One value per image. Grids are filled in the images' order with images of different units (`grids`); where images are left
    over, earlier ones fill their grid and keep their own value. The grid is twice as high and wide as the images if the network
    can be run on that size, and is resized to the images' size if not (vision transformers). A layer's map is resized
    bilinearly to the grid's size. NaN where no value of the map is positive.

    Raises InterpError for fewer than 4 images, or fewer than 4 different units; Unsupported for units with a place.
    """

    name: ClassVar[str] = "grid-pointing"
    title: ClassVar[str] = "Grid pointing game"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = CELLS
    source: ClassVar[str] = "Böhle et al. 2021"

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        for unit in evidence.units:
            if unit.at is not None:
                raise Unsupported(f"'{unit}' has a place, which means nothing in a grid of images: choose '{unit.layer}:{unit.channel}'")
        found: dict[int, float] = {}
        for members in grids(evidence.units):
            # Those that were scored before only keep others company here.
            asked = [cell for cell, i in enumerate(members) if i not in found]
            shares = _shares(evidence, members, asked)
            found.update({members[cell]: float(share) for cell, share in zip(asked, shares, strict=True)})
        return np.array([found[i] for i in range(len(evidence.images))])


def _shares(evidence: Evidence, members: Sequence[int], asked: Sequence[int]) -> Float[np.ndarray, " asked"]:
    """The share of positive attribution in each of the ``asked`` cells of a grid, for the unit of that cell."""
    grid = _accepted(evidence.model, montage(evidence.images[list(members)]))
    units = [evidence.units[members[cell]] for cell in asked]
    heatmaps = evidence.method(evidence.model, grid.expand(len(asked), -1, -1, -1), units)
    size = (int(grid.shape[-2]), int(grid.shape[-1]))
    return relevance_mass(np.stack([heatmap.resized(size).values for heatmap in heatmaps]), cells(size)[list(asked)])


def grids(units: Sequence[Unit]) -> list[tuple[int, ...]]:
    """Indices of images in grids of four with different units, each image in at least one; images come first in their own order.

    Raises InterpError where there are fewer than four different units.
    """
    if len(units) < CELLS:
        raise InterpError(f"the grid pointing game needs at least {CELLS} images of different classes, not {len(units)}")
    distinct = len(set(units))
    if distinct < CELLS:
        repeated = next(unit for i, unit in enumerate(units) if unit in units[:i])
        raise InterpError(f"the grid pointing game needs {CELLS} images of different classes, but '{repeated}' is asked for more than once")
    found: list[tuple[int, ...]] = []
    left = list(range(len(units)))
    while left:
        members: list[int] = []
        for i in [*left, *range(len(units))]:
            if len(members) < CELLS and units[i] not in [units[m] for m in members]:
                members.append(i)
        found.append(tuple(members))
        left = [i for i in left if i not in members]
    return found


def montage(images: Float[Tensor, "4 c h w"]) -> Float[Tensor, "1 c rows cols"]:
    """Four images as one, twice as high and wide, in reading order."""
    rows = [torch.cat(list(images[start : start + SIDE]), dim=-1) for start in range(0, CELLS, SIDE)]
    return torch.cat(rows, dim=-2)[None]


def cells(size: tuple[int, int]) -> Bool[np.ndarray, "4 rows cols"]:
    """Where each image lies in a grid of ``size`` (rows, cols), in reading order."""
    row = np.arange(size[0]) * SIDE // size[0]
    col = np.arange(size[1]) * SIDE // size[1]
    masks: np.ndarray = (row[:, None] * SIDE + col)[None] == np.arange(CELLS)[:, None, None]
    return masks


def _accepted(model: Model, grid: Float[Tensor, "1 c rows cols"]) -> Float[Tensor, "1 c h w"]:
    try:
        with torch.no_grad():
            model(grid)
    except Unsupported:
        size = (grid.shape[-2] // SIDE, grid.shape[-1] // SIDE)
        return F.interpolate(grid, size=size, mode="bilinear", align_corners=False, antialias=True)
    return grid
