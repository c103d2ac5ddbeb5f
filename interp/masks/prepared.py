"""Masks as the network's input shows them: resized and cropped as the photograph is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from interp.errors import InterpError
from interp.images import Photo, Preprocess
from interp.masks.matching import Mask, same_size


@dataclass(frozen=True, eq=False)
class Prepared:
    """Masks (n, rows, cols) aligned with a network's input, and in words what is wrong with some of them.

    Where a mask is empty, localization metrics are not defined (NaN): ``notes`` has a sentence for each such photograph.
    """

    values: Bool[np.ndarray, "n rows cols"]
    notes: tuple[str, ...] = ()


def prepared(preprocess: Preprocess, photos: Sequence[Photo], masks: Sequence[Mask]) -> Prepared:
    """The masks of photographs as ``preprocess(photos)`` shows them.

    Raises InterpError where there is not one for each, BadFile where its size is another.
    """
    if len(masks) != len(photos) or not photos:
        raise InterpError(f"{len(masks)} masks for {len(photos)} pictures: give one for each")
    values = np.stack([preprocessed(preprocess, photo, mask) for photo, mask in zip(photos, masks, strict=True)])
    notes = []
    for photo, mask, value in zip(photos, masks, values, strict=True):
        if not mask.any():
            notes.append(f"the mask of '{photo.name}' marks nothing: localization is not defined for it")
        elif not value.any():
            rows, cols = preprocess.size
            notes.append(f"the object in '{photo.name}' is lost in the crop of {rows} x {cols} px: localization is not defined for it")
    return Prepared(values, tuple(notes))


def preprocessed(preprocess: Preprocess, photo: Photo, mask: Mask) -> Bool[np.ndarray, "h w"]:
    """One mask (rows, cols) of the network's input: the photograph's own resizing and crop, by the nearest pixel.

    What the crop adds around a small picture is no object. Raises BadFile where the mask has not the photograph's size,
    InterpError where the photograph is too narrow to be resized.
    """
    same_size(photo, (mask.shape[0], mask.shape[1]), "the mask")
    # The mask goes the very way of the photograph, as a grey picture, so that the two cannot drift apart.
    picture = replace(photo, pixels=np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255, bands=None, picture=True)
    nearest = replace(preprocess, interpolation="nearest", mean=(0.0,), std=(1.0,))
    shown: np.ndarray = nearest(picture)[0, 0].numpy() > 0.5
    return shown
