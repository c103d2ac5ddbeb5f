"""What convolutions, poolings and resizings do to the axes of a tensor: windows that go over rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from interp.core.axes import WHOLE, Axes, Axis, Kind, Part, Span, fresh, is_whole, other, part_of, pictures, raster, size_of, with_tokens

Found = Axes | None
# An operation's rule: from the axes of a tensor (None: nothing is known), its arguments and its results to the axes of each result.
Rule = Callable[[Callable[[Any], Found], tuple[Any, ...], list[Tensor]], Sequence[Found]]


def convolution(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Channels of its own, and rows and columns of its windows."""
    axes, result = of(args[0]), results[0]
    if axes is None:
        return [pictures(result.shape) if result.ndim == 4 and of(args[1]) is None and len(result) > 1 else None]
    channels = other(result.shape[1])
    if axes[1] and axes[1][0].kind is Kind.IMAGE and result.shape[1] % axes[1][0].size == 0:
        # One kernel for each image: the images are groups.
        channels = (axes[1][0], *other(result.shape[1] // axes[1][0].size))
    windows = _windows_of_convolution(args, len(axes) - 2)
    spatial = [_windowed(axis, size, window) for axis, size, window in zip(axes[2:], result.shape[2:], windows, strict=False)]
    return [(axes[0], channels, *spatial)]


def _windows_of_convolution(args: tuple[Any, ...], dims: int) -> Sequence[Window | None]:
    """convolution: stride, padding, dilation, transposed; mkldnn_convolution: padding, stride, dilation."""
    if len(args) < 6 or not isinstance(args[1], Tensor) or (len(args) > 7 and args[6]):
        return [None] * dims
    stride, padding = (args[3], args[4]) if len(args) > 7 else (args[4], args[3])
    given = (_each(values, dims) for values in (stride, padding, args[5]))
    return [Window(*sizes) for sizes in zip(args[1].shape[2:], *given, strict=False)]


def pooling(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Rows and columns of another number over the same picture."""
    axes = of(args[0])
    if axes is None or results[0].ndim != len(axes):
        return [None] * len(results)
    kept = results[0].ndim - 2 if results[0].ndim == 4 else results[0].ndim - 1
    return [(*axes[:kept], *(_windowed(axis, size) for axis, size in zip(axes[kept:], results[0].shape[kept:], strict=True)))]


def pooling_by_windows(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Of four dimensions, with kernel, stride and padding as arguments."""
    axes = of(args[0])
    if axes is None or len(axes) != 4 or results[0].ndim != 4:
        return pooling(of, args, results)
    kernel = _each(args[1], 2)
    stride = _each(args[2], 2) if len(args) > 2 and args[2] else kernel
    windows = map(Window, kernel, stride, _each(args[3] if len(args) > 3 else 0, 2))
    spatial = [_windowed(axis, size, window) for axis, size, window in zip(axes[2:], results[0].shape[2:], windows, strict=True)]
    return [(*axes[:2], *spatial)]


@dataclass(frozen=True)
class Window:
    """What a convolution or pooling is along one dimension."""

    size: int
    stride: int
    padding: int
    dilation: int = 1


def _each(values: Any, dims: int) -> tuple[int, ...]:
    found = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    return found if len(found) == dims else found * dims


def _windowed(axis: Axis, size: int, window: Window | None = None) -> Axis:
    """A dimension behind a convolution, pooling or resizing along it."""
    if len(axis) == 1 and axis[0].whole:
        return fresh(axis[0].kind, size, axis[0].span if window is None else _behind(axis[0], size, window))
    return axis if size_of(axis) == size else other(size)


def _behind(part: Part, size: int, window: Window) -> Span:
    """The span of what windows give: they use up padding. What they leave out at the border without it is nobody's."""
    first = (window.dilation * (window.size - 1) + 1 - window.stride) / 2 - window.padding
    low, high = part_of(part, first, first + size * window.stride)
    return (part.span[0] if part.span[0] >= 0 else min(0.0, low), part.span[1] if part.span[1] <= 1 else max(1.0, high))


def shuffled(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Pixels into channels, or back: rows and columns stay what they are."""
    return convolution(of, args[:1] * 2, results) if of(args[0]) is None else convolution(of, (args[0], None), results)


def im2col(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Windows of rows and columns become tokens."""
    axes = of(args[0])
    if axes is None or len(axes) != 4 or not (is_whole(axes[2], Kind.ROW) and is_whole(axes[3], Kind.COL)):
        return [None]
    _, kernel, dilation, padding, stride = args
    grid = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(args[0].shape[2:], kernel, dilation, padding, stride, strict=True)
    ]
    rows, cols = (axis[0].span if axis else WHOLE for axis in axes[2:])
    return [(axes[0], other(results[0].shape[1]), with_tokens(Part(Kind.TOKENS, 0, grid=(grid[0], grid[1]), span=rows, across=cols), 0))]


def col2im(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """The inverse of `im2col`."""
    axes = of(args[0])
    tokens = raster(axes[2]) if axes is not None and len(axes) == 3 else None
    if axes is None or tokens is None:
        return [None]
    rows, cols = results[0].shape[2:]
    return [(axes[0], other(results[0].shape[1]), fresh(Kind.ROW, rows, tokens.span), fresh(Kind.COL, cols, tokens.across))]
