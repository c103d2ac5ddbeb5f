"""All attention probabilities of one forward, each with the module that computed it and its place in the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from interp.attribution.attention.interception import Interception
from interp.core.capture import hooked, input_of, module_of, quiet
from interp.core.model import Model
from interp.errors import Unsupported

# Reshaping that `torch.nn.MultiheadAttention` does to what it returns, beside what it goes on with.
_RESHAPING = ("ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0")


class _Reached(Exception):
    """Raised once every wanted layer's probabilities are there: the rest of the network is not needed."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """Probabilities as they were computed, and the edge of the autograd graph that leads to them (None without a graph)."""

    values: Tensor
    edge: GradientEdge | None

    def windowed(self, images: int, values: Tensor | None = None) -> Float[Tensor, "n windows heads queries keys"] | None:
        """``values`` (those recorded, or their gradient) by window; global attention has one. None where they cannot be seen so."""
        shape = self.values.shape
        values = self.values if values is None else values.reshape(shape)
        if len(shape) == 5 and shape[0] == images:
            return values
        if len(shape) in (3, 4) and shape[0] % images == 0:
            by_window: Tensor = values.reshape(images, shape[0] // images, *shape[1:])
            return by_window if len(shape) == 4 else by_window[:, :, None]
        return None


class Records:
    """What a forward under `recording` has computed so far: for each module, by name, its probabilities in order."""

    def __init__(self, until: Sequence[str] = ()) -> None:
        self.found: dict[str, list[Recorded]] = {}
        self._left = set(until)
        self._running: list[str] = []

    def fired(self, key: str, _: Any) -> None:
        if module_of(key) != key:
            self._running.append(module_of(key))
        else:
            self._running.pop()

    def keep(self, values: Tensor) -> None:
        if not self._running:
            return
        name = self._running[-1]
        self.found.setdefault(name, []).append(Recorded(values, _edge(values)))
        if name in self._left:
            self._left.remove(name)
            if not self._left:
                raise _Reached


@contextmanager
def recording(module: nn.Module, until: Sequence[str] = ()) -> Iterator[Records]:
    """Attention probabilities computed inside, by the innermost module that computes them; the network is as before outside.

    With ``until`` the forward ends, and so does the context, once these modules have computed theirs.
    """
    records = Records(until)
    # A Softmax module is part of the attention that calls it.
    named = {name: m for name, m in module.named_modules() if name and not isinstance(m, nn.Softmax)}
    keys = {key: m for name, m in named.items() for key in (input_of(name), name)}
    with suppress(_Reached), hooked(keys, records.fired), Interception(records.keep):
        yield records


def probabilities(
    model: Model, images: Float[Tensor, "n c h w"], layers: Sequence[str]
) -> dict[str, Float[Tensor, "n windows heads queries keys"]]:
    """Of each of ``layers``, from one forward that ends at the deepest of them; no graph."""
    with quiet(model.module), torch.no_grad(), recording(model.module, until=layers) as records:
        model.forward(images)
    return {name: by_window(records, name, len(images)) for name in layers}


def by_window(records: Records, name: str, images: int) -> Float[Tensor, "n windows heads queries keys"]:
    """The probabilities that ``name`` computed; raises Unsupported where it did not for these images."""
    if name not in records.found:
        raise Unsupported(f"attention layer '{name}' did not fire for these images, though it did when it was looked for")
    values = records.found[name][0].windowed(images)
    assert values is not None, f"'{name}' was found to attend by window"
    return values


def _edge(values: Tensor) -> GradientEdge | None:
    if not values.requires_grad:
        return None
    edge = get_gradient_edge(values)
    while edge.node.name() in _RESHAPING:
        node, number = edge.node.next_functions[0]
        assert node is not None
        edge = GradientEdge(node, number)
    return edge
