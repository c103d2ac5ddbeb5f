"""A ``torch.utils.data.Dataset`` as a `DataSet`: anything with a length whose items are pictures, or pairs of a picture and a label."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from interp.datasets.dataset import DataSet
from interp.datasets.pixels import photo_of
from interp.errors import BadFile, InterpError
from interp.images import Photo


class Wrapped(DataSet):
    """Items are a PIL picture, a tensor (channels, rows, cols), or an array (rows, cols, channels), 8-bit or in [0, 1]; alone or first in a
    tuple whose second entry is a label: a whole number, which ``classes`` names, or a text.

    Pictures go through the network's own preprocessing, so the data set should have none but to resize. Labels are asked for once, by
    ``targets`` where the data set has these, else by reading each item.
    """

    def __init__(
        self, items: Any, title: str = "", classes: Sequence[str] | None = None, origin: tuple[tuple[Path, str], ...] = ()
    ) -> None:
        """Raises InterpError where ``items`` has no length or is empty."""
        try:
            self._count = len(items)
        except TypeError:
            raise InterpError(
                f"`items` is a {type(items).__name__} without a length: give a data set that is asked for items by number"
            ) from None
        if not self._count:
            raise InterpError(f"the data set {title or type(items).__name__} is empty")
        self._items, self._title, self._origin = items, title or type(items).__name__, origin
        own = getattr(items, "classes", None)
        names = classes if classes is not None else own if isinstance(own, list | tuple) else ()
        self._classes = tuple(str(name) for name in names)
        self._labels: list[str | None] | None = None

    @property
    def title(self) -> str:
        return self._title

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return f"image {index}"

    def label(self, index: int) -> str | None:
        if self._labels is None:
            targets = getattr(self._items, "targets", None)
            known = targets if isinstance(targets, list | tuple | Tensor | np.ndarray) and len(targets) == self._count else None
            self._labels = [self._named(known[k] if known is not None else self._pair(k)[1]) for k in range(self._count)]
        return self._labels[index]

    def photo(self, index: int) -> Photo:
        try:
            picture = self._items[index]
        except Exception as error:  # whatever somebody's data set may raise
            raise BadFile(
                f"'{self.name(index)}' of {self._title} cannot be read: {' '.join(str(error).split()) or type(error).__name__}"
            ) from None
        values = _values(picture[0] if isinstance(picture, tuple | list) and picture else picture, self.name(index))
        digest = hashlib.sha256(str((values.dtype, values.shape)).encode() + values.tobytes()).hexdigest()
        return photo_of(self.name(index), values, digest)

    def files(self) -> tuple[tuple[Path, str], ...]:
        return self._origin

    def _pair(self, index: int) -> tuple[Any, Any]:
        try:
            item = self._items[index]
        except Exception:  # it is told where the picture is read
            return (None, None)
        return (item[0], item[1]) if isinstance(item, tuple | list) and len(item) > 1 else (item, None)

    def _named(self, label: Any) -> str | None:
        if isinstance(label, Tensor | np.generic | np.ndarray) and getattr(label, "ndim", 0) == 0:
            label = label.item()
        if isinstance(label, bool) or not isinstance(label, int | str):
            return None
        if isinstance(label, int) and 0 <= label < len(self._classes):
            return self._classes[label]
        return str(label)


def _values(picture: Any, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    if isinstance(picture, Image.Image):
        return np.ascontiguousarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
    if isinstance(picture, Tensor):
        if picture.ndim != 3:
            raise BadFile(f"'{name}' is a tensor of shape {tuple(picture.shape)}: give (channels, rows, cols)")
        values = picture.detach().cpu().permute(1, 2, 0)
        return np.ascontiguousarray((values if values.dtype == torch.uint8 else values.float()).numpy())
    if isinstance(picture, np.ndarray):
        return np.ascontiguousarray(picture)
    raise BadFile(f"'{name}' is a {type(picture).__name__}: give a PIL picture, a tensor or an array")
