"""Grad-CAM (Selvaraju et al. 2017) at many layers by one forward and one backward.

The forward ends at the deepest layer needed; one ``torch.autograd.grad`` gives the gradients of all layers. Maps
are signed: the ReLU of the paper's equation 2 is ``heatmap.positive``.

In the last block of a vision transformer that reads its class token, the score depends on no patch token of the
block's output: the gradient is exactly zero there and so is the map (`is_zero` tells). Ask for a layer before the
last attention instead, such as the last block's first norm, or the output of the block before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from interp.core.layout import Vector
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units, score_of
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported

METHOD = "Grad-CAM"


@dataclass(frozen=True)
class GradCAM:
    """Grad-CAM at one layer, as a `Method`: what the metrics are given."""

    name: ClassVar[str] = "gradcam"
    title: ClassVar[str] = METHOD
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.CAM
    source: ClassVar[str] = "Selvaraju et al. 2017"

    layer: str

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the layer's maps; see `of`."""
        return [maps[self.layer] for maps in of(model, images, units, [self.layer])]


def of(model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], layers: Sequence[str]) -> list[dict[str, Heatmap]]:
    """Raw Grad-CAM of one unit per image at each of ``layers``: one {layer: Heatmap} per image, in the orders given.

    The map is ``sum_k w_k A_k`` (rows, cols), with A the layer's maps and ``w_k`` the mean over places of d score /
    d A_k. Its unit is that of the score. The score is a class's logit (a unit of the last layer), the mean over
    places of any layer's channel, or one neuron of it (``unit.at``). Units may differ from image to image, in their
    layers too: it is the sum of the images' scores that is differentiated, so images must not influence each other
    (a BatchNorm without running statistics makes them). Tokens and channels-last layers are seen as their maps; of a
    module called several times, the last call counts.

    The model, the images and their ``.grad`` are left as they were; the values are no part of any graph.

    Raises UnknownName where a layer or unit does not exist; Unsupported where a layer has no places, or a unit does
    not depend on it; InterpError where the images are no [0, 1] batch or the units not one per image.
    """
    images = model.checked(images)
    names = _layers(model, layers)
    units = checked_units(model, units, len(images))
    for unit in dict.fromkeys(units):
        _refuse_later(model, unit, names)
    deep = list(dict.fromkeys(unit.layer for unit in units))
    # A caller's inference_mode would leave no graph to differentiate.
    with torch.inference_mode(False):
        batch = images.clone() if images.is_inference() else images
        outputs, _ = model.capture([*names, *deep], batch, truncate=True, gradients=True)
        for name in {*names, *deep} - outputs.keys():
            raise Unsupported(f"layer '{name}' did not fire for these images, though it did when the model was loaded")
        _refuse_apart(model, units, {name: outputs[name] for name in names}, {layer: outputs[layer] for layer in deep})
        scored = {layer: model.maps(layer, outputs[layer]) for layer in deep}
        score = torch.stack([score_of(scored[unit.layer][i], unit) for i, unit in enumerate(units)]).sum()
        gradients = torch.autograd.grad(score, [outputs[name] for name in names])
    maps = {name: _map(model, name, outputs[name], gradient) for name, gradient in zip(names, gradients, strict=True)}
    return [{name: Heatmap(frozen(maps[name][i]), unit, METHOD, name) for name in names} for i, unit in enumerate(units)]


def is_zero(heatmap: Heatmap) -> bool:
    """Whether every value is exactly zero: no place of the layer speaks for or against the unit.

    So it is where the score's gradient does not reach the layer's places: patch tokens in the last block of a
    transformer read at its class token, or behind ReLUs that are all off. Such a map is no evidence of anything.
    """
    return not np.any(heatmap.values)


def _layers(model: Model, layers: Sequence[str]) -> list[str]:
    if isinstance(layers, str) or not layers:
        raise InterpError(f"`layers` is {layers!r}: give a sequence of layer names, at least one")
    names = list(dict.fromkeys(layers))
    for name in names:
        layer = model.layer(name)
        _ = layer.map_shape
        if isinstance(layer.layout, Vector):
            raise Unsupported(f"layer '{name}' ({layer.kind}) gives a vector, which has no places: {_before(model, name)}")
    return names


def _refuse_later(model: Model, unit: Unit, names: Sequence[str]) -> None:
    order = {layer.name: i for i, layer in enumerate(model.layers)}
    for name in names:
        if name == unit.layer:
            raise Unsupported(f"no Grad-CAM of '{unit}' at '{name}', the unit's own layer: {_before(model, unit.layer)}")
        if order[name] > order[unit.layer]:
            raise Unsupported(f"no Grad-CAM of '{unit}' at '{name}', which fires after the unit's layer: {_before(model, unit.layer)}")


def _refuse_apart(model: Model, units: Sequence[Unit], asked: dict[str, Tensor], deep: dict[str, Tensor]) -> None:
    """Refuse layers that fire before a unit's layer but on another branch: their gradient is not defined, rather than zero."""
    for layer, output in deep.items():
        reached = _ancestors(output)
        for name, tensor in asked.items():
            edge = get_gradient_edge(tensor)
            if (edge.node, edge.output_nr) not in reached:
                unit = next(u for u in units if u.layer == layer)
                raise Unsupported(f"no Grad-CAM of '{unit}' at '{name}', on which the unit does not depend: {_before(model, layer)}")


def _ancestors(output: Tensor) -> set[tuple[Any, int]]:
    """Every edge (node, output number) of the autograd graph that ``output`` was computed from."""
    start = get_gradient_edge(output)
    edges: set[tuple[Any, int]] = set()
    nodes, left = {start.node}, [start.node]
    while left:
        for node, number in left.pop().next_functions:
            if node is None:
                continue
            edges.add((node, number))
            if node not in nodes:
                nodes.add(node)
                left.append(node)
    return edges


def _before(model: Model, name: str) -> str:
    """The nearest valid choices: layers with places that fire before ``name``."""
    fired = model.layers[: model.layers.index(model.layer(name))]
    placed = [layer for layer in fired if layer.layout is not None and not isinstance(layer.layout, Vector)]
    earlier = [f"'{layer.name}'" for layer in placed if layer.map_shape[1:] != (1, 1)]
    if not earlier:
        return "no layer before it has places"
    return "choose an earlier layer, such as " + " or ".join(earlier[:-3:-1])


def _map(model: Model, name: str, output: Tensor, gradient: Tensor) -> Float[np.ndarray, "n rows cols"]:
    activations = model.maps(name, output.detach()).float()
    weights = model.maps(name, gradient).float().mean(dim=(2, 3), keepdim=True)
    values: np.ndarray = (weights * activations).sum(dim=1).cpu().numpy()
    return values
