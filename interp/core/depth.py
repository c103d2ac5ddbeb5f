"""Which layers to look at when none are named: a few, spread over the depth of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import torch

from interp.core.layout import Tokens, Vector
from interp.core.model import Layer, Model
from interp.errors import InterpError, Unsupported

T = TypeVar("T")

# Containers that only string others together: their output is their last child's.
_PLAIN = ("Sequential", "ModuleList", "ModuleDict")


def spread(model: Model, count: int = 6) -> list[Layer]:
    """``count`` layers with maps of more than one place, evenly over the depth, the first stage and the last included.

    Outputs of repeated blocks (residual blocks, encoder blocks, conv-BN-ReLU blocks) are preferred, as what is
    passed on from one part of a network to the next; in networks without blocks, what follows each convolution.
    The last block of a transformer with a class token is left out: its patches no longer reach the classes.
    """
    candidates = _blocks(model) or _behind_convolutions(model)
    if not candidates:
        raise Unsupported(_placeless(model))
    stem = _stem(model)
    if stem is not None and not any(c.name == stem.name or stem.name.startswith(c.name + ".") for c in candidates):
        candidates.insert(0, stem)
    if len(candidates) > 1 and isinstance(candidates[-1].layout, Tokens) and candidates[-1].layout.prefix:
        candidates.pop()
    return evenly(candidates, count)


def _placeless(model: Model) -> str:
    """Why no layer can be chosen: the images are too small for more than one place, or the network has none by its making."""
    size = "{} x {}".format(*model.preprocess.size)
    if any(layer.layout is not None and not isinstance(layer.layout, Vector) for layer in model.layers):
        return (
            f"no layer of '{model.spec.reference}' with weights has more than one place on images of {size} px, too small for it: "
            "give more with --input-size ROWS COLS"
        )
    return (
        f"no layer of '{model.spec.reference}' has places (rows and columns), so there are no maps at layers: methods that need no layer "
        "work, such as `interp attribute --methods saliency occlusion`"
    )


def evenly(items: Sequence[T], count: int) -> list[T]:
    """``count`` of ``items``, or all, the first and the last among them; the last alone where one is wanted."""
    if len(items) <= count:
        return list(items)
    last = len(items) - 1
    return [items[round(k * last / (count - 1))] for k in range(count)] if count > 1 else [items[-1]]


def kernel_layer(model: Model, layer: str) -> Layer:
    """The layer whose weights made ``layer``'s output: itself, the last one inside it, or the last fired before it.

    Inside a block, kernels wider than 1x1 are preferred, since they are what can be looked at.
    """
    weighted = [candidate for candidate in model.layers if has_kernel(model, candidate)]
    inside = [c for c in weighted if c.name == layer or c.name.startswith(layer + ".")]
    wide = [c for c in inside if _extent(model, c) > 1]
    if inside:
        return (wide or inside)[-1]
    place = model.layers.index(model.layer(layer))
    before = [c for c in weighted if model.layers.index(c) < place]
    if not before:
        raise InterpError(f"no layer with kernels fires before '{layer}' in '{model.spec.reference}'")
    return before[-1]


def has_kernel(model: Model, layer: Layer) -> bool:
    """Whether the layer is a single module with a weight of two dimensions (Linear) or four (convolution)."""
    weight = getattr(model.module.get_submodule(layer.name), "weight", None)
    return layer.leaf and weight is not None and weight.ndim in (2, 4) and not layer.kind.startswith("Embedding")


def _extent(model: Model, layer: Layer) -> int:
    weight = model.module.get_submodule(layer.name).weight
    assert isinstance(weight, torch.Tensor)
    return max(weight.shape[2:], default=1)


def _mapped(layer: Layer) -> bool:
    if layer.layout is None or isinstance(layer.layout, Vector):
        return False
    _, rows, cols = layer.map_shape
    return rows * cols > 1


def _blocks(model: Model) -> list[Layer]:
    """Outermost containers of a class that occurs at least three times and holds weights."""
    containers = [layer for layer in model.layers if not layer.leaf and layer.kind not in _PLAIN and layer.parameters and _mapped(layer)]
    counts = Counter(layer.kind for layer in containers)
    repeated = [layer for layer in containers if counts[layer.kind] >= 2]
    if sum(counts[kind] for kind in {layer.kind for layer in repeated}) < 3:
        return []
    return [b for b in repeated if not any(b is not o and b.name.startswith(o.name + ".") for o in repeated)]


def _stem(model: Model) -> Layer | None:
    """What leaves the first convolution and its activation, before the first block."""
    first = next((k for k, layer in enumerate(model.layers) if has_kernel(model, layer) and _mapped(layer)), None)
    if first is None:
        return None
    for follower in model.layers[first + 1 : first + 3]:
        if _activates(follower) and follower.calls == 1 and _mapped(follower):
            return follower
    return model.layers[first]


def _behind_convolutions(model: Model) -> list[Layer]:
    found: list[Layer] = []
    layers = model.layers
    for place, layer in enumerate(layers):
        if not (has_kernel(model, layer) and _mapped(layer)):
            continue
        behind = next((f for f in layers[place + 1 : place + 3] if _activates(f) and f.calls == 1 and _mapped(f)), None)
        found.append(behind or layer)
    return list(dict.fromkeys(found))


def _activates(layer: Layer) -> bool:
    return (
        layer.leaf
        and layer.parameters == 0
        and any(part in layer.kind for part in ("ReLU", "GELU", "SiLU", "Hardswish", "Sigmoid", "Tanh", "ELU", "Mish"))
    )
