"""One photograph over time: what one unit of each layer answers to it, and Grad-CAM of what the network says of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.comparisons.scaling import scale_for
from interp.figures import Grid, ImagePanel, MapPanel, Panel, Scale
from interp.films.timeline import Probe

_PANEL = 0.9  # inches


def activation_scale(maps: Float[np.ndarray, "moments rows cols"]) -> Scale:
    """One for all moments of a unit."""
    return scale_for([maps.astype(np.float64)], "activation")


def gradcam_scale(maps: Float[np.ndarray, "moments rows cols"]) -> Scale:
    """One for all moments of a layer: raw values, in the unit of the score."""
    return Scale.symmetric([maps], label="Grad-CAM, in the score's unit")


def figure(probe: Probe, names: Sequence[str], moments: Sequence[int], title: str) -> Grid:
    """Rows: the photograph with the class that is explained, a unit of each layer, Grad-CAM at each layer; columns: ``moments``.

    Each row has one scale for all moments.
    """
    lines: list[tuple[Panel, ...]] = [tuple(ImagePanel(probe.picture, label=probe.explained[moment]) for moment in moments)]
    headers = [probe.name]
    for layer, maps in probe.activations.items():
        scale = activation_scale(maps)
        lines.append(tuple(MapPanel(maps[moment], scale) for moment in moments))
        headers.append(probe.units[layer])
    for layer, maps in probe.gradcam.items():
        scale = gradcam_scale(maps)
        lines.append(tuple(MapPanel(maps[moment], scale, probe.picture) for moment in moments))
        headers.append(f"Grad-CAM at {layer}")
    return Grid(tuple(lines), tuple(headers), tuple(names[moment] for moment in moments), title, panel_size=_PANEL)
