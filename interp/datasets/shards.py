"""Shards of WebDataset: tar files in which a picture and what is known of it stand side by side under one key.

Members are read where they lie in the file; nothing is unpacked, so their paths lead nowhere. What is no plain file (links, devices) is
left out. A picture's label is its neighbour ``KEY.cls``, or the entry ``label`` or ``cls`` of ``KEY.json``.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from interp import images
from interp.datasets.dataset import DataSet, stamp_of
from interp.decoding import SUFFIXES
from interp.errors import BadFile
from interp.images import Photo

# Of one member: what is larger is no picture and no label.
_MOST_BYTES = 1 << 29
_MOST_LABEL = 1 << 20
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True)
class _Member:
    shard: int
    name: str
    label: str | None
    offset: int
    size: int


class Shards(DataSet):
    """The pictures in tar files, in the order in which they stand. Raises BadFile where a file is no tar, or none holds a picture."""

    def __init__(self, files: tuple[Path, ...], title: str, below: tuple[str, ...]) -> None:
        self._files, self._title, self._below = files, title, below
        several = len(files) > 1
        self._members = [m for number, path in enumerate(files) for m in _members(number, path, f"{path.stem}/" if several else "")]
        if not self._members:
            raise BadFile(f"'{title}' holds no picture: looked for {', '.join(SUFFIXES)} among the members of {len(files)} tar file(s)")

    @property
    def title(self) -> str:
        return self._title

    def __len__(self) -> int:
        return len(self._members)

    def name(self, index: int) -> str:
        return self._members[index].name

    def label(self, index: int) -> str | None:
        return self._members[index].label

    def photo(self, index: int) -> Photo:
        member = self._members[index]
        return images.of_bytes(member.name, _read(self._files[member.shard], member.offset, member.size, member.name))

    def stamp(self, index: int) -> tuple[int, ...]:
        return stamp_of(self._files[self._members[index].shard])

    def files(self) -> tuple[tuple[Path, str], ...]:
        return tuple(zip(self._files, self._below, strict=True))


def _read(path: Path, offset: int, size: int, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        raise BadFile(f"cannot read '{name}' in '{path.name}': {(error.strerror or str(error)).lower()}") from None
    if len(data) < size:
        raise BadFile(f"'{name}' in '{path.name}' is cut off after {len(data)} of {size} bytes")
    return data


def _members(shard: int, path: Path, prefix: str) -> Iterator[_Member]:
    """The pictures of one shard, with their labels."""
    pictures: list[_Member] = []
    keys: list[str] = []
    labels: dict[str, str] = {}
    for name, offset, size in _plain_files(path):
        folder, slash, last = name.rpartition("/")
        stem, _, extension = last.partition(".")
        key = folder + slash + stem
        kind = "." + extension.rpartition(".")[2].lower()
        if kind in SUFFIXES and 0 < size <= _MOST_BYTES:
            keys.append(key)
            pictures.append(_Member(shard, prefix + name, None, offset, size))
        elif kind in SUFFIXES:
            keys.append(key)
            pictures.append(_Member(shard, prefix + name, None, offset, min(size, _MOST_BYTES)))
        elif extension.lower() in ("cls", "json") and size <= _MOST_LABEL:
            label = _label(_read(path, offset, size, name), extension.lower())
            if label is not None:
                labels.setdefault(key, label)
    for key, member in zip(keys, pictures, strict=True):
        yield _Member(shard, member.name, labels.get(key), member.offset, member.size)


def _plain_files(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size) of each plain file in a tar, in order."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if start.startswith(_COMPRESSED):
            raise BadFile(
                f"'{path}' is compressed, and would have to be unpacked for each picture: decompress it first, for instance with gunzip"
            )
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                # Which the library would otherwise keep, one object per member.
                tar.members = []  # type: ignore[attr-defined]
                if member.isreg() and not member.issparse():
                    yield member.name.lstrip("/"), member.offset_data, member.size
    except (tarfile.TarError, UnicodeError, ValueError, EOFError) as error:
        raise BadFile(f"'{path}' is no tar file that can be read: {' '.join(str(error).split()) or type(error).__name__}") from None
    except OSError as error:
        raise BadFile(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from None


def _label(data: bytes, kind: str) -> str | None:
    try:
        text = data.decode("utf-8").strip()
        if kind == "cls":
            return text if text and "\n" not in text else None
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = next((entry[key] for key in ("label", "cls") if key in entry), None) if isinstance(entry, dict) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip() else None
