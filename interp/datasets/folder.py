"""Pictures in a folder and the folders in it, whose names are the classes where every picture lies in one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from interp import bands, images
from interp.datasets.dataset import DataSet, stamp_of
from interp.decoding import SUFFIXES
from interp.errors import BadFile
from interp.images import Photo


class Folder(DataSet):
    """The pictures below ``root``, sorted by path; of a folder without any its arrays (``.npy``).

    Hidden files and folders are left out, and links to folders are not followed. A picture's label is the first folder of its path,
    where all lie in folders.

    Raises BadFile where there is no picture.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        found = sorted(_files(root), key=lambda below: below.split("/"))
        for suffixes in (SUFFIXES, (".npy",)):
            self._names: Sequence[str] = [below for below in found if PurePosixPath(below).suffix.lower() in suffixes]
            if self._names:
                break
        else:
            raise BadFile(
                f"the folder '{root}' holds no picture: looked for {', '.join((*SUFFIXES, bands.ARRAYS[0]))}, in folders inside too"
            )
        self._labelled = all("/" in below for below in self._names)

    @property
    def title(self) -> str:
        return self.root.resolve().name or "folder"

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[index]

    def label(self, index: int) -> str | None:
        return self._names[index].partition("/")[0] if self._labelled else None

    def photo(self, index: int) -> Photo:
        return images.read(self.root / self._names[index])

    def stamp(self, index: int) -> tuple[int, ...]:
        return stamp_of(self.root / self._names[index])

    def files(self) -> tuple[tuple[Path, str], ...]:
        return tuple((self.root / below, below) for below in self._names)


def _files(root: Path) -> Iterator[str]:
    """The paths of files below ``root``, with ``/``; what cannot be listed is passed over."""
    for base, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        below = Path(base).relative_to(root).as_posix()
        for name in names:
            if not name.startswith("."):
                yield name if below == "." else f"{below}/{name}"
