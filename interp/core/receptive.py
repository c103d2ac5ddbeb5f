"""Theoretical receptive fields, by watching every tensor operation of one forward.

The usual recurrence (Araujo, Norris & Sim 2019): size r' = r + (d (k - 1)) j, stride j' = j s, centre of the
first position c' = c + (d (k - 1) / 2 - p) j; where branches meet, the largest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary


@dataclass(frozen=True)
class ReceptiveField:
    """What one position of a layer sees, in pixels of the input, (row, col) each.

    ``size`` and ``stride``, and ``start``: the centre of the field of position (0, 0), in pixel indices.
    ``whole``: every position sees the whole image (a mean over all places, attention, a Linear after flattening).
    """

    size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    start: tuple[float, float] = (0.0, 0.0)
    whole: bool = False

    def after(
        self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
    ) -> ReceptiveField:
        """The field behind one more convolution or pooling."""
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        size = [r + e * j for r, e, j in zip(self.size, reach, self.stride, strict=True)]
        start = [c + (e / 2 - p) * j for c, e, p, j in zip(self.start, reach, padding, self.stride, strict=True)]
        step = [j * s for j, s in zip(self.stride, stride, strict=True)]
        return ReceptiveField((size[0], size[1]), (step[0], step[1]), (start[0], start[1]), self.whole)

    def __str__(self) -> str:
        return "image" if self.whole else "x".join(str(s) for s in self.size)


WHOLE = ReceptiveField(whole=True)
_MIXING = ("bmm", "baddbmm", "scaled_dot_product", "native_multi_head_attention", "transformer_encoder_layer", "fft", "roll")


class FieldTracker(TorchDispatchMode):
    """Context in which each tensor computed from the ``images`` carries its receptive field."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields: Any = WeakIdKeyDictionary()
        self._fields[images] = ReceptiveField()
        self._batch = images.shape[0]

    def of(self, tensor: Tensor) -> ReceptiveField | None:
        field: ReceptiveField | None = self._fields.get(tensor)
        return field

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        known = [f for t in _tensors(args) if (f := self.of(t)) is not None]
        if known:
            field = self._after(func, args, known)
            for tensor in _tensors(outputs):
                self._fields[tensor] = field
        return outputs

    def _after(self, func: Any, args: tuple[Any, ...], known: list[ReceptiveField]) -> ReceptiveField:
        name = func._schema.name.removeprefix("aten::")
        source = _union(known)
        rule = _WINDOWS.get(name)
        if rule is not None and args[0].ndim == 4:
            return rule(source, args)
        if any(part in name for part in _MIXING) or self._mixes_places(name, args):
            return WHOLE
        return source

    def _mixes_places(self, name: str, args: tuple[Any, ...]) -> bool:
        if name in ("mean", "sum", "amax", "_adaptive_avg_pool2d", "adaptive_max_pool2d") and args[0].ndim >= 3:
            return name.startswith(("_adaptive", "adaptive")) is False or tuple(args[1]) != tuple(args[0].shape[-2:])
        if name in ("addmm", "mm", "linear"):
            # One row per image: the places were flattened into the features (VGG's head).
            matrix = args[1] if name == "addmm" else args[0]
            return bool(matrix.ndim == 2 and matrix.shape[0] == self._batch)
        return False


def _convolution(field: ReceptiveField, args: tuple[Any, ...]) -> ReceptiveField:
    weight, stride, padding, dilation, transposed = args[1], args[3], args[4], args[5], args[6]
    if transposed:
        return WHOLE
    return field.after(_pair(weight.shape[2:]), _pair(stride), _pair(padding), _pair(dilation))


def _pooling(field: ReceptiveField, args: tuple[Any, ...]) -> ReceptiveField:
    kernel = _pair(args[1])
    stride = _pair(args[2]) if len(args) > 2 and len(args[2]) else kernel
    padding = _pair(args[3]) if len(args) > 3 else (0, 0)
    return field.after(kernel, stride, padding, (1, 1))


def _max_pooling(field: ReceptiveField, args: tuple[Any, ...]) -> ReceptiveField:
    dilation = _pair(args[4]) if len(args) > 4 else (1, 1)
    kernel = _pair(args[1])
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    return _pooling(field, (args[0], reach, args[2] if len(args) > 2 and len(args[2]) else kernel, *args[3:4]))


def _padding(field: ReceptiveField, args: tuple[Any, ...]) -> ReceptiveField:
    left, _, top, _ = (*args[1], 0, 0, 0)[:4]
    (row, col), (rows, cols) = field.start, field.stride
    return replace(field, start=(row - top * rows, col - left * cols))


_WINDOWS: dict[str, Callable[[ReceptiveField, tuple[Any, ...]], ReceptiveField]] = {
    "convolution": _convolution,
    "mkldnn_convolution": lambda f, a: _convolution(f, (*a[:3], a[4], a[3], a[5], False)),
    "max_pool2d_with_indices": _max_pooling,
    "avg_pool2d": _pooling,
    "constant_pad_nd": _padding,
    "reflection_pad2d": _padding,
    "replication_pad2d": _padding,
}


def _pair(values: Any) -> tuple[int, int]:
    values = tuple(values)
    return (int(values[0]), int(values[-1]))


def _union(fields: list[ReceptiveField]) -> ReceptiveField:
    if len(fields) == 1 or all(f == fields[0] for f in fields):
        return fields[0]
    if any(f.whole for f in fields):
        return WHOLE
    widest = max(fields, key=lambda f: f.size)
    return ReceptiveField(
        (max(f.size[0] for f in fields), max(f.size[1] for f in fields)),
        (max(f.stride[0] for f in fields), max(f.stride[1] for f in fields)),
        widest.start,
    )


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))
