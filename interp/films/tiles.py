"""The filters of a layer as pictures, at all moments on one colour scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float

from interp.comparisons.scaling import number
from interp.errors import Unsupported
from interp.figures import Kind, Scale, TilePanel
from interp.films.timeline import Timeline
from interp.kernels import Kernels, factors
from interp.kernels.factors import Factoring


class Deep(Enum):
    """How a filter of many inputs becomes one picture: its inputs grouped into three colours, or their norm at each place."""

    PCA = "pca"
    NMF = "nmf"
    NORM = "norm"


@dataclass(frozen=True, eq=False)
class Tiles:
    """``values`` with a ``scale``, or pictures in [0, 1] without one; either way the same for all moments. ``said`` explains the colours,
    ``limit`` is what full colour stands for."""

    layer: str
    values: Float[np.ndarray, "moments out rows cols"] | Float[np.ndarray, "moments out rows cols 3"]
    scale: Scale | None
    said: str
    limit: float

    def panel(self, moment: int, channel: int, label: str = "") -> TilePanel:
        """One filter at one moment."""
        return TilePanel(self.values[moment, [channel]], self.scale, label=label)

    def difference(self, channel: int) -> TilePanel:
        """A filter at the last moment less itself at the first, on the same scale: around grey where weights are colours."""
        change = self.values[-1, [channel]] - self.values[0, [channel]]
        if self.scale is None:
            return TilePanel(np.clip(0.5 + change, 0, 1))
        # Norms are not negative, but their difference may be.
        signed = self.scale if self.scale.kind is Kind.DIVERGING else Scale.symmetric([[self.limit]], label=f"change of {self.scale.label}")
        return TilePanel(change, signed)


def tiles(timeline: Timeline, layer: str, deep: Deep = Deep.PCA) -> Tiles:
    """The `Tiles` of a layer's filters. Raises Unsupported where weights hold NaN or infinite values.

    RGB for layers that see red, green and blue; signed for filters of one input; deep ones as ``deep`` says. The colours of PCA and NMF
    are the same three groups of inputs at all moments, found from all of them together.
    """
    weights = timeline.weights[layer]
    if not np.isfinite(weights).all():
        bad = next(name for name, one in zip(timeline.names, weights, strict=True) if not np.isfinite(one).all())
        raise Unsupported(f"the weights of '{layer}' hold NaN or infinite values at {bad}, which no colour stands for")
    inputs, rows, cols = weights.shape[2:]
    if layer in timeline.coloured and inputs == 3:
        return _coloured(layer, np.moveaxis(weights, 2, 4), "the weights of red, green and blue, grey = 0")
    if inputs == 1:
        return _signed(layer, weights[:, :, 0], "the weights")
    if rows * cols == 1:
        return _signed(layer, _spread(weights[..., 0, 0]), "the weights of the inputs, line by line")
    if deep is Deep.NORM:
        norms = np.sqrt(np.square(weights, dtype=np.float64).sum(axis=2))
        scale = Scale.positive([norms], label="norm over the inputs")
        return Tiles(layer, norms, scale, f"the norm over {inputs} inputs at each place", float(scale.high))
    together = Kernels(layer, "Conv2d", weights.reshape(-1, inputs, rows, cols))
    found = factors.of(together, Factoring(deep.value))
    parts = found.parts.reshape(*weights.shape[:2], rows, cols, factors.COLOURS)
    said = f"{inputs} inputs grouped into red, green and blue by {deep.value.upper()}, {found.explained:.0%} of the energy, grey = 0"
    return _coloured(layer, parts, said)


def _coloured(layer: str, signed: Float[np.ndarray, "moments out rows cols 3"], said: str) -> Tiles:
    limit = float(np.abs(signed).max()) or 1.0
    values = np.clip(0.5 + 0.5 * signed.astype(np.float64) / limit, 0, 1)
    return Tiles(layer, values, None, f"{said}, full colour = \u00b1{number(limit)}", limit)


def _signed(layer: str, values: Float[np.ndarray, "moments out rows cols"], said: str) -> Tiles:
    scale = Scale.symmetric([values], label="weight")
    return Tiles(
        layer,
        values.astype(np.float64),
        scale,
        f"{said}, from \u2212{number(float(scale.high))} to {number(float(scale.high))}",
        float(scale.high),
    )


def _spread(weights: Float[np.ndarray, "moments out in"]) -> Float[np.ndarray, "moments out rows cols"]:
    """The inputs of a filter of one place as a square, the rest NaN."""
    inputs = weights.shape[2]
    width = math.ceil(math.sqrt(inputs))
    high = math.ceil(inputs / width)
    flat = np.full((*weights.shape[:2], width * high), np.nan)
    flat[..., :inputs] = weights
    return flat.reshape(*weights.shape[:2], high, width)
