"""Masks from Pascal VOC annotations: the boxes of objects, one XML file for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np

from interp.errors import BadFile, UnknownName, nearest
from interp.images import Photo
from interp.masks import regions
from interp.masks.matching import Mask, by_stem, only, same_size


def from_voc(photos: Sequence[Photo], annotation: str | Path, category: str | None = None) -> list[Mask]:
    """The boxes of all objects in each photograph, or of all of one category, as one mask (rows, cols) of the photograph.

    ``annotation`` is a folder with one XML file for each picture, or one such file. Files belong to photographs by their own stem; a
    single file also by the stem of the ``filename`` in it. Boxes count pixels from 1 and include their last. Boxes of parts are no
    objects. A photograph without such an object has an empty mask; `prepared` says so.

    Raises BadFile where a file is missing, no VOC annotation, declares a document type (entities are not expanded), belongs to a
    picture of another size, has a broken box, or no photograph shows the category; UnknownName where no file names that category.
    """
    files = voc_files(photos, annotation)
    pictures = [_read(file) for file in files]
    if category is not None:
        names = {box.name for picture in pictures for box in picture.boxes}
        if category not in names:
            hint = nearest(category, names) or ("there are " + ", ".join(sorted(names)[:8]) if names else "no object is annotated")
            raise UnknownName(f"no category '{category}' in the {len(pictures)} annotations of '{annotation}': {hint}")
    masks = []
    for photo, picture, file in zip(photos, pictures, files, strict=True):
        if picture.size is not None:
            same_size(photo, picture.size, f"the picture of '{file}'")
        masks.append(_mask(picture, photo, category, file))
    if photos and not any(mask.any() for mask in masks):
        raise BadFile(f"nothing in the {len(photos)} pictures is annotated, says '{annotation}': give other pictures")
    return masks


def voc_files(photos: Sequence[Photo], annotation: str | Path) -> list[Path]:
    """The annotation file of each photograph; raises BadFile where one is missing, or there are several."""
    found = by_stem(_files(Path(annotation)))
    return [only(photo, found, "annotation", str(annotation)) for photo in photos]


@dataclass(frozen=True)
class _Box:
    name: str
    sides: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Picture:
    """What one file says: (rows, cols) where it says so, and the boxes (xmin, ymin, xmax, ymax)."""

    size: tuple[int, int] | None
    boxes: tuple[_Box, ...]


def _files(path: Path) -> list[tuple[str, Path]]:
    """The XML files, each under the names by which it may be called."""
    if path.is_dir():
        files = sorted((p for p in path.iterdir() if p.is_file() and p.suffix.lower() == ".xml"), key=lambda p: p.name)
        if not files:
            raise BadFile(f"the folder '{path}' holds no annotation: looked for .xml")
        return [(file.name, file) for file in files]
    names = [path.name]
    inside = (_root(path).findtext("filename") or "").strip()
    if inside and Path(inside).stem != path.stem:
        names.append(inside)
    return [(name, path) for name in names]


def _mask(picture: _Picture, photo: Photo, category: str | None, file: Path) -> Mask:
    mask = np.zeros(photo.size, dtype=bool)
    for box in picture.boxes:
        if category is not None and box.name != category:
            continue
        left, top, right, bottom = box.sides
        try:
            regions.mark_box(mask, left - 1, top - 1, right, bottom)
        except regions.BadRegion as error:
            raise BadFile(f"'{box.name}' in '{file}': {error}") from None
    return mask


def _read(path: Path) -> _Picture:
    root = _root(path)
    if root.tag != "annotation":
        raise BadFile(f"'{path}' is no VOC annotation: its outermost element is '{root.tag}', not 'annotation'")
    boxes = []
    for number, thing in enumerate(root.findall("object")):
        name = (thing.findtext("name") or "").strip() or f"object {number + 1}"
        frame = thing.find("bndbox")
        if frame is None:
            raise BadFile(f"'{name}' in '{path}' has no 'bndbox'")
        left, top, right, bottom = (_number(frame, side, f"'{name}' in '{path}'") for side in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append(_Box(name, (left, top, right, bottom)))
    size = root.find("size")
    if size is None:
        return _Picture(None, tuple(boxes))
    rows, cols = (int(_number(size, side, f"the size in '{path}'")) for side in ("height", "width"))
    # Tools that do not know the size write 0.
    return _Picture((rows, cols) if rows and cols else None, tuple(boxes))


def _number(parent: ElementTree.Element, tag: str, where: str) -> float:
    text = (parent.findtext(tag) or "").strip()
    try:
        value = float(text)
    except ValueError:
        raise BadFile(f"{where}: '{tag}' is '{text}', not a number") from None
    if not np.isfinite(value):
        raise BadFile(f"{where}: '{tag}' is '{text}', not a finite number")
    return value


class _Declared(Exception):
    """A document type was declared."""


def _root(path: Path) -> ElementTree.Element:
    """The outermost element. A document type is refused before any entity of it is read: entities can grow without bound."""
    try:
        data = path.read_bytes()
    except OSError as error:
        near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        reason = (error.strerror or str(error)).lower()
        raise BadFile(f"cannot read the annotation '{path}': {reason}{'; ' + near if near else ''}") from None
    try:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse
        parser.Parse(data, True)
        return ElementTree.fromstring(data)
    except _Declared:
        raise BadFile(f"the annotation '{path}' declares a document type (DOCTYPE), which is not read: remove it") from None
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadFile(f"the annotation '{path}' is no XML: {str(error).splitlines()[0]}") from None


def _refuse(*declaration: object) -> None:
    raise _Declared
