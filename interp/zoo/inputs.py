"""How pictures become a network's input, where the user says other than its makers: size, mean and std, or these learned from pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp import images
from interp.errors import InterpError
from interp.images import Photo, Preprocess
from interp.runs.entries import InputEntry
from interp.runs.inputs import in_folder
from interp.zoo.suitable import first_channels

# Digits after the point of what is learned, so that other machines find the same.
_DIGITS = 6


@dataclass(frozen=True)
class Inputs:
    """What is to be other than the network's makers say; what is None or () stays.

    ``size`` is (rows, cols) in pixels, ``resize`` what the shorter side is resized to before the crop (of a ``size`` without it: so
    far that the crop is covered). ``mean`` and ``std`` have a number per channel; ``normalize_from`` is a folder of pictures, or
    one picture, over whose pixels they are computed.
    """

    size: tuple[int, int] | None = None
    resize: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    normalize_from: Path | None = None

    def __post_init__(self) -> None:
        """Raises InterpError for what contradicts itself."""
        if self.normalize_from is not None and (self.mean or self.std):
            raise InterpError("--normalize-from learns the mean and std: leave --mean and --std out, or --normalize-from")
        if self.mean and self.std and len(self.mean) != len(self.std):
            raise InterpError(f"--mean has {_numbers(self.mean)} and --std {_numbers(self.std)}: give one of each per channel")

    def over(self, source: Preprocess, module: nn.Module) -> tuple[Preprocess, tuple[InputEntry, ...], str]:
        """``source`` with what is said here, the pictures that were read for it, and in words what it is; "" where all stays.

        Raises InterpError where it cannot be a preprocessing, BadFile where there are no such pictures.
        """
        if self == Inputs():
            return source, (), ""
        made = source if self.size is None else replace(source, size=self.size, resize=None)
        made = made if self.resize is None else replace(made, resize=self.resize)
        if self.normalize_from is not None:
            return self._learned(made, module, self.normalize_from)
        for option, given, other, kept in (("--mean", self.mean, "--std", source.std), ("--std", self.std, "--mean", source.mean)):
            if given and not (self.mean and self.std) and len(given) != len(kept):
                raise InterpError(f"{option} has {_numbers(given)} for {len(kept)} channels: give {other} too, a number per channel")
        made = replace(made, mean=self.mean or made.mean, std=self.std or made.std)
        return made, (), described(made)

    def _learned(self, source: Preprocess, module: nn.Module, folder: Path) -> tuple[Preprocess, tuple[InputEntry, ...], str]:
        photos = images.load([folder])
        channels = _channels(photos, module)
        plain = replace(source, mean=(0.0,) * channels, std=(1.0,) * channels)
        mean, std = statistics(plain, photos)
        made = replace(source, mean=mean, std=std)
        count = f"{len(photos)} picture{'s' * (len(photos) > 1)}"
        return made, tuple(_entry(photo) for photo in photos if photo.path), f"{described(made)}, of {count} in '{folder.name}'"


def _numbers(values: Sequence[float]) -> str:
    return f"{len(values)} number{'s' * (len(values) != 1)}"


def statistics(preprocess: Preprocess, photos: Sequence[Photo]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and the standard deviation of each channel over all pixels of ``photos`` as ``preprocess`` gives them, to six digits.

    Raises InterpError where a channel is the same everywhere, so that nothing can be divided by its deviation.
    """
    count, total = 0, torch.zeros(len(preprocess.mean), dtype=torch.float64)
    square = torch.zeros_like(total)
    for photo in photos:
        values: Float[Tensor, "c p"] = preprocess(photo)[0].double().flatten(1)
        count += values.shape[1]
        total += values.sum(1)
        square += values.square().sum(1)
    mean = total / count
    std = (square / count - mean.square()).clamp(min=0).sqrt()
    rounded = [round(value, _DIGITS) for value in std.tolist()]
    if not all(rounded):
        raise InterpError(f"channel {rounded.index(0.0)} is the same in all of the {len(photos)} pictures: nothing to normalize by")
    return tuple(round(value, _DIGITS) for value in mean.tolist()), tuple(rounded)


def described(preprocess: Preprocess) -> str:
    """``3 x 64 x 64 (channels x rows x cols), mean 0.5, 0.5, 0.5, std 0.25, 0.25, 0.25``."""
    shape = " x ".join(map(str, (len(preprocess.mean), *preprocess.size)))
    numbers = [", ".join(f"{value:g}" for value in values) for values in (preprocess.mean, preprocess.std)]
    return f"{shape} (channels x rows x cols), mean {numbers[0]}, std {numbers[1]}"


def _channels(photos: Sequence[Photo], module: nn.Module) -> int:
    """The channels that the network is given of these pictures: their bands, where they are no pictures; else 3, or 1 if it takes 1."""
    counts = {photo.bands.shape[2]: photo for photo in photos if photo.bands is not None}
    takes = first_channels(module)
    if takes in counts:
        assert takes is not None
        return takes
    unseen = [count for count, photo in counts.items() if not photo.picture]
    if len(set(unseen)) > 1:
        raise InterpError(f"pictures of {' and '.join(map(str, sorted(unseen)))} bands have no mean in common: keep those of one sort")
    return unseen[0] if unseen else 1 if takes == 1 else 3


def _entry(photo: Photo) -> InputEntry:
    path, given = Path(photo.path), Path(photo.given)
    entry = InputEntry.of(path)
    return entry if path == given else replace(entry, path=in_folder(given, PurePath(path.name)))
