"""Whether a map of a unit can be made at a layer: the layer has places, comes before the unit's, and the unit's score depends on it."""

from __future__ import annotations

import torch
from torch import Tensor

from interp.core.layout import Vector
from interp.core.model import Model
from interp.core.score import Scores
from interp.core.unit import Unit
from interp.errors import Unsupported


def placed(model: Model, name: str) -> None:
    """Raise UnknownName where there is no such layer, Unsupported where it has no places."""
    layer = model.layer(name)
    _ = layer.map_shape
    if isinstance(layer.layout, Vector):
        raise Unsupported(f"layer '{name}' ({layer.kind}) gives a vector, which has no places: {before(model, name)}")


def check(model: Model, unit: Unit, name: str, title: str) -> None:
    """Raise UnknownName where there is no such layer, Unsupported where it has no places or does not fire before the unit's."""
    placed(model, name)
    if name == unit.layer:
        raise Unsupported(f"no {title} of '{unit}' at '{name}', the unit's own layer: {before(model, unit.layer)}")
    if model.layers.index(model.layer(name)) > model.layers.index(model.layer(unit.layer)):
        raise Unsupported(f"no {title} of '{unit}' at '{name}', which fires after the unit's layer: {before(model, unit.layer)}")


@torch.no_grad()
def apart(model: Model, unit: Unit, name: str, title: str) -> Unsupported:
    """What to raise where ``unit`` has no gradient at the layer ``name``: it is on another branch, or nothing has any."""
    if not differentiable(model, unit):
        return Unsupported(f"no {title} of '{unit}': {detached(unit)}")
    return Unsupported(f"no {title} of '{unit}' at '{name}', on which the unit does not depend: {before(model, name)}")


def differentiable(model: Model, unit: Unit) -> bool:
    """Whether the score of ``unit`` has a gradient in the picture at all, by one picture of the mean colour."""
    colour = torch.tensor(model.preprocess.mean, device=model.device).view(1, -1, 1, 1)
    with torch.inference_mode(False), torch.enable_grad():
        image = model.checked(colour.clamp(0, 1).expand(1, -1, *model.preprocess.size)).clone().requires_grad_()
        scores: Tensor = Scores(model, [unit])(image)
    return scores.requires_grad


def is_cut(error: RuntimeError) -> bool:
    """Whether autograd says that what was asked for has no part in the score."""
    return "appears to not have been used in the graph" in str(error) or "does not require grad" in str(error)


def detached(unit: Unit) -> str:
    """Why a unit has no gradient anywhere, and what may be the cause."""
    return (
        f"the score of '{unit}' does not depend differentiably on the picture; something on the way to it cuts the gradient, such as "
        "torch.no_grad, .detach(), .item(), argmax, or numpy: take it out of the network's forward, or of the target"
    )


def before(model: Model, name: str) -> str:
    """The nearest valid choices: layers with places that fire before ``name``."""
    fired = model.layers[: model.layers.index(model.layer(name))]
    placed = [layer for layer in fired if layer.layout is not None and not isinstance(layer.layout, Vector)]
    earlier = [f"'{layer.name}'" for layer in placed if layer.map_shape[1:] != (1, 1)]
    if not earlier:
        return "no layer before it has places"
    return "choose an earlier layer, such as " + " or ".join(earlier[:-3:-1])
