"""Whether a map of a unit can be made at a layer: the layer has places, and comes before the unit's."""

from __future__ import annotations

from interp.core.layout import Vector
from interp.core.model import Model
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


def before(model: Model, name: str) -> str:
    """The nearest valid choices: layers with places that fire before ``name``."""
    fired = model.layers[: model.layers.index(model.layer(name))]
    placed = [layer for layer in fired if layer.layout is not None and not isinstance(layer.layout, Vector)]
    earlier = [f"'{layer.name}'" for layer in placed if layer.map_shape[1:] != (1, 1)]
    if not earlier:
        return "no layer before it has places"
    return "choose an earlier layer, such as " + " or ".join(earlier[:-3:-1])
