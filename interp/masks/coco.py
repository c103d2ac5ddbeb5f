"""Masks from a COCO annotation file: polygons, run lengths (plain or compressed) and boxes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from interp.errors import BadFile, UnknownName, nearest
from interp.images import Photo
from interp.masks import regions
from interp.masks.matching import Mask, by_stem, only, same_size


def from_coco(photos: Sequence[Photo], annotation: str | Path, category: str | None = None) -> list[Mask]:
    """All that is annotated in each photograph, or all of one category, as one mask (rows, cols) of the photograph.

    Photographs are found by the stem of ``file_name``, whatever folder it names; no file but the annotation is opened. A pixel counts
    where its middle lies inside. Regions are joined, crowds (``iscrowd``) among them: they show the category too. An annotation
    without a segmentation counts with its box. A photograph without such an object has an empty mask; `prepared` says so.

    Raises BadFile where the file is no COCO annotation, a photograph is not in it or has another size, a region is broken, or no
    photograph shows the category; UnknownName where there is no such category.
    """
    content = _Content.read(Path(annotation))
    chosen = content.category(category)
    found = by_stem((str(image["file_name"]), image) for image in content.images)
    masks = []
    for photo in photos:
        image = only(photo, found, "entry", content.source)
        if "height" in image and "width" in image:
            same_size(photo, (image["height"], image["width"]), f"the entry '{image['file_name']}' of '{content.source}'")
        mask = np.zeros(photo.size, dtype=bool)
        for region in content.regions(image["id"], chosen):
            _mark(mask, region, photo, content.source)
        masks.append(mask)
    if photos and not any(mask.any() for mask in masks):
        what = "annotated" if category is None else f"a '{category}'"
        raise BadFile(f"nothing in the {len(photos)} pictures is {what}, says '{content.source}': give other pictures or another category")
    return masks


_MOST = 1e300
"""What is larger stands nowhere in a picture."""


@dataclass(frozen=True)
class _Content:
    source: str
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> _Content:
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            near = nearest(path.name, [p.name for p in path.parent.glob("*.json")]) if path.parent.is_dir() else ""
            reason = (error.strerror or str(error)).lower()
            raise BadFile(f"cannot read the annotation '{path}': {reason}{'; ' + near if near else ''}") from None
        except (ValueError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise BadFile(f"the annotation '{path}' is no JSON: {reason}") from None
        return cls(
            str(path),
            _entries(content, "images", ("id", "file_name"), path),
            _entries(content, "annotations", ("image_id",), path),
            _entries(content, "categories", ("id", "name"), path) if "categories" in content else [],
        )

    def category(self, name: str | None) -> Any:
        """The id of a category; None for all."""
        if name is None:
            return None
        ids = {str(entry["name"]): entry["id"] for entry in self.categories}
        if name not in ids:
            hint = nearest(name, ids) or ("there are " + ", ".join(list(ids)[:8]) if ids else "it names no categories")
            raise UnknownName(f"no category '{name}' in '{self.source}': {hint}")
        return ids[name]

    def regions(self, image: Any, category: Any) -> Iterator[dict[str, Any]]:
        for entry in self._by_image.get(_key(image), ()):
            if category is None or entry.get("category_id") == category:
                yield entry

    @cached_property
    def _by_image(self) -> dict[object, list[dict[str, Any]]]:
        found: dict[object, list[dict[str, Any]]] = {}
        for entry in self.annotations:
            found.setdefault(_key(entry["image_id"]), []).append(entry)
        return found


def _key(given: Any) -> object:
    """An id, which is a number or a text, or whatever else someone wrote there."""
    return given if isinstance(given, (int, float, str)) else json.dumps(given)


def _entries(content: Any, key: str, fields: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    """A list of objects, each with some fields."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise BadFile(f"'{path}' is no COCO annotation: it has no list '{key}'")
    for index, entry in enumerate(entries):
        missing = [f for f in fields if not isinstance(entry, dict) or f not in entry]
        if missing:
            raise BadFile(f"'{path}' is no COCO annotation: entry {index} of '{key}' has no '{missing[0]}'")
    return entries


def _mark(mask: Mask, region: dict[str, Any], photo: Photo, source: str) -> None:
    where = f"annotation {region.get('id', '(without id)')} of '{source}'"
    try:
        segmentation = region.get("segmentation")
        if isinstance(segmentation, dict):
            mask |= _runs(segmentation, photo, where)
        elif segmentation:
            _mark_polygons(mask, segmentation)
        else:
            _mark_box(mask, region.get("bbox"))
    except regions.BadRegion as error:
        raise BadFile(f"{where}: {error}") from None


def _mark_polygons(mask: Mask, segmentation: Any) -> None:
    if not isinstance(segmentation, list):
        raise regions.BadRegion(f"a segmentation is a {type(segmentation).__name__}: polygons or run lengths are needed")
    for corners in segmentation:
        regions.mark_polygon(mask, _numbers(corners, "a polygon"))


def _runs(segmentation: dict[str, Any], photo: Photo, where: str) -> Mask:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)):
        raise regions.BadRegion(f"run lengths are of size {size}: [rows, cols] is needed")
    same_size(photo, (size[0], size[1]), where)
    if isinstance(counts, str):
        return regions.run_lengths(regions.decompressed(counts), photo.size)
    if not (isinstance(counts, list) and all(type(count) is int for count in counts)):
        raise regions.BadRegion("run lengths are neither a list of whole numbers nor compressed text")
    return regions.run_lengths(counts, photo.size)


def _mark_box(mask: Mask, values: Any) -> None:
    numbers = _numbers(values, "a box")
    if len(numbers) != 4:
        raise regions.BadRegion(f"a box has {len(numbers)} numbers: x, y, width and height are needed")
    left, top, width, height = numbers
    regions.mark_box(mask, left, top, left + width, top + height)


def _numbers(values: Any, what: str) -> list[float]:
    if not (isinstance(values, list) and all(type(v) in (int, float) for v in values)):
        raise regions.BadRegion(f"{what} is no list of numbers")
    # Whole numbers have no end in JSON, floats do.
    return [float(v) if abs(v) <= _MOST else math.inf for v in values]
