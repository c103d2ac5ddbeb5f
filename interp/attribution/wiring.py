"""What a network does on the way to a score: which modules it calls how often, and what it computes outside of any module.

Methods that propagate by rules attach them to modules. A module called twice has one set of attributes for two calls,
and an addition written as ``x + y`` has no module to hold a rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Wiring:
    """``calls``: times each module without children fired. ``loose``: operations outside of them, by autograd's names ("Add")."""

    calls: Mapping[str, int]
    loose: tuple[str, ...]


def of(
    network: nn.Module, forward: Callable[[Tensor], Tensor], images: Float[Tensor, "n c h w"], beside: Sequence[nn.Module] = ()
) -> Wiring:
    """The wiring of ``network`` in one call of ``forward``, from what is given to the network to what ``forward`` returns.

    ``beside`` are modules that ``forward`` calls after the network; what they compute is inside of a module, too.
    """
    calls: Counter[str] = Counter()
    inside: set[Any] = set()
    starts: list[set[Any]] = []
    entered: list[set[Any]] = []

    def enter(name: str, _module: nn.Module, given: tuple[Any, ...]) -> None:
        calls[name] += 1
        entered.append(_nodes(given))

    def leave(_module: nn.Module, _given: tuple[Any, ...], output: Any) -> None:
        inside.update(_between(_nodes([output] if isinstance(output, Tensor) else output), entered.pop()))

    handles = [network.register_forward_pre_hook(lambda _module, given: starts.append(_nodes(given)))]
    try:
        for name, module in [*network.named_modules(), *(("", module) for module in beside)]:
            if not any(True for _ in module.children()):
                handles.append(module.register_forward_pre_hook(partial(enter, name)))
                handles.append(module.register_forward_hook(leave))
        score = forward(images.detach().clone().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    loose = _between(_nodes([score]), starts[0]) - inside
    if beside:
        calls.pop("", None)
    return Wiring(calls, tuple(sorted({re.sub(r"Backward\d*$", "", node.name()) for node in loose} - {"torch::autograd::AccumulateGrad"})))


def _nodes(values: Iterable[Any]) -> set[Any]:
    return {value.grad_fn for value in values if isinstance(value, Tensor) and value.grad_fn is not None}


def _between(ends: set[Any], starts: set[Any]) -> set[Any]:
    """The nodes that ``ends`` were computed by, up to ``starts``, which are left out."""
    found = ends - starts
    left = list(found)
    while left:
        for node, _ in left.pop().next_functions:
            if node is not None and node not in starts and node not in found:
                found.add(node)
                left.append(node)
    return found
