"""What lies between the layers with weights of a network: recorded once per network, and how to run only that."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from interp.core.capture import quiet
from interp.core.graph import Edges, edges
from interp.core.model import Model
from interp.core.trace import BATCH

SCALING = nn.modules.batchnorm._BatchNorm

# These mix channels only by their common mean and spread.
_DIVIDING = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, nn.modules.instancenorm._InstanceNorm)


@dataclass(frozen=True)
class Wiring:
    """``shapes``: what each module that has no modules inside gives at each call, for `BATCH` images; ``weighted``: those with
    weights, and others that hold weights for themselves; ``scaling``: BatchNorms that fire once.

    ``graph``: which of the weighted and scaling ones feeds which; ``all``: the same of all modules in ``shapes``, where one
    that fires often makes paths that are none.
    """

    shapes: Mapping[str, Sequence[Any]]
    weighted: tuple[str, ...]
    scaling: tuple[str, ...]
    graph: Edges
    all: Edges

    def sources(self, target: str) -> list[str]:
        """The modules with weights whose output reaches ``target`` through no other, in firing order."""
        found = self._reached(target, _turned(self.graph))
        return [name for name in self.weighted if name in found]

    def always_between(self, source: str, target: str) -> list[str]:
        """The BatchNorms that every path from ``source`` to ``target`` passes."""
        return [norm for norm in self.scaling if target not in self._reached(source, [e for e in self.graph if norm not in e])]

    def between(self, source: str, target: str) -> set[str]:
        """All modules that may lie on a path from ``source`` to ``target`` without other weights."""
        found = self._reached(source, self.all) & self._reached(target, _turned(self.all))
        return found.difference(self.weighted)

    def _reached(self, start: str, graph: Edges | Sequence[tuple[str, str]]) -> set[str]:
        """What can be reached from ``start``; modules with weights are reached, and not passed."""
        ahead: dict[str, list[str]] = {}
        for one, other in graph:
            ahead.setdefault(one, []).append(other)
        seen: set[str] = set()
        left = [start]
        while left:
            new = [name for name in ahead.get(left.pop(), ()) if name not in seen]
            seen.update(new)
            left += [name for name in new if name not in self.weighted]
        return seen

    @cached_property
    def largest(self) -> int:
        """The most values that any module gives for one image."""
        return max(math.prod(leaf.sizes) for leaf in tree_leaves(list(self.shapes.values())) if isinstance(leaf, Shape)) // BATCH


def _turned(graph: Edges) -> Edges:
    return tuple((other, one) for one, other in graph)


_KNOWN: WeakKeyDictionary[Model, Wiring] = WeakKeyDictionary()


def wiring(model: Model) -> Wiring:
    """The `Wiring` of ``model``, from three forwards the first time it is asked for; weights do not change it."""
    if model not in _KNOWN:
        names = [layer.name for layer in model.layers]
        weighted = _weighted(model, names)
        leaves = [n for n in names if n in weighted or (model.layer(n).leaf and not any(n.startswith(w + ".") for w in weighted))]
        scaling = [n for n in leaves if isinstance(model.module.get_submodule(n), SCALING) and model.layer(n).calls == 1]
        graph = edges(model, [*weighted, *scaling])
        _KNOWN[model] = Wiring(_shapes(model, leaves), tuple(weighted), tuple(scaling), graph, edges(model, leaves))
    return _KNOWN[model]


def _weighted(model: Model, names: Sequence[str]) -> list[str]:
    """Modules with a parameter of two dimensions or more of their own, in which no other such module fires."""
    own = [n for n in names if any(p.ndim > 1 for p in _parameters(model.module.get_submodule(n)))]
    return [n for n in own if not any(other.startswith(n + ".") for other in own)]


def _parameters(module: nn.Module) -> list[Tensor]:
    parametrized = getattr(module, "parametrizations", None)
    return [*module.parameters(recurse=False), *(parametrized.parameters() if isinstance(parametrized, nn.Module) else ())]


def _shapes(model: Model, names: Sequence[str]) -> dict[str, list[Any]]:
    """What each module gives at each call, with tensors replaced by their (shape, type)."""
    found: dict[str, list[Any]] = {name: [] for name in names}

    def keep(name: str, module: nn.Module) -> Any:
        def hook(_m: nn.Module, _given: Any, output: Any) -> None:
            found[name].append(tree_map_only(Tensor, lambda t: Shape(tuple(t.shape), t.dtype), output))

        return module.register_forward_hook(hook)

    handles = [keep(name, model.module.get_submodule(name)) for name in names]
    try:
        with torch.no_grad():
            model(blank(model, BATCH))
    finally:
        for handle in handles:
            handle.remove()
    return found


@dataclass(frozen=True)
class Shape:
    """What a tensor is like but for its values."""

    sizes: tuple[int, ...]
    dtype: torch.dtype


def blank(model: Model, count: int) -> Tensor:
    """``count`` grey images: what goes in does not matter."""
    return torch.full((count, len(model.preprocess.mean), *model.preprocess.size), 0.5, device=model.device)


@contextmanager
def only(model: Model, known: Wiring, free: Set[str], count: int) -> Iterator[None]:
    """Within, for ``count`` images (a multiple of `BATCH`), modules but those in ``free`` give ones without computing.

    Normalization by mean and spread gives what it is given. So one thing reaches another only through what has no weights, and
    soon. The modules are as before afterwards, on errors too.
    """
    replaced: list[nn.Module] = []
    try:
        with quiet(model.module), torch.no_grad():
            for name, shapes in known.shapes.items():
                module = model.module.get_submodule(name)
                if name not in free:
                    module.forward = _Giving(shapes, model.device, count // BATCH)
                elif isinstance(module, _DIVIDING):
                    module.forward = _same  # type: ignore[method-assign, assignment]
                else:
                    continue
                replaced.append(module)
            yield
    finally:
        for module in replaced:
            vars(module).pop("forward", None)


class _Giving:
    """A forward that gives ones of the recorded shapes, call by call, and begins again after the last."""

    def __init__(self, shapes: Sequence[Any], device: torch.device, times: int) -> None:
        self.shapes, self.device, self.times, self.calls = shapes, device, times, 0

    def __call__(self, *_given: Any, **_named: Any) -> Any:
        shape = self.shapes[self.calls % len(self.shapes)]
        self.calls += 1
        return tree_map_only(Shape, self._ones, shape)

    def _ones(self, shape: Shape) -> Tensor:
        # Where windows were cut out of the images, their number is a multiple of that of the images.
        return torch.ones((shape.sizes[0] * self.times, *shape.sizes[1:]), dtype=shape.dtype, device=self.device)


def _same(given: Tensor, *_rest: Any, **_named: Any) -> Tensor:
    return given
