"""How strong each frequency is in photographs: what `Maco` holds its images to.

The mean magnitude spectrum of many crops, in the decorrelated colours before the sigmoid, where MACO writes its
images. Built once from the photographs given and kept in a cache folder, as plain numbers under their hash.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from interp.errors import InterpError
from interp.featurevis.fixed import Fixed
from interp.featurevis.param import Size, frequencies, from_rgb
from interp.images import SAMPLES, Photo, sample

SIDE = 192
# Before the inverse of the sigmoid photographs are brought this far from black and white: nearer, a step of 8 bits
# is a leap of up to one unit of contrast, and the spectrum would be that of rounding and of clipped lights.
_MARGIN = 0.02
# Crops: the shorter side of a photograph, and two thirds of it; so many places along each side that leaves room.
_SHARES, _PLACES = (1.0, 2 / 3), 3
# Part of the cache's key: another recipe gives other files.
_RECIPE = "magnitude 1"
_KEY = "magnitude"


@dataclass(frozen=True)
class Magnitude:
    """Mean |rfft2| (3, side, side / 2 + 1) of photographs in decorrelated colours; symmetric in rows, zero at frequency zero.

    Photographs and their mirror images count alike, which makes the spectrum the same for +row and -row
    frequencies; an image's mean colour is left out. The scale does not matter: `Maco` sets its own contrast.
    """

    spectrum: Fixed

    def __post_init__(self) -> None:
        values = self.spectrum.values
        side = values.shape[1] if values.ndim == 3 else 0
        if side < 4 or side % 2 or values.shape != (3, side, side // 2 + 1):
            shape = "x".join(map(str, values.shape))
            raise InterpError(f"the magnitudes '{self.spectrum}' have shape {shape}: give (3, side, side / 2 + 1), side even and 4 or more")
        sums = values.flatten(1).sum(1)
        if not bool(torch.isfinite(sums).all()) or float(values.min()) < 0 or float(sums.min()) == 0:
            raise InterpError(
                f"the magnitudes '{self.spectrum}' hold negative or infinite numbers, or a channel of zeros: give a mean of |rfft2|"
            )

    @property
    def side(self) -> int:
        """Rows of the crops it was taken from, in pixels."""
        return self.spectrum.shape[1]

    def at(self, size: Size, like: Tensor) -> Float[Tensor, "3 h half"]:
        """For images of ``size`` = (rows, cols), on the device and in the precision of ``like``.

        Taken at the same cycles per pixel, bilinearly in magnitude x frequency, which varies little where the
        magnitude itself falls steeply; below the lowest frequency of the crops it goes on as 1 / frequency. Only the
        absolute row frequency enters, so the result is symmetric in rows at odd and at non-square sizes too. Scaled
        so that an image with these magnitudes has standard deviation 1 over its pixels and colours.
        """
        return _resampled(self, size, like.device, like.dtype)


def magnitude_of(photos: Sequence[Photo], side: int = SIDE) -> Magnitude:
    """The mean magnitude spectrum of several square crops of each photograph, resized to ``side`` x ``side`` px.

    Read from the cache folder where it is there and whole: ``INTERP_CACHE``, else ``XDG_CACHE_HOME``/interp, else the
    platform's own. Raises InterpError for no photographs, an odd ``side``, or photographs smaller than it.
    """
    if not photos:
        raise InterpError("the magnitudes of no photographs were asked for: give at least one, such as interp.images.sample('cat')")
    if side < 4 or side % 2:
        raise InterpError(f"the `side` of magnitude_of is {side}: give an even number of pixels, 4 or more, such as {SIDE}")
    small = min(photos, key=lambda photo: min(photo.size))
    if min(small.size) < side:
        raise InterpError(
            f"the photograph '{small.name}' of {small.size[0]} x {small.size[1]} px (rows x cols) is smaller than `side` {side}: "
            f"enlarging would blur its spectrum; give a `side` of at most {min(small.size) // 2 * 2} or larger photographs"
        )
    names = photos[0].name if len(photos) == 1 else f"{len(photos)} photographs"
    key = _key_of(photos, side)
    values = _cached(key, side)
    if values is None:
        values = _mean(photos, side)
        _keep(key, values)
    return Magnitude(Fixed.of(values, f"{names} at {side} px"))


@cache
def sample_magnitude() -> Magnitude:
    """Of the six photographs that ship with scikit-image."""
    return magnitude_of([sample(name) for name in sorted(SAMPLES)])


def cache_folder() -> Path:
    """``INTERP_CACHE``, else ``XDG_CACHE_HOME``/interp, else the platform's folder for caches."""
    if own := os.environ.get("INTERP_CACHE"):
        return Path(own)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "interp"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "interp"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "interp" / "Cache"
    return Path.home() / ".cache" / "interp"


def _mean(photos: Sequence[Photo], side: int) -> Float[Tensor, "3 side half"]:
    total, count = torch.zeros(3, side, side // 2 + 1, dtype=torch.float64), 0
    for photo in photos:
        for crop in _crops(photo, side):
            values = from_rgb(crop.double().clamp(_MARGIN, 1 - _MARGIN), decorrelated=True)
            total += torch.fft.rfft2(values)[0].abs()
            count += 1
    mean = total / count
    # The spectrum of a mirror image has its row frequencies turned round: row k becomes row -k.
    mean = (mean + mean.flip(1).roll(1, dims=1)) / 2
    mean[:, 0, 0] = 0
    return mean.float()


def _crops(photo: Photo, side: int) -> Iterator[Float[Tensor, "1 3 side side"]]:
    whole = torch.from_numpy(np.array(photo.pixels)).permute(2, 0, 1)[None].float() / 255
    for share in _SHARES:
        edge = max(side, int(min(photo.size) * share))
        tops, lefts = (sorted({round(room * i / (_PLACES - 1)) for i in range(_PLACES)}) for room in (n - edge for n in photo.size))
        for top in tops:
            for left in lefts:
                crop = whole[:, :, top : top + edge, left : left + edge]
                yield F.interpolate(crop, size=(side, side), mode="bilinear", align_corners=False, antialias=True)


# Few sizes are in use at a time; the array is small and otherwise made again at each step.
@lru_cache(maxsize=8)
def _resampled(magnitude: Magnitude, size: Size, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "3 h half"]:
    # Kept beyond this call, so it must be an ordinary tensor even where the first caller infers.
    with torch.inference_mode(False), torch.no_grad():
        side = magnitude.side
        stored = magnitude.spectrum.values.double()
        # Row frequencies 0 to 1/2 only; the others are their mirror images.
        level = stored[:, : side // 2 + 1] * frequencies((side, side), stored)[: side // 2 + 1]
        level[:, 0, 0] = (level[:, 0, 1] + level[:, 1, 0]) / 2
        rows = torch.fft.fftfreq(size[0], dtype=torch.float64).abs()
        cols = torch.fft.rfftfreq(size[1], dtype=torch.float64)
        # From 0..1/2 cycles per pixel to the -1..1 of grid_sample, whose points are (col, row).
        grid = torch.stack(torch.meshgrid(4 * cols - 1, 4 * rows - 1, indexing="xy"), dim=-1)
        found = F.grid_sample(level[None], grid[None], align_corners=True, padding_mode="border")[0] / frequencies(size, stored)
        found[:, 0, 0] = 0
        # Parseval: each coefficient stands for two, but those of column frequency 0 and 1/2.
        twice = torch.full_like(cols, 2.0)
        twice[0] = 1
        if size[1] % 2 == 0:
            twice[-1] = 1
        variance = (found.square() * twice).sum() / (3 * (size[0] * size[1]) ** 2)
        return (found / variance.sqrt()).to(device, dtype)


def _key_of(photos: Sequence[Photo], side: int) -> str:
    digest = hashlib.sha256(f"{_RECIPE}, side {side}".encode())
    for photo in photos:
        digest.update(f", {photo.size}".encode())
        digest.update(np.ascontiguousarray(photo.pixels).tobytes())
    return digest.hexdigest()


def _file(key: str) -> Path:
    return cache_folder() / f"magnitude-{key}.safetensors"


def _cached(key: str, side: int) -> Float[Tensor, "3 side half"] | None:
    """What the cache holds under ``key``; None where it is missing, damaged or not what its own hash says."""
    try:
        with safe_open(_file(key), framework="pt") as file:
            values: Tensor = file.get_tensor(_KEY)
            promised = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError, ValueError, KeyError):
        return None
    if values.dtype != torch.float32 or values.shape != (3, side, side // 2 + 1):
        return None
    return values if Fixed.of(values, "").sha256 == promised else None


def _keep(key: str, values: Float[Tensor, "3 side half"]) -> None:
    """Write to a file beside and rename it, so that no reader sees half of it. Without a writable cache nothing is kept."""
    path = _file(key)
    content = save({_KEY: values.contiguous()}, metadata={"sha256": Fixed.of(values, "").sha256})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".magnitude-", suffix=".part")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except OSError:
        pass
    finally:
        Path(beside).unlink(missing_ok=True)
