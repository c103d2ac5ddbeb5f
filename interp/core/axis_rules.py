"""What each operation does to the axes of the tensors that go into it; `interp.core.placing` follows a forward by these rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from interp.core.axes import (
    WHOLE,
    Axes,
    Axis,
    Kind,
    is_placed,
    joined,
    lengthened,
    near,
    other,
    rolled,
    size_of,
    sliced,
    told,
    union,
    viewed,
)
from interp.core.axis_windows import Found, Rule, col2im, convolution, im2col, pooling, pooling_by_windows, shuffled


def same(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Element by element: results that have the shape of all inputs together."""
    known = [axes for leaf in tree_leaves(args) if (axes := of(leaf)) is not None]
    rank = max(map(len, known))
    sums: list[Axis] = [()] * rank
    for axes in known:
        for k, axis in enumerate(axes, rank - len(axes)):
            found = union(sums[k], axis)
            if found is None or (axis and size_of(found) != size_of(axis) and sums[k]):
                return [_in_order(known, results[0])] * len(results)
            sums[k] = found
    return [_broadcast(tuple(sums), result) for result in results]


def _in_order(known: Sequence[Axes], result: Tensor) -> Found:
    """Of tensors whose places contradict each other, those of the first that has a layout: what others are added to.

    Where they are crops of different parts, those of the first, which say so.
    """
    shape = tuple(result.shape)
    whole = [axes for axes in known if tuple(map(size_of, axes)) == shape]
    placed = (axes for axes in whole if not isinstance(told(axes, shape[1:]), str | None))
    cropped = (axes for axes in whole if not all(near(part.span, WHOLE) for axis in axes for part in axis))
    return next(placed, None) or next(cropped, None)


def _broadcast(axes: Axes, result: Tensor) -> Found:
    """``axes`` for a result that is larger where they have size 1, as a tensor that is not followed was added."""
    if result.ndim < len(axes):
        return None
    filled: Axes = ((),) * (result.ndim - len(axes)) + axes
    return tuple(axis if axis or size == 1 else other(size) for axis, size in zip(filled, result.shape, strict=True))


def _view(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else viewed(axes, results[0].shape)]


def _permute(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else tuple(axes[d] for d in args[1])]


def _transpose(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    if axes is None:
        return [None]
    first, second = args[1:3] if len(args) > 2 else (0, len(axes) - 1)
    turned = list(axes)
    turned[first], turned[second] = axes[second], axes[first]
    return [tuple(turned)]


def _expand(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else _broadcast(axes, results[0])]


def _repeat(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    if axes is None:
        return [None]
    filled = ((),) * (len(args[1]) - len(axes)) + axes
    return [tuple(joined((*other(times), *axis)) for times, axis in zip(args[1], filled, strict=True))]


def _slice(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    if axes is None:
        return [None]
    dim = args[1] if len(args) > 1 else 0
    size = args[0].shape[dim]
    given = (*args[2:], *(None, None, 1)[len(args[2:]) :])
    start, stop, step = slice(given[0], given[1], given[2]).indices(size)
    return [_with(axes, dim, sliced(axes[dim], start, stop, step))]


def _select(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else _without(axes, [args[1]])] * len(results)


def _unbind(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else _without(axes, [args[1] if len(args) > 1 else 0])] * len(results)


def _split(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    if axes is None:
        return [None] * len(results)
    dim = args[2] if len(args) > 2 else 0
    found, start = [], 0
    for result in results:
        stop = start + result.shape[dim]
        found.append(_with(axes, dim, sliced(axes[dim], start, stop, 1)))
        start = stop
    return found


def _cat(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    tensors, dim = args[0], args[1] if len(args) > 1 else 0
    tensors = [t for t in tensors if t.ndim == results[0].ndim]
    dim %= results[0].ndim
    known = [tuple(map(other, t.shape)) if of(t) is None else of(t) for t in tensors]
    sums = list(known[0] or ())
    for axes in known[1:]:
        for k, axis in enumerate(axes or ()):
            found = union(sums[k], axis) if k != dim else ()
            if found is None:
                return [None]
            sums[k] = found
    along = [(axes or ())[dim] for axes in known]
    placed = [k for k, axis in enumerate(along) if is_placed(axis)]
    if len(placed) > 1 or any(part.kind is Kind.IMAGE for axis in along for part in axis):
        return [None]
    whole: Axis | None = other(results[0].shape[dim])
    if placed:
        before = sum(t.shape[dim] for t in tensors[: placed[0]])
        whole = lengthened(along[placed[0]], before, results[0].shape[dim] - before - size_of(along[placed[0]]))
    sums[dim] = whole if whole is not None else ()
    return [None if whole is None else tuple(sums)]


def _stack(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    one = same(of, (args[0],), [args[0][0]])[0]
    if one is None:
        return [None]
    dim = (args[1] if len(args) > 1 else 0) % results[0].ndim
    return [(*one[:dim], other(len(args[0])), *one[dim:])]


def _reduce(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    dims = next((arg for arg in args[1:] if isinstance(arg, (int, list, tuple)) and not isinstance(arg, bool)), None)
    if axes is None or dims is None:
        return [None] * len(results)
    dims = [dims] if isinstance(dims, int) else list(dims) or list(range(len(axes)))
    dims = [d % len(axes) for d in dims]
    kept = tuple(() if k in dims else axis for k, axis in enumerate(axes))
    return [kept if result.ndim == len(axes) else _without(axes, dims) for result in results]


def _squeeze(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else viewed(axes, results[0].shape)]


def _roll(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    shifts, dims = list(args[1]), list(args[2]) if len(args) > 2 else []
    for by, dim in zip(shifts, dims, strict=False):
        axes = None if axes is None else _with(axes, dim, rolled(axes[dim], by))
    return [axes if len(dims) == len(shifts) else None]


def _picked(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Indices taken from some dimensions in an order that is not known."""
    axes = of(args[0])
    if axes is None or results[0].ndim != len(axes):
        return [None]
    dims = range(len(axes))
    if isinstance(args[1], int):
        dims = range(args[1] % len(axes), args[1] % len(axes) + 1)
    elif isinstance(args[1], (list, tuple)) and args[1] and all(isinstance(d, int) for d in args[1]):
        return [tuple(other(size_of(axis)) if k in [d % len(axes) for d in args[1]] else axis for k, axis in enumerate(axes))]
    elif isinstance(args[1], (list, tuple)):
        picked = [k for k, index in enumerate(args[1]) if index is not None]
        if len(picked) != 1 or args[1][picked[0]].ndim != 1:
            return [None]
        dims = range(picked[0], picked[0] + 1)
    return [tuple(other(results[0].shape[k]) if k in dims else axis for k, axis in enumerate(axes))]


def _pad(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    pads = list(args[1])
    for k in range(len(pads) // 2):
        dim = -1 - k
        longer = None if axes is None else lengthened(axes[dim], pads[2 * k], pads[2 * k + 1])
        axes = None if axes is None or longer is None else _with(axes, dim, longer)
    return [axes]


def _unplaced(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """Rows and columns that are those of the picture no more: turned, or taken from places that the network itself chooses."""
    axes = of(args[0])
    if axes is None or results[0].ndim != len(axes):
        return [None]
    return [tuple(other(size) if is_placed(axis) else axis for axis, size in zip(axes, results[0].shape, strict=True))]


def _product(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """mm and bmm: rows of the first, columns of the second; what is summed over is gone."""
    first, second = of(args[0]), of(args[1])
    shape = results[0].shape
    rows = first[-2] if first is not None else other(shape[-2])
    cols = second[-1] if second is not None else other(shape[-1])
    lead: list[Axis] = []
    for k in range(len(shape) - 2):
        both = union(first[k] if first is not None else other(shape[k]), second[k] if second is not None else other(shape[k]))
        if both is None:
            return [None]
        lead.append(both)
    return [(*lead, rows, cols)]


def _added_product(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    return _product(of, args[1:], results)


def _linear(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    axes = of(args[0])
    return [None if axes is None else (*axes[:-1], other(results[0].shape[-1]))]


def _attended(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    query, value = of(args[0]), of(args[2])
    return [None if query is None else (*query[:-1], value[-1] if value is not None else other(results[0].shape[-1]))]


def _normalized(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    """The first result is as the input; statistics are not followed."""
    return [of(args[0])]


def _flat_unknown(of: Callable[[Any], Found], args: tuple[Any, ...], results: list[Tensor]) -> Sequence[Found]:
    return [None] * len(results)


def _with(axes: Axes, dim: int, axis: Axis) -> Axes:
    dim %= len(axes)
    return (*axes[:dim], axis, *axes[dim + 1 :])


def _without(axes: Axes, dims: Sequence[int]) -> Axes:
    gone = [d % len(axes) for d in dims]
    return tuple(axis for k, axis in enumerate(axes) if k not in gone)


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


# Operations that are over rows and columns whatever came before them.
MAKING_MAPS = ("convolution", "mkldnn_convolution")

# Operations that make tensors of one number, which hold nothing of a picture whatever they were made like.
MAKING_BLANKS = (
    *("zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like"),
    *("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided", "empty_strided"),
)

RULES: dict[str, Rule] = {
    **_named(_view, "view _unsafe_view reshape _reshape_alias view_copy unsqueeze squeeze"),
    **_named(_permute, "permute"),
    **_named(_transpose, "transpose t transpose_ t_"),
    **_named(_expand, "expand"),
    **_named(_repeat, "repeat"),
    **_named(_slice, "slice"),
    **_named(_select, "select"),
    **_named(_unbind, "unbind"),
    **_named(_split, "split split_with_sizes"),
    **_named(_cat, "cat"),
    **_named(_stack, "stack"),
    **_named(_reduce, "mean sum amax amin max min var std prod logsumexp norm linalg_vector_norm"),
    **_named(_roll, "roll"),
    **_named(_picked, "index index_select gather flip"),
    **_named(_pad, "constant_pad_nd reflection_pad2d replication_pad2d"),
    **_named(convolution, "convolution mkldnn_convolution"),
    **_named(
        pooling,
        "_adaptive_avg_pool2d adaptive_max_pool2d upsample_bilinear2d upsample_nearest2d"
        " upsample_bicubic2d"
        " _upsample_bilinear2d_aa _upsample_bicubic2d_aa _adaptive_avg_pool3d adaptive_avg_pool1d avg_pool1d",
    ),
    **_named(pooling_by_windows, "max_pool2d_with_indices avg_pool2d"),
    **_named(shuffled, "pixel_shuffle pixel_unshuffle"),
    **_named(_unplaced, "rot90 grid_sampler_2d grid_sampler_2d_cudnn cudnn_grid_sampler"),
    **_named(im2col, "im2col"),
    **_named(col2im, "col2im"),
    **_named(_product, "mm bmm"),
    **_named(_added_product, "addmm baddbmm"),
    **_named(_linear, "linear mkldnn_linear"),
    **_named(
        _attended,
        "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention"
        " _scaled_dot_product_cudnn_attention _scaled_dot_product_attention_math scaled_dot_product_attention",
    ),
    **_named(
        _normalized,
        "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm native_layer_norm"
        " native_group_norm"
        " _native_multi_head_attention _transformer_encoder_layer_fwd _fused_rms_norm native_channel_shuffle",
    ),
    **_named(_flat_unknown, " ".join(MAKING_BLANKS)),
    **_named(_flat_unknown, "as_strided unfold lstm mkldnn_rnn_layer sort topk _fft_r2c _fft_c2r _fft_c2c cumsum"),
}
