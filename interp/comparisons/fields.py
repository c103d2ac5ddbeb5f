"""Receptive fields: what a unit can see, and what it looks at, which is less (Luo, Li, Urtasun & Zemel 2016, 1701.04128)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from interp.comparisons.scaling import number
from interp.core.depth import evenly
from interp.core.model import Model
from interp.figures import Grid, MapPanel, Scale
from interp.figures.palette import as_bytes, colors, nearest

CHANNELS = 8
"""Units of a layer that are asked, evenly over it."""
ENERGY = 0.5
"""The share of the gradient that the side of an effective field is told of."""

_WIDE = 144  # pixels of a field on the slider, about


@dataclass(frozen=True, eq=False)
class Field:
    """What the units in the middle of ``layer`` look at: the share of their gradient at each pixel, all together 1 (0 where it is 0).

    ``theory``: (rows, cols) that such a unit can see, of which ``inside`` lie in the picture.
    """

    layer: str
    theory: tuple[int, int]
    inside: tuple[int, int]
    share: Float[np.ndarray, "rows cols"]

    @property
    def side(self) -> float:
        """The side of a square of as many pixels as hold `ENERGY`, half, of the gradient, the strongest first; 0 where there is none."""
        ordered = np.sort(self.share, axis=None)[::-1].cumsum()
        return float(np.sqrt(np.searchsorted(ordered, ENERGY * ordered[-1]) + 1)) if ordered[-1] > 0 else 0.0


def field(model: Model, images: Float[Tensor, "n c rows cols"], layer: str) -> Field:
    """The `Field` of ``layer``: the mean over [0, 1] ``images``, over `CHANNELS` units and over colours, of the gradient's magnitude.

    Raises Unsupported where the layer has no maps. The model is left as it was.
    """
    shape = model.layer(layer).map_shape
    given = model.checked(images).clone().requires_grad_()
    outputs, _ = model.capture([layer], given, truncate=True, gradients=True)
    maps = model.maps(layer, outputs[layer])
    middle = maps[:, :, shape[1] // 2, shape[2] // 2].sum(dim=0)
    total = torch.zeros(given.shape[2:], dtype=torch.float64)
    for channel in evenly(range(shape[0]), CHANNELS):
        (gradient,) = torch.autograd.grad(middle[channel], given, retain_graph=True, allow_unused=True)
        if gradient is not None:
            total += gradient.abs().sum(dim=(0, 1)).double().cpu()
    share = total.numpy() / (float(total.sum()) or 1.0)
    picture = (int(given.shape[2]), int(given.shape[3]))
    known = model.layer(layer).field
    theory = picture if known is None or known.whole else known.size
    return Field(layer, theory, _inside(model, layer, picture), share)


def _inside(model: Model, layer: str, picture: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the ``picture`` that the unit in the middle can see."""
    one = model.layer(layer)
    found = one.field
    if found is None or found.whole:
        return picture
    sides = []
    for at, size, stride, start, whole in zip(one.map_shape[1:], found.size, found.stride, found.start, picture, strict=True):
        centre = start + (at // 2) * stride
        low, high = centre - (size - 1) / 2, centre + (size - 1) / 2
        sides.append(round(min(high, whole - 1) - max(low, 0)) + 1)
    return sides[0], sides[1]


def fields(found: Mapping[str, Sequence[Field]], names: Sequence[str], title: str) -> Grid:
    """Layers (rows) by moments (columns): where the gradient goes, per cent of it at each pixel; one scale for all moments of a layer."""
    rows = []
    for own in found.values():
        scale = Scale.positive([100 * one.share for one in own], label="of the gradient, %")
        rows.append(tuple(MapPanel(100 * one.share, scale, label=f"half in {_side(one)} px") for one in own))
    headers = tuple(f"{layer}\n{_sees(own[0])}" for layer, own in found.items())
    return Grid(tuple(rows), headers, tuple(names), title, panel_size=1.25)


def frames(found: Mapping[str, Sequence[Field]]) -> UInt8[np.ndarray, "moments h w 3"]:
    """The layers side by side at each moment, in the colours of `fields`."""
    scales = {layer: Scale.positive([100 * one.share for one in own]) for layer, own in found.items()}
    moments = []
    for at in zip(*found.values(), strict=True):
        rows, cols = at[0].share.shape
        times = max(1, _WIDE // rows)
        shown = [nearest(colors(100 * one.share, scales[one.layer]), rows * times, cols * times) for one in at]
        gap = np.ones((rows * times, 4, 3))
        moments.append(as_bytes(np.concatenate([piece for one in shown for piece in (one, gap)][:-1], axis=1)))
    return np.stack(moments)


def _side(one: Field) -> str:
    side = number(round(one.side, 1))
    return f"{side} x {side}"


def _sees(one: Field) -> str:
    cut = "" if one.inside == one.theory else f",\n{one.inside[0]} x {one.inside[1]} of them here"
    return f"sees {one.theory[0]} x {one.theory[1]} px{cut}"


def arrays(found: Mapping[str, Sequence[Field]]) -> dict[str, np.ndarray]:
    """``fields/LAYER`` (moments, rows, cols)."""
    return {f"fields/{layer}": np.stack([one.share for one in own]) for layer, own in found.items()}


def numbers(found_by_layer: Mapping[str, Sequence[Field]]) -> dict[str, object]:
    """For ``metrics.json``, in pixels: what units of each layer see, and at each moment the side of what holds half of the gradient."""
    found: dict[str, object] = {}
    for layer, own in found_by_layer.items():
        sides = [one.side for one in own]
        found[layer] = {"sees": list(own[0].theory), "in_the_picture": list(own[0].inside), "side_of_half": sides}
    return found
