"""What a network returns where that is no one tensor: which tensors are in it, by name, and the one that is meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from interp.errors import InterpError, UnknownName, a, nearest

_LISTED = 6
# Deeper than outputs are nested: what holds itself is not followed for ever.
_DEEPEST = 8


def tensors(output: Any) -> dict[str, Tensor]:
    """Every tensor in ``output`` by its name: keys, fields and indices, joined by dots; a tensor by itself is ``0``.

    ``{"out": x, "aux": (y, z)}`` holds ``out``, ``aux.0`` and ``aux.1``.
    """
    return {"0": output} if isinstance(output, Tensor) else dict(_inside(output, "", 0))


def _inside(output: Any, name: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(output, Tensor):
        yield name, output
        return
    for key, item in _items(output) if depth < _DEEPEST else ():
        yield from _inside(item, f"{name}.{key}" if name else key, depth + 1)


def _items(output: Any) -> list[tuple[str, Any]]:
    if isinstance(output, Mapping):
        return [(str(key), item) for key, item in output.items()]
    if hasattr(output, "_fields"):  # a named tuple, such as torchvision's GoogLeNetOutputs
        return [(str(key), item) for key, item in zip(output._fields, output, strict=False)]
    if isinstance(output, (tuple, list)):
        return [(str(index), item) for index, item in enumerate(output)]
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    return []


def picked(output: Any, key: str) -> Tensor:
    """The tensor called ``key`` in ``output``; of a named tuple its index will do too. Raises UnknownName with what there is."""
    found = tensors(output)
    if key in found:
        return found[key]
    if hasattr(output, "_fields") and key.isdecimal() and int(key) < len(output) and isinstance(output[int(key)], Tensor):
        tensor: Tensor = output[int(key)]
        return tensor
    if not found:
        raise InterpError(f"no output '{key}': the network returns {a(output)}, in which no tensor is found")
    hint = nearest(key, found)
    raise UnknownName(f"the network has no output '{key}': {hint + ' ' if hint else ''}there are {listed(output)}")


def listed(output: Any) -> str:
    """The names and shapes (without the batch) of what is in ``output``, in words: ``'out' (21x64x64), 'aux' (21x64x64)``."""
    found = [f"'{name}' ({'x'.join(map(str, tensor.shape[1:])) or 'one number'})" for name, tensor in tensors(output).items()]
    return ", ".join(found[:_LISTED]) + (f" and {len(found) - _LISTED} more" if len(found) > _LISTED else "")
