"""What is compared when nothing is named: methods and layers that suit the network, at a price that a laptop can pay."""

from __future__ import annotations

from collections.abc import Sequence

from interp.attribution import attention, cams
from interp.attribution.registry import method
from interp.comparisons.contenders import Contender, Limits, contenders
from interp.core.choices import Choice, refuse_same
from interp.core.depth import evenly, spread
from interp.core.method import Family, Method, Place
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.report.compose import explainable

_PIXELS = ("saliency", "smoothgrad", "input-x-gradient", "integrated-gradients")
_CONVOLUTIONAL = ("guided-backprop",)
_TRANSFORMER = ("attention-rollout", "gradient-rollout")
_REST = ("occlusion", "feature-ablation", "gradcam", "gradcam++", "hirescam", "layercam")
DEPTHS = 5


def methods(model: Model) -> list[Choice[Method]]:
    """About ten of all families."""
    special = _TRANSFORMER if attention.layers(model) else _CONVOLUTIONAL
    return [method(name) for name in (*_PIXELS, *special, *_REST)]


def layers_for(model: Model, patterns: Sequence[str], units: Sequence[Unit], count: int = DEPTHS) -> list[str]:
    """The layers named, or ``count`` over the depth at which every unit can be explained; shallow to deep.

    Raises Unsupported where no layer of the network has places.
    """
    if patterns:
        found = [layer.name for layer in model.select(patterns)]
        for name in found:
            _ = model.layer(name).map_shape
        return found
    names = [layer.name for layer in spread(model, len(model.layers))]
    for unit in dict.fromkeys(units):
        names = explainable(model, names, unit)
    return evenly(names, count)


def contending(
    model: Model, asked: Sequence[Choice[Method]], patterns: Sequence[str], units: Sequence[Unit], limits: Limits
) -> tuple[list[Contender], list[str]]:
    """Who competes, and the layers at which they do, shallow to deep.

    Every method that works at a layer is tried at each layer that was named; where none was named, those kinds that come from
    one pass over the depth, the others at the deepest layer only.
    """
    choices = list(asked) or methods(model)
    needing = [choice for choice in choices if choice.kind.place is Place.LAYER and "layer" not in dict(choice.options)]
    layers: list[str] = []
    if needing or patterns:
        try:
            layers = layers_for(model, patterns, units)
        except Unsupported:
            # What was not named is left out with its layers.
            if asked or patterns:
                raise
    if needing and not layers and asked:
        name, order = needing[0].kind.name, [layer.name for layer in model.layers]
        first = min((unit.layer for unit in units), key=order.index)
        raise InterpError(f"the method '{name}' works at a layer that fires before '{first}': name one with --layers")
    found: list[Contender] = []
    for choice in choices:
        anywhere = patterns or choice.kind in cams.FAMILY
        deepest = layers if anywhere else layers[-1:]
        places = _attending(model, patterns) or deepest if choice.kind.family is Family.ATTENTION else deepest
        found += contenders([choice], places, limits, named=bool(asked))
    found = list(dict.fromkeys(found))
    refuse_same((contender.label for contender in found), "method")
    used = {contender.layer for contender in found}
    return found, [layer.name for layer in model.layers if layer.name in used]


def _attending(model: Model, patterns: Sequence[str]) -> list[str]:
    """Where attention can be read: those of the layers named, or up to `DEPTHS` over the depth."""
    known = attention.layers(model)
    if patterns:
        return [layer.name for layer in model.select(patterns) if layer.name in known] or [layer.name for layer in model.select(patterns)]
    return evenly(known, DEPTHS)
