"""What a network's own forward writes into the network, such as counters, caches and running means, comes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import is_
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_KEPT: WeakSet[nn.Module] = WeakSet()
READING = "_interp_reading"
"""The attribute of a module that reads another network's output (see `interp.core.heads`), by which that network is found."""


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """Buffers and attributes of ``module`` and of all modules in it are afterwards as before: the same objects; on errors too.

    Inside, every buffer is a copy, so that the network's own are not written to, by whichever way; a graph that outlives the block
    holds the copies, and its gradients are those of the values that were used. Attributes are what ``vars(module)`` holds: one that
    a forward sets, sets anew or deletes comes back, but not what it changes inside of a list or another object. A module that got
    submodules or parameters inside has built itself, and stays so. Within such a block another of the same module does nothing: what
    the work between needs, such as what Captum notes on modules from forward to backward, stays until the outer one ends.
    """
    if module in _KEPT:
        yield
        return
    _KEPT.add(module)
    try:
        with _put_back_after(module):
            yield
    finally:
        _KEPT.discard(module)


@contextmanager
def _put_back_after(module: nn.Module) -> Iterator[None]:
    owners = [*module.modules(), *([vars(module)[READING].network] if READING in vars(module) else [])]
    parts = [_parts(owner) for owner in owners]
    attributes = [dict(vars(owner)) for owner in owners]
    buffers = [dict(owner._buffers) for owner in owners]
    copies = _copies(tensor for shelf in buffers for tensor in shelf.values() if tensor is not None)
    try:
        for owner, before in zip(owners, buffers, strict=True):
            owner._buffers.update({name: None if tensor is None else copies[id(tensor)] for name, tensor in before.items()})
        yield
    finally:
        for owner, names, own, shelf in zip(owners, parts, attributes, buffers, strict=True):
            if _parts(owner) == names:
                _put_back(vars(owner), own)
                _put_back(owner._buffers, shelf)
            else:
                owner._buffers.update({name: tensor for name, tensor in shelf.items() if _untouched(owner, name, tensor, copies)})


def _copies(tensors: Iterable[Tensor]) -> dict[int, Tensor]:
    """By the original's id. No tensors of a caller's inference mode, which no graph could hold."""
    with torch.inference_mode(False), torch.no_grad():
        return {id(tensor): tensor if is_lazy(tensor) else tensor.detach().clone() for tensor in tensors}


def _parts(owner: nn.Module) -> tuple[list[str], list[str]]:
    return list(owner._modules), list(owner._parameters)


def _untouched(owner: nn.Module, name: str, tensor: Tensor | None, copies: dict[int, Tensor]) -> bool:
    """Whether the buffer is still the copy that was put there."""
    return tensor is not None and owner._buffers.get(name) is copies[id(tensor)]


def _put_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    if len(now) == len(before) and all(map(is_, now.values(), before.values())) and now.keys() == before.keys():
        return
    now.update(before)
    for name in now.keys() - before.keys():
        del now[name]
