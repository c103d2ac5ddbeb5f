"""One forward in which each chosen layer's maps are handed on the moment it fires, and none are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.capture import describe, hooked, quiet, tensor_of
from interp.core.model import Model
from interp.errors import Unsupported

OnMaps = Callable[[str, Float[Tensor, "n c rows cols"]], None]


class _Done(Exception):
    """Raised from a hook once every layer has fired: the rest of the network is not needed."""


def forward(model: Model, images: Float[Tensor, "n c h w"], layers: Sequence[str], on_maps: OnMaps) -> None:
    """``on_maps(layer, maps)`` for each of ``layers``, as they fire for [0, 1] ``images``; of a module called several times the last call.

    It is called before what comes behind the layer, so an in-place ReLU changes nothing, and must not keep or change the maps. The
    model is left as it was. Raises Unsupported where a layer gives no single tensor, or does not fire.
    """
    calls: Counter[str] = Counter()
    left = set(layers)

    def probe(name: str, output: Any) -> None:
        tensor = tensor_of(output)
        if tensor is None:
            raise Unsupported(f"layer '{name}' returns {describe(output)}, not one tensor: choose a layer inside or behind it")
        calls[name] += 1
        if calls[name] == model.layer(name).calls:
            on_maps(name, model.maps(name, tensor))
            left.discard(name)
            if not left:
                raise _Done

    modules = {name: model.module.get_submodule(name) for name in layers}
    with quiet(model.module), hooked(modules, probe), torch.no_grad():
        try:
            model.forward(images)
        except _Done:
            return
    raise Unsupported(f"layer '{min(left)}' did not fire for these images, though it did when the model was loaded")
