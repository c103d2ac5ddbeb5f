"""One figure of a whole network: layers as columns, the four views as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def figure(columns: Sequence[Column], subject: Subject, place: int, title: str) -> Grid:
    """Rows: kernels, the strongest channel's activation, the image optimized for it, Grad-CAM of the prediction."""
    rows = (
        tuple(_kernels(c) for c in columns),
        tuple(_activation(c, place) for c in columns),
        tuple(features.panel(c.features[0]) if c.features else EmptyPanel("no unit") for c in columns),
        tuple(gradcam.overlay(c.heatmap, subject) if c.heatmap else EmptyPanel("no map here") for c in columns),
    )
    headers = ("kernels", f"activation, '{subject.name}'", "optimized image", f"Grad-CAM, {subject.target}")
    return Grid(rows, headers, tuple(c.header for c in columns), title, panel_size=1.6)


def _kernels(column: Column) -> Panel:
    if column.kernels is None:
        return EmptyPanel("no kernels")
    return kernels.panel(column.kernels, most=36)


def _activation(column: Column, place: int) -> MapPanel:
    unit = column.features[0].unit if column.features and isinstance(column.features[0].unit, Unit) else None
    channel = unit.channel if unit else activations.strongest(column.activations, place, 1, Rank.MAX)[0]
    values = np.asarray(column.activations.maps[place][channel])
    return MapPanel(values, scale_for([values], "activation"), label=str(Unit(column.layer, channel)), sublabel=span(values))


def headers(layers: Mapping[str, Activations]) -> dict[str, str]:
    """Column headers: the layer's name and its maps' shape."""
    return {name: f"{a.label}\n{a.maps.shape[1]} ch, {a.maps.shape[2]} x {a.maps.shape[3]}" for name, a in layers.items()}
