"""Moves of the image, drawn anew for each image and step: shifts, scales, turns, windows, borders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from interp.errors import InterpError
from interp.featurevis.chain import Generators, Geometric, uniform
from interp.featurevis.sampling import Matrices, Size, identity, rotation, scaling, shearing, translation


@dataclass(frozen=True)
class Jitter(Geometric):
    """Shift by whole pixels, rows and columns apart; each of the ``pixels`` + 1 places from -pixels // 2 on is equally likely."""

    pixels: int

    def __post_init__(self) -> None:
        _check_pixels("Jitter", self.pixels)

    @property
    def whole(self) -> bool:
        return True

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        draws = [torch.randint(0, self.pixels + 1, (2,), generator=g) for g in generators]
        shifts = torch.stack(draws).double() - (self.pixels + 1) // 2
        return translation(shifts[:, 0], shifts[:, 1])


@dataclass(frozen=True)
class Pad(Geometric):
    """A border of ``pixels`` of ``grey`` (0 to 1) on every side. What moves after it bring in from beyond the border has its colour too."""

    pixels: int
    grey: float = 0.5

    def __post_init__(self) -> None:
        _check_pixels("Pad", self.pixels)
        if not 0 <= self.grey <= 1:
            raise InterpError(f"the `grey` of Pad is {self.grey}: give a value from 0 (black) to 1 (white)")

    @property
    def whole(self) -> bool:
        return True

    @property
    def border(self) -> float:
        return self.grey

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        return identity(len(generators))

    def size(self, before: Size) -> Size:
        return (before[0] + 2 * self.pixels, before[1] + 2 * self.pixels)


@dataclass(frozen=True)
class Crop(Geometric):
    """The middle of the image, ``pixels`` less on every side: what undoes a `Pad`."""

    pixels: int

    def __post_init__(self) -> None:
        _check_pixels("Crop", self.pixels)

    @property
    def whole(self) -> bool:
        return True

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        return identity(len(generators))

    def size(self, before: Size) -> Size:
        if min(before) <= 2 * self.pixels:
            raise InterpError(f"Crop({self.pixels}) leaves nothing of an image of {before[0]} x {before[1]} px (rows x cols)")
        return (before[0] - 2 * self.pixels, before[1] - 2 * self.pixels)


@dataclass(frozen=True)
class Scale(Geometric):
    """Enlarge about the centre; the image's size stays.

    The factor is drawn evenly from ``low`` to ``high`` or, where ``values`` are given, is one of these, each equally likely.
    """

    low: float = 1.0
    high: float = 1.0
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.values and (self.low, self.high) != (1.0, 1.0):
            raise InterpError(f"Scale has both a range, {self.low} to {self.high}, and `values` {self.values}: give one of them")
        for factor in self.values:
            if not 0 < factor < 100:
                raise InterpError(f"the `values` of Scale hold {factor}: give positive factors, such as (0.95, 1.0, 1.05)")
        if not 0 < self.low <= self.high < 100:
            raise InterpError(f"Scale goes from {self.low} to {self.high}: give two positive factors, the smaller first, as 0.9 and 1.1")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        if self.values:
            chosen = [int(torch.randint(0, len(self.values), (), generator=g)) for g in generators]
            factors = torch.tensor([self.values[i] for i in chosen], dtype=torch.float64)
        else:
            factors = uniform(self.low, self.high, generators)
        return scaling(factors, factors)


@dataclass(frozen=True)
class Rotate(Geometric):
    """Turn about the centre, counterclockwise as seen, by an angle drawn evenly from -``degrees`` to ``degrees``."""

    degrees: float

    def __post_init__(self) -> None:
        _check_angle("Rotate", "degrees", self.degrees, 180)

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        return rotation(uniform(-self.degrees, self.degrees, generators))


@dataclass(frozen=True)
class Affine(Geometric):
    """Enlarge, lean, turn and shift, in this order, each drawn evenly by itself.

    ``degrees``: the largest turn either way; ``translate``: the largest shift either way, as a share of the rows and
    of the columns, not in whole pixels; ``scale``: the least and the largest factor; ``shear``: the largest lean of
    upright lines either way, in degrees.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0

    def __post_init__(self) -> None:
        _check_angle("Affine", "degrees", self.degrees, 180)
        _check_angle("Affine", "shear", self.shear, 80)
        if not 0 <= self.translate <= 1:
            raise InterpError(f"`translate` of Affine is {self.translate}: give the largest shift as a share of the image, from 0 to 1")
        if not 0 < self.scale[0] <= self.scale[1] < 100:
            raise InterpError(f"`scale` of Affine is {self.scale}: give two positive factors, the smaller first, as (0.9, 1.1)")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        factors = uniform(*self.scale, generators)
        lean = uniform(-self.shear, self.shear, generators)
        angle = uniform(-self.degrees, self.degrees, generators)
        rows, cols = (uniform(-self.translate, self.translate, generators) * side for side in before)
        return scaling(factors, factors) @ shearing(lean) @ rotation(angle) @ translation(rows, cols)


@dataclass(frozen=True)
class Flip(Geometric):
    """Mirror left to right with probability ``horizontal``, top to bottom with probability ``vertical``."""

    horizontal: float = 0.5
    vertical: float = 0.0

    def __post_init__(self) -> None:
        for name in ("horizontal", "vertical"):
            if not 0 <= getattr(self, name) <= 1:
                raise InterpError(f"`{name}` of Flip is {getattr(self, name)}: give a probability, from 0 to 1")

    @property
    def whole(self) -> bool:
        return True

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        rows, cols = (1 - 2 * (uniform(0.0, 1.0, generators) < chance).double() for chance in (self.vertical, self.horizontal))
        return scaling(rows, cols)


@dataclass(frozen=True)
class RandomCrop(Geometric):
    """A window of the image, in its proportions, enlarged to the image's size (MACO's crops, Fel et al. 2023).

    The window's sides are normal shares of the image's, with mean ``share`` and standard deviation ``sd``, cut to
    ``least`` and ``most``; its centre is normal about the image's, with standard deviation ``centre_sd`` in shares
    of the image's sides, and moved so far that the window lies within the image. A `Resize` right after it is done
    in the same sampling: only where both together shrink, pixels are averaged.
    """

    share: float = 0.25
    sd: float = 0.05
    least: float = 0.05
    most: float = 1.0
    centre_sd: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.share <= self.most <= 1:
            raise InterpError(
                f"RandomCrop has `least` {self.least}, `share` {self.share}, `most` {self.most}: "
                "give shares of the image's sides in this order, above 0 and up to 1, such as 0.05, 0.25 and 1.0"
            )
        for name in ("sd", "centre_sd"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InterpError(f"`{name}` of RandomCrop is {getattr(self, name)}: give a standard deviation, 0 or more, such as 0.15")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        draws = torch.stack([torch.randn(3, generator=g, dtype=torch.float64) for g in generators])
        shares = (self.share + self.sd * draws[:, 0]).clamp(self.least, self.most)
        room = (1 - shares) / 2
        rows, cols = ((self.centre_sd * draws[:, i]).clamp(-room, room) * before[i - 1] for i in (1, 2))
        return translation(-rows, -cols) @ scaling(1 / shares, 1 / shares)


@dataclass(frozen=True)
class Resize(Geometric):
    """To ``rows`` x ``cols`` px, such as the model's input: bilinear, and averaged where it shrinks. Pixels are areas, not points."""

    rows: int
    cols: int

    def __post_init__(self) -> None:
        for side in (self.rows, self.cols):
            if isinstance(side, bool) or not isinstance(side, int) or side < 1:
                raise InterpError(f"Resize to {self.rows} x {self.cols} px: give rows and columns as whole numbers, 1 or more")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        rows, cols = (
            torch.full((len(generators),), after / side, dtype=torch.float64)
            for after, side in zip((self.rows, self.cols), before, strict=True)
        )
        return scaling(rows, cols)

    def size(self, before: Size) -> Size:
        return (self.rows, self.cols)


def _check_pixels(name: str, pixels: int) -> None:
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 0:
        raise InterpError(f"the `pixels` of {name} are {pixels!r}: give a whole number, 0 or more")


def _check_angle(name: str, option: str, degrees: float, most: int) -> None:
    if not 0 <= degrees <= most:
        raise InterpError(f"the `{option}` of {name} are {degrees}: give the largest angle either way, from 0 to {most}")
