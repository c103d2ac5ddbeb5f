"""The weights of a layer's units as colour pictures, and the sentence that says what their colours mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from interp import kernels
from interp.core.model import Model
from interp.errors import InterpError
from interp.kernels import Kernels, Scale, factors
from interp.kernels.factors import Factoring, Factors

# Pixels of the longer side of a picture, at most where a weight has more than one.
_SIDE = 64
# Inputs that are named of each colour.
_NAMED = 3
_COLOURS = ("red", "green", "blue")
_METHODS = {Factoring.PCA: "principal component analysis", Factoring.NMF: "non-negative matrix factorization"}


@dataclass(frozen=True, eq=False)
class Filters:
    """``pictures``, one per channel, whole pixels to a weight; ``text`` says what is seen in all of them."""

    pictures: UInt8[np.ndarray, "channels rows cols 3"]
    text: str


def of(model: Model, layer: str, by: Factoring = Factoring.PCA) -> Filters | None:
    """The filters of ``layer``: three inputs as colours, one in grey, others grouped into three colours ``by`` their weights.

    None where there is nothing to see: a layer without kernels, kernels of one place, filters that are not its channels or see
    several inputs of a group, weights that are not finite.
    """
    try:
        found = kernels.of(model, layer)
        if len(found) != model.layer(layer).channels or found.weights.shape[2:] == (1, 1):
            return None
        if not np.isfinite(found.limit):
            return None
        drawn, text = _drawn(found, by)
    except InterpError:
        return None
    repeat = max(1, _SIDE // max(drawn.shape[1:3]))
    pictures: np.ndarray = np.rint(drawn * 255).astype(np.uint8).repeat(repeat, axis=1).repeat(repeat, axis=2)
    return Filters(pictures, text)


def _drawn(found: Kernels, by: Factoring) -> tuple[np.ndarray, str]:
    inputs = found.weights.shape[1]
    if inputs == 1:
        planes = found.weights[:, 0]
        limits = np.abs(planes).max(axis=(1, 2), keepdims=True)
        grey = 0.5 + 0.5 * planes / np.where(limits > 0, limits, 1)
        return np.repeat(grey[..., None], 3, axis=3), "The weights of its one input: grey is zero, lighter is positive, darker negative."
    if inputs == 3 and found.groups == 1:
        return found.rgb(Scale.FILTER), "The weights of its three inputs as red, green and blue; grey is zero."
    grouped = factors.of(found, by)
    return grouped.rgb(), _said(grouped, inputs, by)


def _said(grouped: Factors, inputs: int, by: Factoring) -> str:
    strongest = [np.argsort(-np.abs(parts), kind="stable")[:_NAMED] for parts in grouped.channels if parts.any()]
    named = "; ".join(
        f"{colour} {', '.join(_signed(int(k), parts[k]) for k in found)}"
        for colour, found, parts in zip(_COLOURS, strongest, grouped.channels, strict=False)
    )
    return (
        f"The {inputs} inputs grouped into three colours, the same for the whole layer, by {_METHODS[by]} of its weights: how much of "
        f"each group is at a place, grey for none. The three hold {100 * grouped.explained:.0f} % of the layer's squared weights. "
        f"Inputs that weigh most: {named}."
    )


def _signed(channel: int, weight: float) -> str:
    return f"{channel}" if weight >= 0 else f"{channel} (against)"
