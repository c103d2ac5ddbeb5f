"""Which pictures, in words that another process can open them by; and the sample photographs with their parts, where none are named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor

from interp import datasets, images
from interp.core.model import Model
from interp.datasets import DataSet
from interp.errors import InterpError
from interp.images import Photo
from interp.runs import array_hash

# Of each sample: the whole, and squares of these shares of its shorter side, so many along each side, from border to border.
GRIDS = ((1 / 2, 3), (1 / 4, 4))


@dataclass(frozen=True)
class Part:
    """A rectangle of a photograph: the photograph's name, and (top, left, bottom, right) in its pixels."""

    photo: str
    box: tuple[int, int, int, int]


class Samples(DataSet):
    """The sample photographs whole, then in 3 x 3 and 4 x 4 overlapping parts: so few photographs would be the examples of every unit."""

    def __init__(self) -> None:
        self._photos = [images.sample(name) for name in images.SAMPLES]
        self._places = [(k, 1.0, 0, 0, 1) for k in range(len(self._photos))]
        for k in range(len(self._photos)):
            self._places += [(k, share, row, col, count) for share, count in GRIDS for row in range(count) for col in range(count)]

    @property
    def title(self) -> str:
        return "sample photographs"

    def __len__(self) -> int:
        return len(self._places)

    def name(self, index: int) -> str:
        k, _, row, col, count = self._places[index]
        return self._photos[k].name if count == 1 else f"{self._photos[k].name}, part {row + 1},{col + 1} of {count} x {count}"

    def label(self, index: int) -> str | None:
        return None

    def photo(self, index: int) -> Photo:
        k, _, _, _, count = self._places[index]
        whole = self._photos[k]
        if count == 1:
            return whole
        top, left, bottom, right = self.part(index).box
        pixels = np.ascontiguousarray(whole.pixels[top:bottom, left:right])
        return replace(whole, name=self.name(index), pixels=pixels, sha256=array_hash(pixels))

    def part(self, index: int) -> Part:
        """Where the picture lies in its photograph."""
        k, share, row, col, count = self._places[index]
        whole = self._photos[k]
        if count == 1:
            return Part(whole.name, (0, 0, *whole.size))
        side = round(min(whole.size) * share)
        top, left = round(row / (count - 1) * (whole.size[0] - side)), round(col / (count - 1) * (whole.size[1] - side))
        return Part(whole.name, (top, left, top + side, left + side))


@dataclass(frozen=True)
class Data:
    """A data set by the ``source`` that `datasets.open` takes, "" for the samples; ``labels``: a table of labels for it."""

    source: str = ""
    labels: Path | None = None

    def open(self) -> DataSet:
        """The data set; raises InterpError where it cannot be had."""
        if not self.source:
            if self.labels is not None:
                raise InterpError(f"--labels '{self.labels.name}' is of pictures of your own: name these with --images")
            return Samples()
        found = datasets.open(self.source)
        return found if self.labels is None else datasets.with_labels(found, self.labels)


_opened: dict[Data, DataSet] = {}


def provide(data: Data, found: DataSet) -> None:
    """Let this process use a data set that it has already."""
    _opened.clear()
    _opened[data] = found
    _image.cache_clear()


def data_of(data: Data) -> DataSet:
    """The data set, opened at the first call in this process, the one before it forgotten."""
    if data not in _opened:
        provide(data, data.open())
    return _opened[data]


def image_of(model: Model, data: Data, index: int) -> Tensor:
    """What the network is given of one picture: (channels, rows, cols) in [0, 1]; BadFile where it cannot be read any more."""
    return _image(model, data, index)


@lru_cache(maxsize=64)  # of 1024 x 1024 px they take 800 MB in each process
def _image(model: Model, data: Data, index: int) -> Tensor:
    return model.preprocess(data_of(data).photo(index))[0]
