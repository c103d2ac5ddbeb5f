"""What belongs to which photograph: by the stem of its file's name, never by a path that a file names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Bool

from interp.errors import BadFile, nearest
from interp.images import Photo

Mask = Bool[np.ndarray, "rows cols"]
T = TypeVar("T")


def stem(file_name: str) -> str:
    """The name without folders and suffix, whichever system wrote it: ``train\\\\a.b.jpg`` -> ``a.b``."""
    last = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    name, dot, _ = last.rpartition(".")
    return name if dot and name else last


def by_stem(named: Iterable[tuple[str, T]]) -> dict[str, list[tuple[str, T]]]:
    """(file name, thing) of each stem."""
    found: dict[str, list[tuple[str, T]]] = {}
    for file_name, thing in named:
        found.setdefault(stem(file_name), []).append((file_name, thing))
    return found


def only(photo: Photo, found: Mapping[str, list[tuple[str, T]]], what: str, source: str) -> T:
    """The one thing of the photograph's name; raises BadFile where there is none, or several."""
    things = found.get(photo.name, [])
    if len(things) == 1:
        return things[0][1]
    if things:
        names = " and ".join(f"'{name}'" for name, _ in things[:3])
        raise BadFile(f"{len(things)} {what}s of '{photo.name}' in '{source}': {names}; leave one of them")
    hint = nearest(photo.name, found) or f"there are {len(found)}, each must be called as its picture is"
    raise BadFile(f"no {what} of the picture '{photo.name}' in '{source}': {hint}")


def same_size(photo: Photo, size: tuple[int, int], what: str) -> None:
    """Raises BadFile, naming both sizes, where ``size`` (rows, cols) is not the photograph's."""
    if size == photo.size:
        return
    turned = size == (photo.size[1], photo.size[0])
    why = "the mask must fit the upright picture, after its EXIF rotation" if turned else "give them the same size"
    given = f"{size[0]} x {size[1]} px (rows x cols)"
    raise BadFile(f"{what} is {given}, but the picture '{photo.name}' is {photo.size[0]} x {photo.size[1]} px: {why}")
