"""Grad-CAM (Selvaraju et al. 2017) at many layers by one forward and one backward.

Maps are signed: the ReLU of the paper's equation 2 is ``heatmap.positive``. `cams` has the kinds that came after it.

In the last block of a vision transformer that reads its class token, the score depends on no patch token of the
block's output: the gradient is exactly zero there and so is the map, which says so (`Fault.CLASS_TOKEN_ONLY`). Ask for
a layer before the last attention instead, such as the last block's first norm, or the output of the block before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from interp.attribution import onepass
from interp.attribution.onepass import CAM
from interp.core.method import Heatmap
from interp.core.model import Model
from interp.core.unit import AnyUnit

METHOD = "Grad-CAM"


@dataclass(frozen=True)
class GradCAM(CAM):
    """Grad-CAM at one layer: ``sum_k w_k A_k`` with ``w_k`` the mean over places of d score / d A_k; in the score's unit."""

    name: ClassVar[str] = "gradcam"
    title: ClassVar[str] = METHOD
    source: ClassVar[str] = "Selvaraju et al. 2017"
    by_channel: ClassVar[bool] = True

    @staticmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        return (gradient.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1)


def of(model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit], layers: Sequence[str]) -> list[dict[str, Heatmap]]:
    """Raw Grad-CAM of one unit per image at each of ``layers``: one {layer: Heatmap} per image, in the orders given.

    The map is ``sum_k w_k A_k`` (rows, cols), with A the layer's maps and ``w_k`` the mean over places of d score /
    d A_k. Its unit is that of the score. The score is a class's logit (a unit of the last layer), the mean over
    places of any layer's channel, or one neuron of it (``unit.at``), of which the map is not kept to what is seen at its place, and
    says so (`Fault.BEYOND_PLACE`). Units may differ from image to image, in their layers too; a class may go by its number or name,
    a unit as it is written. See `onepass.of` for what else holds.

    The model, the images and their ``.grad`` are left as they were; the values are no part of any graph.

    Raises UnknownName where a layer or unit does not exist; Unsupported where a layer has no places, or a unit does
    not depend on it; InterpError where the images are no [0, 1] batch or the units not one per image.
    """
    found = onepass.of(model, images, units, layers, [GradCAM])
    return [{layer: heatmap for (_, layer), heatmap in maps.items()} for maps in found]
