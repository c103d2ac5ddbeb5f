"""Pictures in one ``.npz``: ``images`` (n, rows, cols) or (n, rows, cols, channels), 8-bit or in [0, 1], and perhaps ``labels`` (n,)."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from interp.datasets.dataset import DataSet, stamp_of
from interp.datasets.pixels import photo_of
from interp.errors import BadFile
from interp.images import Photo

_MOST_BYTES = 1 << 33


class Arrays(DataSet):
    """The images of one ``.npz``, read into memory whole. Raises BadFile where it holds none; nothing in it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            _refuse_bomb(path)
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                if "images" not in file:
                    raise BadFile(f"'{path}' has no array `images`: there are {', '.join(file.files) or 'none'}")
                self._images = np.asarray(file["images"])
                self._labels = np.asarray(file["labels"]) if "labels" in file else None
        except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, NotImplementedError, KeyError) as error:
            raise BadFile(f"'{path}' cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
        shape = self._images.shape
        if self._images.ndim not in (3, 4) or not all(shape):
            raise BadFile(f"`images` of '{path}' has the shape {shape}: give (n, rows, cols) or (n, rows, cols, channels), none of them 0")
        if self._labels is not None and (self._labels.shape != shape[:1] or self._labels.dtype.kind not in "iuU"):
            given = f"{self._labels.dtype} {self._labels.shape}"
            raise BadFile(f"`labels` of '{path}' is {given}: give {shape[0]} whole numbers or texts, one for each image")

    @property
    def title(self) -> str:
        return self._path.name

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        return f"image {index}"

    def label(self, index: int) -> str | None:
        return None if self._labels is None else str(self._labels[index])

    def photo(self, index: int) -> Photo:
        values = np.ascontiguousarray(self._images[index])
        return photo_of(self.name(index), values, hashlib.sha256(str((values.dtype, values.shape)).encode() + values.tobytes()).hexdigest())

    def stamp(self, index: int) -> tuple[int, ...]:
        return stamp_of(self._path)

    def files(self) -> tuple[tuple[Path, str], ...]:
        return ((self._path, self._path.name),)


def _refuse_bomb(path: Path) -> None:
    """BadFile where what is packed is more than is held in memory."""
    with path.open("rb") as opened, zipfile.ZipFile(opened) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_BYTES:
        raise BadFile(f"'{path}' unpacks to {size} bytes, more than {_MOST_BYTES >> 30} GB: save its pictures to a folder instead")
