"""Masks as pictures in a folder, each called as its photograph is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from interp.decoding import SUFFIXES, opened
from interp.errors import BadFile, nearest
from interp.images import Photo
from interp.masks.matching import Mask, by_stem, only, same_size


def from_folder(photos: Sequence[Photo], folder: str | Path) -> list[Mask]:
    """The mask of each photograph, (rows, cols) of the photograph, from pictures of the same name in any format.

    Whatever is not zero is object: an index of a palette, a grey value, any channel of a colour. Where a picture is
    partly transparent, what shows is object. JPEG blurs: there at least half of the largest value is object. A mask's own EXIF
    rotation is applied. A mask that marks nothing passes; `prepared` says so.

    Raises BadFile where the folder or a mask is missing, there are several, one cannot be read, or its size is another.
    """
    masks = []
    for photo, file in zip(photos, mask_files(photos, folder), strict=True):
        mask = _read(file)
        same_size(photo, (mask.shape[0], mask.shape[1]), f"the mask '{file.name}'")
        masks.append(mask)
    return masks


def mask_files(photos: Sequence[Photo], folder: str | Path) -> list[Path]:
    """The file of each photograph's mask; raises BadFile where the folder or a mask is missing, or there are several."""
    path = Path(folder)
    if not path.is_dir():
        near = nearest(path.name, [p.name for p in path.parent.iterdir() if p.is_dir()]) if path.parent.is_dir() else ""
        raise BadFile(f"no folder '{folder}' to take masks from{': ' + near if near else ''}")
    files = [p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES]
    if not files:
        raise BadFile(f"the folder '{folder}' holds no mask: looked for {', '.join(SUFFIXES)}")
    found = by_stem((file.name, file) for file in sorted(files, key=lambda p: p.name))
    return [only(photo, found, "mask", str(folder)) for photo in photos]


def _read(path: Path) -> Mask:
    with opened(path, f"the mask '{path}'") as image:
        return _object(ImageOps.exif_transpose(image), blurred=image.format in ("JPEG", "MPO"))


def _object(image: Image.Image, blurred: bool) -> Mask:
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if alpha.min() < 255:
            return alpha > 0
        image = image.convert("RGB")
    values = np.asarray(image)
    marked: np.ndarray = values >= max(1.0, float(values.max()) / 2) if blurred else values != 0
    return np.any(marked, axis=2) if marked.ndim == 3 else marked
