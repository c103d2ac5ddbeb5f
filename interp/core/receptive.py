"""Theoretical receptive fields, by watching every tensor operation of one forward.

The usual recurrence (Araujo, Norris & Sim 2019): size r' = r + (d (k - 1)) j, stride j' = j s, centre of the
first position c' = c + (d (k - 1) / 2 - p) j; where branches meet, the field holds both. A transposed convolution and a
resizing make steps of j / s. Their positions see differently many pixels, and not the same way off their middle: the size is
the least that holds every position's pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

# Pixels from one position to the next.
Step = int | float


@dataclass(frozen=True)
class ReceptiveField:
    """What one position of a layer sees, in pixels of the input, (row, col) each.

    ``size`` and ``stride``, and ``start``: the centre of the field of position (0, 0), in pixel indices. A stride is a fraction where
    a map has more positions than the image has pixels.
    ``whole``: a position may see the whole image (a mean over all places, attention, a running sum, a Linear after flattening).
    """

    size: tuple[int, int] = (1, 1)
    stride: tuple[Step, Step] = (1, 1)
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
        return self._with(size, step, start)

    def between(self, reach: tuple[float, float], scale: tuple[float, float], offset: tuple[float, float]) -> ReceptiveField:
        """The field behind ``scale`` times as many positions, of which the first lies at ``offset`` in positions of before, and each
        sees no further than ``reach`` positions from where it lies."""
        size = [r + 2 * e * j for r, e, j in zip(self.size, reach, self.stride, strict=True)]
        start = [c + o * j for c, o, j in zip(self.start, offset, self.stride, strict=True)]
        return self._with(size, [j / s for j, s in zip(self.stride, scale, strict=True)], start)

    def _with(self, size: list[int] | list[Step], stride: list[Step], start: list[float]) -> ReceptiveField:
        rows, cols = (math.ceil(round(s, 6)) for s in size)
        down, right = (int(j) if float(j).is_integer() else j for j in stride)
        return ReceptiveField((rows, cols), (down, right), (float(start[0]), float(start[1])), self.whole)

    def __str__(self) -> str:
        return "image" if self.whole else "x".join(str(s) for s in self.size)


WHOLE = ReceptiveField(whole=True)
_SUMS = ("mean", "sum", "amax", "cumsum", "cumprod", "cummax", "logcumsumexp")
# How many positions on each side of where it lies a resized position reads, at most; 0: the nearest alone.
_RESIZING = {"upsample_nearest": 0, "upsample_bilinear": 1, "upsample_bicubic": 2}
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
            field = self._after(func, args, known, outputs)
            for tensor in _tensors(outputs):
                self._fields[tensor] = field
        return outputs

    def _after(self, func: Any, args: tuple[Any, ...], known: list[ReceptiveField], outputs: Any) -> ReceptiveField:
        name = func._schema.name.removeprefix("aten::")
        source = _union(known)
        rule = _WINDOWS.get(name)
        if rule is not None and args[0].ndim == 4:
            return rule(source, args)
        taps = next((width for part, width in _RESIZING.items() if part in name), None)
        if taps is not None and args[0].ndim == 4:
            return _resized(source, args, outputs.shape[2:], taps, name.endswith("_aa"))
        if any(part in name for part in _MIXING) or self._mixes_places(name, args):
            return WHOLE
        return source

    def _mixes_places(self, name: str, args: tuple[Any, ...]) -> bool:
        if name in ("_adaptive_avg_pool2d", "adaptive_max_pool2d"):
            return tuple(args[1]) != tuple(args[0].shape[-2:])
        if name in _SUMS and args[0].ndim >= 3:
            along = args[1] if len(args) > 1 else ()
            along = (along,) if isinstance(along, int) else along or range(args[0].ndim)
            # Over the images or the channels of maps, no places are mixed.
            return args[0].ndim != 4 or any(dim % 4 > 1 for dim in along)
        if name in ("addmm", "mm", "linear"):
            # One row per image: the places were flattened into the features (VGG's head).
            matrix = args[1] if name == "addmm" else args[0]
            return bool(matrix.ndim == 2 and matrix.shape[0] == self._batch)
        return False


def _convolution(field: ReceptiveField, args: tuple[Any, ...]) -> ReceptiveField:
    weight, stride, padding, dilation, transposed = args[1], args[3], args[4], args[5], args[6]
    window = _pair(weight.shape[2:]), _pair(stride), _pair(padding), _pair(dilation)
    return _transposed(field, *window) if transposed else field.after(*window)


def _transposed(
    field: ReceptiveField, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> ReceptiveField:
    """Position o sees the positions i with o = s i - p + d m, m from 0 to k - 1: they lie around (o + p - d (k - 1) / 2) / s."""
    reach = [d * (k - 1) / 2 / s for d, k, s in zip(dilation, kernel, stride, strict=True)]
    offset = [p / s - e for p, s, e in zip(padding, stride, reach, strict=True)]
    return field.between(_two(reach), _two(stride), _two(offset))


def _resized(field: ReceptiveField, args: tuple[Any, ...], size: Any, taps: int, smoothed: bool) -> ReceptiveField:
    """Corners aligned: position o lies at o (n - 1) / (m - 1) of n positions that become m; else at (o + 1/2) n / m - 1/2."""
    corners = taps > 0 and bool(args[2])
    reach, scale, offset = [], [], []
    for before, after in zip(args[0].shape[2:], size, strict=True):
        ratio = (before - 1) / max(after - 1, 1) if corners else before / after
        offset.append(0.0 if corners else ratio / 2 - 0.5)
        scale.append(1 / ratio if ratio else math.inf)
        whole = max(before, after) % min(before, after) == 0
        # The nearest one is floor(o n / m): off by half the difference of the steps where they divide each other, else by half their sum.
        nearest = abs(1 - ratio) / 2 if whole else (1 + ratio) / 2
        reach.append(taps * max(1.0, ratio if smoothed else 1.0) if taps else nearest)
    return field.between(_two(reach), _two(scale), _two(offset))


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


def _two(values: Any) -> tuple[float, float]:
    first, second = values
    return (float(first), float(second))


def _union(fields: list[ReceptiveField]) -> ReceptiveField:
    """What holds every field's pixels; where they go by different steps, which is no map's own doing, the widest."""
    if all(f == fields[0] for f in fields):
        return fields[0]
    if any(f.whole for f in fields):
        return WHOLE
    size, stride, start = zip(*(_hull([(f.size[i], f.stride[i], f.start[i]) for f in fields]) for i in (0, 1)), strict=True)
    return ReceptiveField(size, stride, start)


def _hull(sides: list[tuple[int, Step, float]]) -> tuple[int, Step, float]:
    size, stride, _ = max(sides)
    alike = [(s, c) for s, j, c in sides if j == stride]
    low, high = min(c - (s - 1) / 2 for s, c in alike), max(c + (s - 1) / 2 for s, c in alike)
    return max(size, math.ceil(high - low) + 1), stride, (low + high) / 2


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))
