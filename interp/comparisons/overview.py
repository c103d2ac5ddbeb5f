"""One figure of a whole network: layers as columns, the four views as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.activations import Activations, Rank
from interp.comparisons import activations, features, gradcam, kernels
from interp.comparisons.scaling import scale_for, span
from interp.comparisons.subjects import Subject
from interp.core.method import Heatmap
from interp.core.unit import Unit
from interp.featurevis import Feature
from interp.figures import EmptyPanel, Grid, MapPanel, Panel
from interp.kernels import Kernels


@dataclass(frozen=True, eq=False)
class Column:
    """What is known of one layer: any of it may be missing, with the reason."""

    layer: str
    header: str
    kernels: Kernels | None
    activations: Activations
    features: Sequence[Feature]
    heatmap: Heatmap | None

    @property
    def shown(self) -> Feature | None:
        """The first unit that did not stay silent; else the first; None where there is none."""
        return next((f for f in self.features if not f.dead), self.features[0] if self.features else None)


def figure(columns: Sequence[Column], subject: Subject, place: int, title: str) -> Grid:
    """Rows: kernels, the activation of one unit, the image optimized for it, Grad-CAM of the prediction.

    The unit of a column is its first that did not stay silent. Without any optimized image there is no row for them.
    """
    rows: dict[str, tuple[Panel, ...]] = {
        "kernels": tuple(_kernels(c) for c in columns),
        f"activation, '{subject.name}'": tuple(_activation(c, place) for c in columns),
    }
    if any(c.features for c in columns):
        rows["optimized image"] = tuple(_feature(c) for c in columns)
    rows[f"Grad-CAM, {subject.target}"] = tuple(
        gradcam.overlay(c.heatmap, subject) if c.heatmap else EmptyPanel("none: the unit explained does not depend on places here")
        for c in columns
    )
    return Grid(tuple(rows.values()), tuple(rows), tuple(c.header for c in columns), title, panel_size=1.6)


def _kernels(column: Column) -> Panel:
    if column.kernels is None:
        return EmptyPanel("no kernels")
    return kernels.panel(column.kernels, most=36)


def _feature(column: Column) -> Panel:
    return features.panel(column.shown) if column.shown is not None else EmptyPanel("no unit of this layer")


def _activation(column: Column, place: int) -> MapPanel:
    unit = column.shown.unit if column.shown is not None else None
    channel = unit.channel if isinstance(unit, Unit) else activations.strongest(column.activations, place, 1, Rank.MAX)[0]
    values = np.asarray(column.activations.maps[place][channel])
    return MapPanel(values, scale_for([values], "activation"), label=str(Unit(column.layer, channel)), sublabel=span(values))
