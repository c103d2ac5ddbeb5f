"""Activations of one photograph across layers: the mean over channels, then the strongest channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from interp.activations import Activations, Rank
from interp.comparisons.scaling import ScaleBy, number, scale_for, span
from interp.comparisons.subjects import Subject
from interp.core.unit import Unit
from interp.figures import EmptyPanel, Grid, IntervalPanel, MapPanel, Panel

MEAN = "mean over channels"
VECTOR_UNITS = 10
"""Units of a layer of one place that are shown: bars need less room than maps."""


def figure(
    subject: Subject,
    place: int,
    found: Mapping[str, Activations],
    count: int = 4,
    rank: Rank = Rank.MAX,
    scale: ScaleBy = ScaleBy.CHANNEL,
    channels: Mapping[str, Sequence[int]] | None = None,
    title: str = "",
) -> Grid:
    """Columns: layers; rows: the mean map, then ``count`` channels of image number ``place``.

    The channels are the strongest for this photograph by ``rank``, or those named in ``channels`` per layer.
    """
    chosen = {name: list((channels or {}).get(name) or strongest(a, place, count, rank)) for name, a in found.items()}
    depth = max(map(len, chosen.values()))
    everything = [a.maps[place][chosen[name]] for name, a in found.items()]
    rows: list[tuple[Panel, ...]] = [tuple(_mean(a, place) for a in found.values())]
    for k in range(depth):
        row: list[Panel] = []
        for name, a in found.items():
            if k >= len(chosen[name]):
                row.append(EmptyPanel())
                continue
            values = a.maps[place][chosen[name][k]]
            arrays = {ScaleBy.CHANNEL: [values], ScaleBy.LAYER: [a.maps[place][chosen[name]]], ScaleBy.SHARED: everything}[scale]
            row.append(MapPanel(values, scale_for(arrays, "activation"), label=str(Unit(name, chosen[name][k])), sublabel=span(values)))
        rows.append(tuple(row))
    headers = (MEAN, *(f"channel {k + 1}" if channels else f"{_ordinal(k + 1)} by {rank.value}" for k in range(depth)))
    columns = tuple(f"{a.label}\n{a.maps.shape[1]} x {a.maps.shape[2]} x {a.maps.shape[3]}" for a in found.values())
    return Grid(tuple(rows), headers, columns, title or f"Activations of '{subject.name}', predicted {subject.label}", panel_size=1.35)


def is_vector(found: Activations) -> bool:
    """Whether the layer has one place, so that a map of it would be one square."""
    return found.maps.shape[2:] == (1, 1)


def vectors(
    subject: Subject,
    place: int,
    found: Mapping[str, Activations],
    count: int = VECTOR_UNITS,
    rank: Rank = Rank.MAX,
    channels: Mapping[str, Sequence[int]] | None = None,
    named: Callable[[Unit], str] = str,
    title: str = "",
) -> Grid:
    """Columns: layers of one place; in each the values of ``count`` units of image number ``place`` as signed bars from zero, by name.

    Which units is as for `figure`.
    """
    panels = []
    for name, a in found.items():
        chosen = list((channels or {}).get(name) or strongest(a, place, count, rank))
        values = a.maps[place][chosen, 0, 0].astype(np.float64)
        note = f"{len(chosen)} of {a.channels} units, {span(a.maps[place])}"
        names = tuple(named(Unit(name, channel)) for channel in chosen)
        panels.append(
            IntervalPanel(names, values, np.minimum(values, 0), np.maximum(values, 0), x_label="activation", sublabel=note, reference=0)
        )
    headers = tuple(f"{a.label}\n{a.channels} values" for a in found.values())
    shown = title or f"Activations of '{subject.name}', predicted {subject.label}"
    return Grid((tuple(panels),), ("units named" if channels else "largest first",), headers, shown, panel_size=2.4)


def strongest(found: Activations, place: int, count: int, rank: Rank) -> list[int]:
    """The ``count`` strongest channels for one image, strongest first, ties by index."""
    order = np.argsort(-np.asarray(found.strength(rank))[place], kind="stable")
    return [int(c) for c in order[:count]]


def _mean(found: Activations, place: int) -> MapPanel:
    values = np.asarray(found.mean_map(place))
    share = float((found.maps[place] == 0).mean())
    return MapPanel(values, scale_for([values], "activation"), label=span(values), sublabel=f"{number(100 * share)}% zeros")


def _ordinal(k: int) -> str:
    suffix = "th" if 10 <= k % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{suffix}"
