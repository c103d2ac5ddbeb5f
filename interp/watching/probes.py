"""The pictures that a network is shown at every record: always the same, so that what changes is the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp.core.rng import content
from interp.errors import InterpError
from interp.images import AnyPhoto, Photo, Preprocess, load
from interp.zoo.own import preprocess_of
from interp.zoo.suitable import first_channels

SAMPLES = ("cat", "astronaut", "rocket", "coffee")
"""The photographs that are taken where none are given."""


@dataclass(frozen=True, eq=False)
class Probes:
    """``images`` (n, channels, rows, cols) float32 on the CPU, as the `Model` of ``preprocess`` takes them, with a name for each."""

    images: Float[Tensor, "n c h w"]
    names: tuple[str, ...]
    preprocess: Preprocess

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each image's shape and values."""
        return tuple(content(image) for image in self.images)


Given = Tensor | np.ndarray | Sequence[str | Path | AnyPhoto] | str | Path | None
"""A tensor or array; or pictures, files, folders, and names of sample photographs."""


def probes(given: Given, preprocess: Preprocess | Mapping[str, Any] | None, network: nn.Module) -> Probes:
    """`Probes` for ``network`` of what the user gave.

    A tensor, or a NumPy array, (n, channels, rows, cols) without ``preprocess`` goes into the network as it is; with it, it is in
    [0, 1] and of that size. Pictures are prepared by ``preprocess``, by default as for ImageNet.

    Raises BadFile where a picture cannot be read; InterpError where a tensor has another shape or size, or pictures do not fit.
    """
    asked = None if preprocess is None else preprocess_of(preprocess, "`preprocess`")
    if isinstance(given, np.ndarray):
        given = _tensor(given)
    if isinstance(given, Tensor):
        return _of_tensor(given, asked)
    channels = first_channels(network)
    if asked is None and channels not in (None, 3):
        raise InterpError(
            f"the network takes {channels} channel{'s' * (channels != 1)} and `images` are photographs: give a tensor, or say how pictures "
            f"are prepared, such as `preprocess=interp.Preprocess(size=(28, 28), resize=28, mean=(0.5,), std=(0.5,))`"
        )
    used = asked or Preprocess()
    photos = _photos(SAMPLES if given is None else given)
    names = tuple(photo.name if isinstance(photo, Photo) else f"image {k}" for k, photo in enumerate(photos))
    return Probes(used(photos), names, used)


def _photos(given: Sequence[str | Path | AnyPhoto] | str | Path) -> list[AnyPhoto]:
    items = [given] if isinstance(given, (str, Path)) else list(given)
    photos = [photo for item in items for photo in (load(item) if isinstance(item, (str, Path)) else [item])]
    if not photos:
        raise InterpError("`images` holds no picture: give at least one, or leave it out for the sample photographs")
    return photos


def _tensor(given: np.ndarray) -> Tensor:
    """A copy, as arrays may be read-only, run backwards, or be of the other byte order."""
    try:
        return torch.from_numpy(given.astype(given.dtype.newbyteorder("="), order="C", copy=True))
    except TypeError:
        raise InterpError(f"`images` is an array of {given.dtype}: give floats (n, channels, rows, cols)") from None


def _of_tensor(given: Tensor, preprocess: Preprocess | None) -> Probes:
    if given.ndim != 4 or 0 in given.shape:
        raise InterpError(f"`images` is a tensor of shape {tuple(given.shape)}: give (n, channels, rows, cols), at least one image")
    if not given.is_floating_point():
        raise InterpError(f"`images` is {given.dtype}: give floats, for instance divided by 255")
    size = (int(given.shape[2]), int(given.shape[3]))
    if preprocess is not None and preprocess.size != size:
        wanted = " x ".join(map(str, preprocess.size))
        raise InterpError(
            f"`images` are of {size[0]} x {size[1]} px (rows x cols), and `preprocess` is for {wanted}: give one of these sizes"
        )
    channels = int(given.shape[1])
    used = preprocess or Preprocess(size, None, (0.0,) * channels, (1.0,) * channels)
    images = given.detach().to("cpu", torch.float32, copy=True).contiguous()
    return Probes(images, tuple(f"image {k}" for k in range(len(images))), used)


def normalized_already(probes: Probes) -> bool:
    """Whether the images leave [0, 1], so that nobody knows what a picture in [0, 1] is to the network."""
    return float(probes.images.min()) < 0 or float(probes.images.max()) > 1
