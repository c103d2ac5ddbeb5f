"""Small changes that a robust image survives: shifts and JPEG. Pure numpy and Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from interp.errors import InterpError
from interp.images import uint8


def shifted(image: Float[np.ndarray, "h w c"], rows: int, cols: int) -> Float[np.ndarray, "h w c"]:
    """``image`` moved ``rows`` down and ``cols`` to the right; what comes in from outside is its mirror image, the border not repeated.

    Raises InterpError where a shift is as long as the image.
    """
    if abs(rows) >= image.shape[0] or abs(cols) >= image.shape[1]:
        size = f"{image.shape[0]} x {image.shape[1]} px"
        raise InterpError(f"an image of {size} (rows x cols) cannot be shifted by {rows},{cols} and mirrored: give less than its size")
    up, left = max(-rows, 0), max(-cols, 0)
    mirrored = np.pad(image, ((max(rows, 0), up), (max(cols, 0), left), (0, 0)), mode="reflect")
    return mirrored[up : up + image.shape[0], left : left + image.shape[1]]


def shifts(size: tuple[int, int], share: float) -> list[tuple[int, int]]:
    """Up, down, left, right by ``share`` of the shorter side of ``size`` (rows, cols), at least 1 pixel."""
    distance = max(1, round(share * min(size)))
    return [(-distance, 0), (distance, 0), (0, -distance), (0, distance)]


def jpeg(image: Float[np.ndarray, "h w 3"], quality: int) -> Float[np.ndarray, "h w 3"]:
    """A [0, 1] image through JPEG at Pillow's ``quality`` (colours at half the resolution, as is usual) and back."""
    memory = io.BytesIO()
    Image.fromarray(uint8(image)).save(memory, format="JPEG", quality=quality)
    with Image.open(memory, formats=("JPEG",)) as decoded:
        return np.asarray(decoded.convert("RGB"), dtype=np.float32) / 255


def variants(image: Float[np.ndarray, "h w 3"], places: Sequence[tuple[int, int]], quality: int) -> Float[np.ndarray, "n h w 3"]:
    """The shifted images, and the one through JPEG last."""
    return np.stack([*(shifted(image, *place) for place in places), jpeg(image, quality)]).astype(np.float32)
