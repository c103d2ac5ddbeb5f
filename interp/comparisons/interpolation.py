"""Images on the way from one unit to another, with what both units answer along it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.comparisons.scaling import number
from interp.core.unit import Unit
from interp.figures import CurvePanel, Grid, ImagePanel, Panel


@dataclass(frozen=True, eq=False)
class Way:
    """``images`` in [0, 1] RGB from the ``first`` unit to the ``second``, and the answers of both to each image, in their own unit."""

    images: Float[np.ndarray, "n h w 3"]
    first: Float[np.ndarray, " n"]
    second: Float[np.ndarray, " n"]

    @property
    def jump(self) -> float:
        """The mean absolute difference of the pixels of neighbours, in [0, 1]: what a viewer sees change at each step."""
        return float(np.abs(np.diff(self.images, axis=0)).mean())

    @property
    def numbers(self) -> dict[str, object]:
        """For ``metrics.json``."""
        return {"first": self.first.tolist(), "second": self.second.tolist(), "jump": self.jump}


CAPTION = (
    "Columns: the share of the second unit in the objective; the units are those of the layer that tell the two photographs apart best. "
    "Below each image: the mean activations of the two channels on the 8-bit image, not transformed. Below the curves: the mean absolute "
    "difference of the pixels of neighbours, from 0 to 1."
)


def figure(ways: Mapping[str, Way], units: tuple[Unit, Unit], title: str) -> Grid:
    """Rows: ways to optimize the images; columns: the share of the second unit, and last the answers of both as curves."""
    names = (f"{units[0].channel}", f"{units[1].channel}")
    rows = [(*_images(way, names), _curves(way, names)) for way in ways.values()]
    count = len(next(iter(ways.values())).images)
    shares = tuple(f"{k / (count - 1):.0%}" for k in range(count))
    return Grid(tuple(rows), tuple(ways), (*shares, "answers"), title, panel_size=1.35)


def _images(way: Way, names: tuple[str, str]) -> tuple[Panel, ...]:
    return tuple(
        ImagePanel(image, label=f"{names[0]}: {number(float(first))}", sublabel=f"{names[1]}: {number(float(second))}")
        for image, first, second in zip(way.images, way.first, way.second, strict=True)
    )


def _curves(way: Way, names: tuple[str, str]) -> CurvePanel:
    series = tuple((f"channel {name}", np.asarray(values)) for name, values in zip(names, (way.first, way.second), strict=True))
    return CurvePanel(series, "share of the second", "activation", sublabel=f"neighbours differ by {number(way.jump)}", x_range=(0.0, 1.0))
