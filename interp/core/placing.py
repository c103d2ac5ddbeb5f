"""Which axes the tensors of one forward have: see `interp.core.axes` for what axes are, `interp.core.axis_rules` for the rules.

Beside the axes it is followed which tensors are of one image alone: detectors take the images of a batch apart, make each fit, and
write them into an empty batch or stack them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from interp.core.axes import Axes, Axis, Kind, Part, lengthened, other, pictures, size_of, told
from interp.core.axis_rules import MAKING_BLANKS, MAKING_MAPS, RULES, same
from interp.core.axis_windows import Found
from interp.core.layout import Layout

_TAKING_APART = ("unbind", "select", "slice", "split", "split_with_sizes")
_PUTTING_TOGETHER = ("stack", "cat")
# Where an image was written that is not its own place.
_ELSEWHERE = "elsewhere"


class PlaceTracker(TorchDispatchMode):
    """Context in which each tensor computed from the ``images`` (N, C, rows, cols) carries its axes."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._count = len(images)
        self._axes: Any = WeakIdKeyDictionary()
        self._axes[images] = pictures(images.shape)
        # Of which image alone a tensor is; and of tensors that were made of one number, what each image wrote into them.
        self._image: Any = WeakIdKeyDictionary()
        self._blank: Any = WeakIdKeyDictionary()

    def of(self, tensor: Any) -> Found:
        """The axes of a tensor; None where nothing is known of them."""
        axes: Found = self._axes.get(tensor) if isinstance(tensor, Tensor) else None
        return axes

    def layout(self, tensor: Tensor) -> Layout | str | None:
        """The layout of a layer's output, or why it has none; None where its sizes have to tell."""
        axes = self.of(tensor)
        return None if axes is None else told(axes, tuple(tensor.shape[1:]))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name in MAKING_BLANKS:
            self._blank[outputs] = {}
        elif name in MAKING_MAPS or any(self.of(leaf) is not None for leaf in tree_leaves(args)):
            results = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
            rule = RULES.get(name, same)
            for tensor, axes in zip(results, rule(self.of, args, results), strict=False):
                self._carry(tensor, axes)
            self._follow_images(name, args, results)
            if name == "copy_" and args[0]._base is not None:
                self._written(args[0]._base, args[0], args[1])
        return outputs

    def _carry(self, tensor: Tensor, axes: Found) -> None:
        # What does not add up is not known.
        if axes is not None and tuple(map(size_of, axes)) == tuple(tensor.shape):
            self._axes[tensor] = axes
        else:
            self._axes.pop(tensor, None)

    def _follow_images(self, name: str, args: tuple[Any, ...], results: list[Tensor]) -> None:
        """Note of which image alone the results are; put the axis of images back where all come together in their order."""
        inputs = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        apart = self._apart(name, args, results) if name in _TAKING_APART else None
        alone = {self._image[leaf] for leaf in inputs if leaf in self._image}
        spanning = any(part.kind is Kind.IMAGE for leaf in inputs for axis in self.of(leaf) or () for part in axis)
        for k, result in enumerate(results):
            if apart is not None and apart[k] is not None:
                self._image[result] = apart[k]
            elif len(alone) == 1 and not spanning:
                self._image[result] = next(iter(alone))
            else:
                self._image.pop(result, None)
        if name in _PUTTING_TOGETHER and [self._image.get(leaf) for leaf in args[0]] == list(range(self._count)):
            axes, dim = self.of(results[0]), (args[1] if len(args) > 1 else 0) % results[0].ndim
            if axes is not None and results[0].shape[dim] == self._count:
                self._axes[results[0]] = (*axes[:dim], self._images_axis, *axes[dim + 1 :])

    def _apart(self, name: str, args: tuple[Any, ...], results: list[Tensor]) -> list[int | None] | None:
        """Of which image each result is, where the operation takes the axis of images apart."""
        axes = self.of(args[0])
        dim = (args[2] if name.startswith("split") else args[1]) if len(args) > (2 if name.startswith("split") else 1) else 0
        if axes is None or axes[dim] != self._images_axis:
            return None
        if name == "unbind":
            return list(range(self._count))
        if name == "select":
            return [args[2] % self._count]
        starts = [0]
        if name == "slice":
            starts = [slice(*(*args[2:4], None, None)[:2]).indices(self._count)[0]]
        else:
            for result in results:
                starts.append(starts[-1] + result.shape[dim])
        return [start if result.shape[dim] == 1 else None for start, result in zip(starts, results, strict=False)]

    def _written(self, base: Tensor, part: Tensor, source: Tensor) -> None:
        """``source`` was copied into ``part``, a view of ``base``, which then has its axes, where nothing else was in it."""
        axes = self.of(source)
        if base not in self._blank or axes is None:
            return
        placed = None if part.shape != source.shape else _region(base, part)
        longer = None if placed is None else _around(base, axes, placed)
        image, parts = self._image.get(source), self._blank[base]
        if longer is None or parts.get(image, longer) != longer:  # pieces that do not fit each other
            self._blank.pop(base)
            self._axes.pop(base, None)
            return
        if image is None:
            parts[None] = longer
        elif base.shape[0] == self._count and _at(placed, part) == image:
            parts[image] = longer
        else:
            parts[_ELSEWHERE] = (other(base.shape[0]), *longer[1:])
        self._carry(base, self._together(parts))

    def _together(self, parts: dict[Any, Axes]) -> Found:
        """The axes of a tensor that was empty before ``parts`` were written into it; None before each image was."""
        if _ELSEWHERE in parts:
            return parts[_ELSEWHERE]
        first = next(iter(parts.values()))
        if any(axes != first for axes in parts.values()):
            return None
        if set(parts) == {None}:
            return first
        return (self._images_axis, *first[1:]) if set(parts) == set(range(self._count)) else None

    @property
    def _images_axis(self) -> Axis:
        return (Part(Kind.IMAGE, self._count),)


def _region(base: Tensor, part: Tensor) -> list[tuple[int | None, int]] | None:
    """Of each dimension of ``base`` that of ``part`` which runs along it, and where it begins; (None, index) where one index was taken.

    None where that cannot be told from how they lie in memory.
    """
    offset, k = int(part.storage_offset()) - int(base.storage_offset()), 0
    found: list[tuple[int | None, int]] = []
    if not base.is_contiguous():
        return None
    for size, stride in zip(base.shape, base.stride(), strict=True):
        start, offset = divmod(offset, max(1, stride))
        along = k < part.ndim and part.stride(k) == stride and start + part.shape[k] <= size
        found.append((k if along else None, start))
        k += along
    return found if k == part.ndim else None


def _at(placed: Sequence[tuple[int | None, int]] | None, part: Tensor) -> int | None:
    """Which one index of the first dimension was written to."""
    if placed is None:
        return None
    along, start = placed[0]
    return start if along is None or part.shape[along] == 1 else None


def _around(base: Tensor, axes: Axes, placed: Sequence[tuple[int | None, int]]) -> Found:
    """The axes of ``base``, into which a tensor of ``axes`` was written where ``placed`` says; () for where one index was taken."""
    found: list[Axis] = []
    for size, (k, start) in zip(base.shape, placed, strict=True):
        axis = () if k is None else lengthened(axes[k], start, size - start - size_of(axes[k]))
        if axis is None:
            return None
        found.append(axis)
    return tuple(found)
