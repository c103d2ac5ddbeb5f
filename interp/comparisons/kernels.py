"""Kernels of several layers side by side: first layers as colour pictures, deep ones as output x input grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.comparisons.scaling import number
from interp.figures import EmptyPanel, Grid, MapPanel, Panel, Scale, TilePanel
from interp.kernels import Kernels, Order
from interp.kernels import Scale as KernelScale

MOST_TILES = 64
DEEP_OUTPUTS = 8
DEEP_INPUTS = 8
MOST_MATRIX = 256


def selection(kernels: Kernels, order: Order = Order.INDEX, most: int = MOST_TILES) -> tuple[list[int], list[int]]:
    """The (outputs, inputs) of a layer that fit into a panel, in the order they are drawn."""
    _outputs, inputs, rows, cols = kernels.weights.shape
    chosen = np.asarray(kernels.order(order))
    if rows * cols == 1:
        return chosen[:MOST_MATRIX].tolist(), list(range(min(inputs, MOST_MATRIX)))
    if inputs in (1, 3):
        return chosen[:most].tolist(), list(range(inputs))
    first = chosen[:DEEP_OUTPUTS]
    if order is Order.INDEX:
        return first.tolist(), list(range(min(inputs, DEEP_INPUTS)))
    # The inputs that matter most to the outputs shown, in the order of the layer.
    weight = np.square(kernels.weights[first]).sum(axis=(0, 2, 3))
    return first.tolist(), np.sort(np.argsort(-weight, kind="stable")[:DEEP_INPUTS]).tolist()


def shown(kernels: Kernels, order: Order = Order.INDEX, most: int = MOST_TILES) -> Float[np.ndarray, "outputs inputs rows cols"]:
    """The weights that `panel` draws."""
    return np.asarray(kernels.planes(*selection(kernels, order, most)))


def panel(kernels: Kernels, order: Order = Order.INDEX, scale: KernelScale = KernelScale.SHARED, most: int = MOST_TILES) -> Panel:
    """One layer's kernels as one panel; says in its sublabel how many of how many are shown."""
    outputs, inputs, rows, cols = kernels.weights.shape
    chosen, into = selection(kernels, order, most)
    if inputs == 3 and kernels.groups == 1 and rows * cols > 1:
        reach = f"\u00b1{number(float(kernels.limit))}" if scale is KernelScale.SHARED else "each on its own scale"
        note = f"{len(chosen)} of {outputs} filters, {rows}x{cols}, grey = 0, {reach}"
        return TilePanel(kernels.rgb(scale)[chosen], label=kernels.layer, sublabel=note)
    planes = shown(kernels, order, most)
    bar = Scale.symmetric([planes], label="weight")
    if rows * cols == 1:
        note = f"{len(chosen)} of {outputs} outputs (rows) x {len(into)} of {inputs} inputs"
        return MapPanel(planes[:, :, 0, 0], bar, label=kernels.layer, sublabel=note)
    if inputs == 1:
        note = f"{len(chosen)} of {outputs} filters, one input each, {rows}x{cols}"
        return TilePanel(planes[:, 0], bar, label=kernels.layer, sublabel=note)
    note = f"{len(chosen)} of {outputs} outputs (rows) x {len(into)} of {inputs} inputs, {rows}x{cols}"
    return TilePanel(planes.reshape(-1, rows, cols), bar, columns=len(into), label=kernels.layer, sublabel=note)


def figure(
    found: Sequence[Kernels], title: str, order: Order = Order.INDEX, scale: KernelScale = KernelScale.SHARED, most: int = MOST_TILES
) -> Grid:
    """All layers of ``found``, at most four in a row."""
    columns = min(len(found), 4 if len(found) != 6 else 3)
    panels: list[Panel] = [panel(kernels, order, scale, most) for kernels in found]
    rows = [panels[k : k + columns] for k in range(0, len(panels), columns)]
    rows[-1] += [EmptyPanel()] * (columns - len(rows[-1]))
    return Grid(tuple(map(tuple, rows)), title=title, panel_size=2.6)
