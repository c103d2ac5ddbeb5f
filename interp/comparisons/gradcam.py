"""Grad-CAM of several photographs across layers, as overlays on one fixed colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interp.comparisons.scaling import ScaleBy, number
from interp.comparisons.subjects import Subject
from interp.core.method import Heatmap
from interp.figures import Grid, ImagePanel, Kind, MapPanel, Panel, Scale

RELATIVE = Scale(-1.0, 1.0, Kind.DIVERGING, "Grad-CAM / panel's largest magnitude")


def overlay(heatmap: Heatmap, subject: Subject, scale: Scale | None = None) -> MapPanel:
    """The signed map over the photograph; divided by its own largest magnitude unless a ``scale`` in raw units is given."""
    largest = float(np.abs(heatmap.values).max())
    words = f"max |\u00b7| {number(largest)}"
    if scale is not None:
        return MapPanel(heatmap.values, scale, subject.view, sublabel=words)
    values = heatmap.values / largest if largest > 0 else heatmap.values
    return MapPanel(values, RELATIVE, subject.view, sublabel=words)


def figure(
    subjects: Sequence[Subject],
    found: Sequence[Mapping[str, Heatmap]],
    labels: Mapping[str, str],
    scale: ScaleBy = ScaleBy.CHANNEL,
    title: str = "Grad-CAM across layers",
) -> Grid:
    """Rows: photographs; columns: the photograph, then the layers. ``labels`` are the layers' column headers.

    With ``ScaleBy.CHANNEL`` each map is divided by its own largest magnitude, which is written below it, so that one
    colour bar holds for all; with ``LAYER`` a column, with ``SHARED`` the whole figure is on one scale in raw units.
    """
    layers = list(labels)
    whole = [maps[layer].values for maps in found for layer in layers]
    scales: dict[str, Scale | None] = dict.fromkeys(layers)
    if scale is ScaleBy.SHARED:
        scales = dict.fromkeys(layers, Scale.symmetric(whole, label="Grad-CAM"))
    elif scale is ScaleBy.LAYER:
        scales = {layer: Scale.symmetric([maps[layer].values for maps in found], label="Grad-CAM") for layer in layers}
    rows: list[tuple[Panel, ...]] = []
    for subject, maps in zip(subjects, found, strict=True):
        photo = ImagePanel(subject.view, label=subject.label, sublabel=f"for {subject.target}")
        rows.append((photo, *(overlay(maps[layer], subject, scales[layer]) for layer in layers)))
    names = tuple(s.name for s in subjects)
    return Grid(tuple(rows), names, ("photograph", *labels.values()), title, panel_size=1.5)
