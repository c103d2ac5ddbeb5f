"""How much methods agree with each other: one matrix per measure of agreement, all on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from interp.figures import Grid, Kind, MatrixPanel, Scale

SCALE = Scale(-1.0, 1.0, Kind.DIVERGING, "agreement: 1 for equal maps")
MOST_BESIDE = 9  # methods, up to which matrices stand side by side
_NAMES, _CELL = 1.7, 0.31  # inches: a number in each cell


def agreement_figure(
    matrices: Mapping[str, Float[np.ndarray, "m m"]],
    names: Sequence[str],
    controls: Sequence[bool] = (),
    title: str = "Agreement between methods",
    caption: str = "",
) -> Grid:
    """Matrices by the title of their measure (Spearman, SSIM, top-k), values in [-1, 1], NaN where not defined.

    Rows and columns are the methods ``names``, given with the controls last; a rule sets those apart. Side by side where
    there are few methods, else under each other.
    """
    panels = [MatrixPanel(values, SCALE, tuple(names), tuple(names), controls=tuple(controls)) for values in matrices.values()]
    size = max(2.6, _NAMES + _CELL * len(names))
    if len(names) <= MOST_BESIDE:
        return Grid((tuple(panels),), (), tuple(matrices), title, caption, size)
    return Grid(tuple((panel,) for panel in panels), tuple(matrices), (), title, caption, size)
