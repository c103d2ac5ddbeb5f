"""Where a layer's answers are read: behind the normalization and the activation that follow it directly."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from interp.core.graph import edges
from interp.core.model import Model


def read_at(model: Model, layers: Sequence[str]) -> dict[str, str]:
    """Where the answers of each layer's filters are read: behind the BatchNorm and activation that follow it directly, else at the layer.

    Raises UnknownName where a layer does not fire.
    """
    behind = {layer: _behind(model, layer) for layer in layers}
    joined = edges(model, list(dict.fromkeys([*behind, *behind.values()]))) if behind else ()
    return {layer: best if (layer, best) in joined else layer for layer, best in behind.items()}


def _behind(model: Model, layer: str) -> str:
    """The last of what fires next, as far as it looks like BatchNorm and activation of ``layer``; the layer itself where there is none."""
    names = [one.name for one in model.layers]
    own = model.layer(layer)
    best = layer
    for follower in model.layers[names.index(layer) + 1 :]:
        kind = model.module.get_submodule(follower.name)
        normal = isinstance(kind, nn.modules.batchnorm._BatchNorm)
        active = follower.parameters == 0 and type(kind).__module__ == nn.ReLU.__module__
        same = follower.leaf and follower.calls == 1 and follower.layout == own.layout and follower.shape == own.shape
        if not (same and (normal or active)):
            break
        best = follower.name
        if active:
            break
    return best
