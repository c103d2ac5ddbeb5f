"""Class activation maps of many kinds at many layers by one forward and one backward.

A CAM is a formula over a layer's maps and, for most kinds, the score's gradient there. The forward ends at the deepest
layer needed and records a graph only from the earliest layer asked for; one ``torch.autograd.grad`` gives the gradients of
all layers, and every kind reads the same two arrays.

In the last block of a vision transformer that reads its class token, the score depends on no patch token of the block's
output: the gradient is exactly zero there and so are the maps, which then carry `Fault.CLASS_TOKEN_ONLY`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from interp.attribution import places
from interp.attribution.degeneration import beyond_place, class_token_only, of_values
from interp.core.layout import Tokens
from interp.core.memory import by_parts
from interp.core.method import Degeneration, Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units, score_of
from interp.core.unit import AnyUnit, Unit
from interp.errors import InterpError, Unsupported


@dataclass(frozen=True)
class CAM(ABC):
    """A kind of class activation map at one layer, as a `Method`: what the metrics are given.

    ``values`` is the formula. ``needs_gradient``: whether it reads the score's gradient; a kind that does not says nothing
    about the unit. ``by_channel``: whether the gradient gives each channel one weight, over all places.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.CAM
    needs_gradient: ClassVar[bool] = True
    by_channel: ClassVar[bool] = False

    layer: str

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the layer's maps; see `of` for what is raised."""
        return [maps[self.name, self.layer] for maps in of(model, images, units, [self.layer], [type(self)])]

    @staticmethod
    @abstractmethod
    def values(activations: Float[Tensor, "n c rows cols"], gradient: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n rows cols"]:
        """Signed maps from a layer's maps and the score's gradient there; ``gradient`` is zeros where none is needed."""

    @staticmethod
    def cancels(activations: Float[Tensor, "c rows cols"], gradient: Float[Tensor, "c rows cols"]) -> Degeneration | None:
        """Why one image's map is nothing but rounding, where this kind has a way to become so."""
        return None


@dataclass(frozen=True, eq=False)
class _Reading:
    """What all kinds read at one layer. ``class_token_only``: the images whose gradient is zero at every place but not before them."""

    activations: Float[Tensor, "n c rows cols"]
    gradient: Float[Tensor, "n c rows cols"]
    class_token_only: tuple[bool, ...]


def of(
    model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit], layers: Sequence[str], kinds: Sequence[type[CAM]]
) -> list[dict[tuple[str, str], Heatmap]]:
    """Raw maps of one unit per image, of every kind at every layer: one {(kind's name, layer): Heatmap} per image.

    Keys are in the orders given, kinds first. The score is a class's logit (a unit of the last layer), the mean over
    places of any layer's channel, or one neuron of it (``unit.at``). Units may differ from image to image, in their layers
    too: it is the sum of the images' scores that is differentiated, so images must not influence each other (a BatchNorm
    without running statistics makes them). Tokens and channels-last layers are seen as their maps; of a module called
    several times, the last call counts.

    Values are signed, float32, read-only, and hold no graph and no larger array; a map that is no evidence says so in its
    ``degenerations``. The model, the images and their ``.grad`` are left as they were.

    Where no kind needs a gradient, none is computed and the layers may lie anywhere; otherwise each unit must depend on
    each layer.

    Raises UnknownName where a layer or unit does not exist; Unsupported where a layer has no places, or a unit does
    not depend on it; InterpError where the images are no [0, 1] batch, the units not one per image, or a sequence is empty.
    """
    images = model.checked(images)
    kinds = _kinds(kinds)
    names = _layers(model, layers)
    asked = checked_units(model, units, len(images))
    differentiated = next((kind.title for kind in kinds if kind.needs_gradient), "")
    # A caller's inference_mode would leave no graph to differentiate.
    with torch.inference_mode(False):
        batch = images.clone() if images.is_inference() else images

        def explained(start: int, stop: int) -> list[dict[tuple[str, str], Heatmap]]:
            return _explained(model, batch[start:stop], asked[start:stop], names, kinds, differentiated)

        what = ("maps", tuple(names), tuple(dict.fromkeys(unit.layer for unit in asked)), bool(differentiated), tuple(images.shape[1:]))
        parts = by_parts(model, len(images), explained, what)
    return [maps for part in parts for maps in part]


def _explained(
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    names: Sequence[str],
    kinds: Sequence[type[CAM]],
    differentiated: str,
) -> list[dict[tuple[str, str], Heatmap]]:
    readings = _differentiated(model, images, units, names, differentiated) if differentiated else _forward(model, images, names)
    found: list[dict[tuple[str, str], Heatmap]] = [{} for _ in units]
    for kind in kinds:
        for name in names:
            for maps, heatmap in zip(found, _heatmaps(kind, name, readings[name], units), strict=True):
                maps[kind.name, name] = heatmap
    return found


def _heatmaps(kind: type[CAM], name: str, reading: _Reading, units: Sequence[Unit]) -> list[Heatmap]:
    batch: np.ndarray = kind.values(reading.activations, reading.gradient).cpu().numpy()
    maps = []
    for i, (values, unit) in enumerate(zip(batch, units, strict=True)):
        cause = (class_token_only(name),) if reading.class_token_only[i] and kind.needs_gradient else ()
        seen = of_values(values)
        cancelled = None if seen else kind.cancels(reading.activations[i], reading.gradient[i])
        beyond = beyond_place(unit) if kind.by_channel and unit.at is not None and values.size > 1 else None
        maps.append(Heatmap(frozen(values), unit, kind.title, name, degenerations=(*cause, *seen, *filter(None, [cancelled, beyond]))))
    return maps


def _forward(model: Model, images: Float[Tensor, "n c h w"], names: Sequence[str]) -> dict[str, _Reading]:
    with torch.no_grad():
        outputs = _captured(model, names, images, gradients=False)
    return {name: _reading(model, name, outputs[name], torch.zeros_like(outputs[name])) for name in names}


def _differentiated(
    model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], names: Sequence[str], title: str
) -> dict[str, _Reading]:
    for unit in dict.fromkeys(units):
        for name in names:
            places.check(model, unit, name, title)
    deep = list(dict.fromkeys(unit.layer for unit in units))
    # Parameters and images need no gradient, so that the graph begins at the earliest of the layers, not at the image.
    outputs = _captured(model, [*names, *deep], images, gradients=True)
    if len(deep) > 1:
        _refuse_apart(model, units, {name: outputs[name] for name in names}, {layer: outputs[layer] for layer in deep}, title)
    scored = {layer: model.maps(layer, outputs[layer]) for layer in deep}
    score = torch.stack([score_of(scored[unit.layer][i], unit) for i, unit in enumerate(units)]).sum()
    gradients = torch.autograd.grad(score, [outputs[name] for name in names], allow_unused=True)
    readings = {}
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            raise places.apart(model, units[0], name, title)
        readings[name] = _reading(model, name, outputs[name].detach(), gradient)
    return readings


def _captured(model: Model, names: Sequence[str], images: Float[Tensor, "n c h w"], *, gradients: bool) -> dict[str, Tensor]:
    outputs, _ = model.capture(names, images, truncate=True, gradients=gradients)
    for name in names:
        if name not in outputs:
            raise Unsupported(f"layer '{name}' did not fire for these images, though it did when the model was loaded")
    return outputs


def _reading(model: Model, name: str, output: Tensor, gradient: Tensor) -> _Reading:
    activations, gradients = model.maps(name, output).float(), model.maps(name, gradient).float()
    layout = model.layer(name).layout
    only = torch.zeros(len(output), dtype=torch.bool)
    if isinstance(layout, Tokens) and layout.prefix:
        before = gradient[:, : layout.prefix].ne(0).flatten(1).any(dim=1)
        only = (before & ~gradients.ne(0).flatten(1).any(dim=1)).cpu()
    return _Reading(activations, gradients, tuple(only.tolist()))


def _kinds(kinds: Sequence[type[CAM]]) -> list[type[CAM]]:
    if isinstance(kinds, type) or not kinds:
        given = kinds.__name__ if isinstance(kinds, type) else repr(kinds)
        raise InterpError(f"`kinds` is {given}: give a sequence of CAM classes, at least one, such as [GradCAM, LayerCAM]")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, CAM)):
            named = kind.__name__ if isinstance(kind, type) else type(kind).__name__
            raise Unsupported(
                f"'{named}' is no kind of CAM that one pass gives: give classes such as GradCAM, or call the method by itself"
            )
    return list(dict.fromkeys(kinds))


def _layers(model: Model, layers: Sequence[str]) -> list[str]:
    if isinstance(layers, str) or not layers:
        raise InterpError(f"`layers` is {layers!r}: give a sequence of layer names, at least one")
    names = list(dict.fromkeys(layers))
    for name in names:
        places.placed(model, name)
    return names


def _refuse_apart(model: Model, units: Sequence[Unit], asked: dict[str, Tensor], deep: dict[str, Tensor], title: str) -> None:
    """Refuse layers that fire before a unit's layer but on another branch: their gradient is not defined, rather than zero.

    Needed only where images have units of several layers: the gradient of the sum would hide it.
    """
    for layer, output in deep.items():
        reached = _ancestors(output)
        for name, tensor in asked.items():
            edge = get_gradient_edge(tensor)
            if (edge.node, edge.output_nr) not in reached:
                raise places.apart(model, next(u for u in units if u.layer == layer), name, title)


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
