"""Which layer feeds which: what one traced forward passes on from one chosen layer to the next.

Every tensor carries the names of the chosen layers it was computed from, the latest only: what leaves a chosen layer
carries that layer's name alone, and each operation passes on the names of all that goes into it. The names belong to a
tensor's memory, so that a slice written in place is part of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from interp.core.model import Model
from interp.core.rng import generator
from interp.core.trace import BATCH

Edges = tuple[tuple[str, str], ...]

# What these give has the shape of their input and none of its values.
_SHAPES = (
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "zeros_like",
    "ones_like",
    "full_like",
    "empty_like",
    "rand_like",
    "randn_like",
)


def edges(model: Model, layers: Sequence[str]) -> Edges:
    """Pairs (source, target) of ``layers``: the source's output reaches the target's input on a path through no other of them.

    They are in the order in which targets fire, and of one target in the order in which sources fire. A residual block's input
    reaches what follows the block both ways; each branch of a concatenation is a source. A layer with others of ``layers``
    inside it stands for the place where it ends: what reaches its output points to it. A module that is called several times
    is one layer, so that pairs may form a circle, or lead from a layer to itself.

    Raises UnknownName where a layer does not fire. What leaves torch (through numpy, say) cannot be followed.
    """
    names = [layer.name for layer in model.layers if layer.name in {model.layer(name).name for name in layers}]
    preprocess = model.preprocess
    images = torch.rand(BATCH, len(preprocess.mean), *preprocess.size, generator=generator(0, "graph"))
    tracker = _Tracker(names)
    modules = {name: model.module.get_submodule(name) for name in names}
    with _watched(modules, tracker), torch.no_grad(), tracker:
        model(images)
    return tuple(tracker.found)


class _Tracker(TorchDispatchMode):
    """Context in which the memory of each tensor carries the names of the layers it was computed from."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[tuple[str, str], None] = {}
        # Names in dictionaries, which are sets in order.
        self._fired: dict[str, None] = {}
        self._sources: Any = WeakIdKeyDictionary()
        self._ending = {name for name in names if any(other.startswith(name + ".") for other in names)}

    def of(self, tree: Any) -> dict[str, None]:
        """The layers whose outputs are in the tensors of ``tree``."""
        found: dict[str, None] = {}
        for tensor in _tensors(tree):
            found |= self._sources.get(tensor.untyped_storage(), {})
        return found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        if func._schema.name.removeprefix("aten::") not in _SHAPES:
            known = self.of((args, kwargs))
            if known:
                for tensor in _tensors(outputs):
                    self._sources[tensor.untyped_storage()] = self._sources.get(tensor.untyped_storage(), {}) | known
        return outputs

    def entered(self, name: str, given: Any) -> None:
        if name not in self._ending:
            self._point(given, name)

    def left(self, name: str, output: Any) -> Any:
        """A copy of what came out, which carries the layer's name: an identity's output is its input, which others may use too."""
        if name in self._ending:
            self._point(output, name)
        self._fired.setdefault(name)
        copied = tree_map_only(Tensor, torch.clone, output)
        for tensor in _tensors(copied):
            self._sources[tensor.untyped_storage()] = {name: None}
        return copied

    def _point(self, given: Any, target: str) -> None:
        sources = self.of(given)
        self.found.update({(source, target): None for source in self._fired if source in sources})


@contextmanager
def _watched(modules: Mapping[str, nn.Module], tracker: _Tracker) -> Iterator[None]:
    """The tracker is told of all that goes into each module, by position or by name, and of what comes out."""
    handles = []
    try:
        for name, module in modules.items():
            handles.append(module.register_forward_pre_hook(lambda _m, a, k, name=name: tracker.entered(name, (a, k)), with_kwargs=True))
            handles.append(module.register_forward_hook(lambda _m, _a, output, name=name: tracker.left(name, output)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
