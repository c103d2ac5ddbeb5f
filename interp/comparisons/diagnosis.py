"""Filters that deserve a second look, as a contact sheet; and how many of each layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from interp.comparisons.scaling import number
from interp.figures import EmptyPanel, Grid, MapPanel, MatrixPanel, Panel, Scale, TilePanel
from interp.kernels import Kernels, factors
from interp.kernels import Scale as KernelScale
from interp.kernels.verdicts import Fault, Verdict

MOST_SHOWN = 8


def shown(verdicts: Sequence[Verdict]) -> dict[Fault, list[Verdict]]:
    """Those of each fault that are drawn: each filter once, the plainest first; of duplicates the filters of a cluster side by side."""
    found = {}
    for fault in Fault:
        own = {(v.layer, v.channel): v for v in verdicts if v.fault is fault}
        if own:
            found[fault] = sorted(own.values(), key=_plainest)[:MOST_SHOWN]
    return found


def _plainest(verdict: Verdict) -> tuple[object, ...]:
    if verdict.fault is Fault.DUPLICATE:
        return (verdict.layer, int(verdict.detail.rpartition(" ")[2]), verdict.channel)
    if verdict.fault is Fault.NOISE:
        return (-verdict.p, verdict.layer, verdict.channel)
    size = verdict.statistic / verdict.threshold if verdict.threshold else verdict.statistic
    return (-size if verdict.fault is Fault.SENSITIVE else size, verdict.layer, verdict.channel)


def sheet(verdicts: Sequence[Verdict], weights: Mapping[str, Kernels], title: str) -> Grid:
    """A row for each fault: the filters, each on its own scale, and below them the number behind the verdict."""
    chosen = shown(verdicts)
    if not chosen:
        return Grid(((EmptyPanel("no filter is flagged"),),), title=title, panel_size=3.0)
    pictures = {layer: _pictures(weights[layer]) for layer in dict.fromkeys(v.layer for own in chosen.values() for v in own)}
    columns = max(map(len, chosen.values()))
    rows = []
    for own in chosen.values():
        panels: list[Panel] = [_panel(verdict, pictures[verdict.layer]) for verdict in own]
        rows.append((*panels, *[EmptyPanel()] * (columns - len(panels))))
    total = {fault: len({(v.layer, v.channel) for v in verdicts if v.fault is fault}) for fault in chosen}
    headers = tuple(f"{fault.value}\n{len(own)} of {total[fault]}" for fault, own in chosen.items())
    return Grid(tuple(rows), headers, title=title, panel_size=1.5)


def by_layer(verdicts: Sequence[Verdict], layers: Mapping[str, int], faults: Sequence[Fault], title: str) -> Grid:
    """The share of each layer's filters (name -> number) with each fault."""
    counts = [[len({v.channel for v in verdicts if v.layer == layer and v.fault is fault}) for fault in faults] for layer in layers]
    values = 100 * np.array(counts) / np.array(list(layers.values()))[:, None]
    texts = tuple(tuple(f"{count} of {layers[layer]}" for count in row) for layer, row in zip(layers, counts, strict=True))
    scale = Scale.positive([values, [1.0]], label="filters of the layer, %")
    panel = MatrixPanel(values, scale, tuple(layers), tuple(fault.value for fault in faults), texts=texts)
    return Grid(((panel,),), title=title, panel_size=1.2 * len(faults) + 1.5)


def _pictures(kernels: Kernels) -> np.ndarray:
    """(out, rows, cols, 3) colour pictures, or (out, rows, cols) signed ones where there are no colours to give."""
    inputs, rows, cols = kernels.weights.shape[1:]
    if inputs == 3 and kernels.groups == 1 and rows * cols > 1:
        return kernels.rgb(KernelScale.FILTER)
    if rows * cols == 1:
        width = math.ceil(math.sqrt(inputs))
        flat = np.full((len(kernels), width * math.ceil(inputs / width)), np.nan)
        flat[:, :inputs] = kernels.weights[:, :, 0, 0]
        return flat.reshape(len(kernels), -1, width)
    if kernels.groups == 1 and inputs > 1:
        return factors.of(kernels).rgb()
    return kernels.weights[:, 0]


def _panel(verdict: Verdict, pictures: np.ndarray) -> Panel:
    picture = pictures[verdict.channel]
    label = f"{verdict.layer}:{verdict.channel}"
    if picture.ndim == 3:
        return TilePanel(picture[None], label=label, sublabel=_said(verdict))
    limit = float(np.nanmax(np.abs(picture)))
    return MapPanel(picture, Scale.symmetric([[limit or 1.0]], label="weight"), label=label, sublabel=_said(verdict))


def _said(verdict: Verdict) -> str:
    value = number(verdict.statistic)
    match verdict.fault:
        case Fault.DUPLICATE:
            return f"{verdict.detail.partition(',')[0]}, |cos| {value}"
        case Fault.NOISE:
            return f"p {value} > {number(verdict.threshold)}"
        case Fault.SENSITIVE:
            return f"gain {value} > {number(verdict.threshold)}"
        case Fault.RARE:
            return f"{100 * verdict.statistic:.2g} % of pictures"
        case Fault.DEAD:
            return f"{100 * verdict.statistic:.2g} % of pictures" if "pictures" in verdict.test else f"{value} of the median"
