"""``DataSet``: pictures by number, each with a name and perhaps a label, read one at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from interp.images import Photo


class DataSet(ABC):
    """Pictures 0 to ``len`` - 1. Names, labels and order stay the same; only `photo` reads a picture."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is called in titles and messages; no absolute path."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, index: int) -> str:
        """Of one picture; of a file its path below the data, with ``/``."""

    @abstractmethod
    def label(self, index: int) -> str | None:
        """The class of one picture, None where it has none."""

    @abstractmethod
    def photo(self, index: int) -> Photo:
        """The picture, with the SHA-256 of its content; BadFile where it cannot be read."""

    def stamp(self, index: int) -> tuple[int, ...]:
        """Numbers that change when the file behind the picture is written again: its size and time of change; () where there is none."""
        return ()

    def files(self) -> tuple[tuple[Path, str], ...]:
        """Every file that it reads, with the path below ``root`` that it is recorded by."""
        return ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted by name, numbers by value."""
        found = {label for index in range(len(self)) if (label := self.label(index)) is not None}
        return tuple(
            sorted(found, key=lambda text: (0, int(text), text) if text.isascii() and text.isdigit() and len(text) < 19 else (1, 0, text))
        )


def stamp_of(path: Path) -> tuple[int, ...]:
    """Size and time of change of a file; () where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_size, found.st_mtime_ns)
