"""Small random movements of the image before each step, so that what is found does not hang on single pixels.

Geometric transforms are affine maps about the image's centre. A chain of them is multiplied up and sampled
once, so that an image is interpolated once, not once per transform. Each image has its own generator: its
draws do not depend on which other images share its batch. (Transformation robustness: Olah, Mordvintsev &
Schubert 2017; Mordvintsev et al. 2015, "jitter".)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError

Size = tuple[int, int]
Images = Float[Tensor, "n c h w"]
# A transform may change the size.
Moved = Float[Tensor, "n c rows cols"]
Generators = Sequence[torch.Generator]
# Maps (col, row, 1) of an output pixel to that of an input pixel, both counted in pixels from their image's centre.
Matrices = Float[Tensor, "n 3 3"]

# The image size for which lucid's standard transforms are written down.
_LUCID_SIZE = 128


class Transform(ABC):
    """``(images, generators) -> images``: [0, 1] in and out, one generator per image, differentiable in the images."""

    @abstractmethod
    def __call__(self, images: Images, generators: Generators) -> Moved: ...

    @abstractmethod
    def size(self, before: Size) -> Size:
        """(rows, cols) of what comes out, for images of ``before`` = (rows, cols)."""


class Geometric(Transform):
    """An affine map: what a chain multiplies up. What comes from outside the image is its mirror image, or a `Pad`'s colour."""

    @abstractmethod
    def matrices(self, before: Size, generators: Generators) -> Matrices:
        """Float64, on the CPU: where in the input, of size ``before``, each output pixel is taken from."""

    def size(self, before: Size) -> Size:
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        return Compose((self,))(images, generators)


@dataclass(frozen=True)
class Jitter(Geometric):
    """Shift by whole pixels, rows and columns apart; each of the ``pixels`` + 1 places from -pixels // 2 on is equally likely."""

    pixels: int

    def __post_init__(self) -> None:
        _check_pixels("Jitter", self.pixels)

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        draws = [torch.randint(0, self.pixels + 1, (2,), generator=g) for g in generators]
        shifts = torch.stack(draws).double() - (self.pixels + 1) // 2
        return translation(shifts[:, 0], shifts[:, 1])


@dataclass(frozen=True)
class Scale(Geometric):
    """Enlarge about the centre by a factor drawn evenly from ``low`` to ``high``; the image's size stays."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < 100:
            raise InterpError(f"Scale goes from {self.low} to {self.high}: give two positive factors, the smaller first, as 0.9 and 1.1")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        factors = _uniform(self.low, self.high, generators)
        return torch.diag_embed(torch.stack([1 / factors, 1 / factors, torch.ones_like(factors)], dim=1))


@dataclass(frozen=True)
class Rotate(Geometric):
    """Turn about the centre, counterclockwise as seen, by an angle drawn evenly from -``degrees`` to ``degrees``."""

    degrees: float

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180:
            raise InterpError(f"the `degrees` of Rotate are {self.degrees}: give the largest angle either way, from 0 to 180")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        return rotation(_uniform(-self.degrees, self.degrees, generators))


@dataclass(frozen=True)
class Pad(Geometric):
    """A border of ``pixels`` of ``grey`` (0 to 1) on every side. In a chain, what lies beyond the border has its colour too."""

    pixels: int
    grey: float = 0.5

    def __post_init__(self) -> None:
        _check_pixels("Pad", self.pixels)
        if not 0 <= self.grey <= 1:
            raise InterpError(f"the `grey` of Pad is {self.grey}: give a value from 0 (black) to 1 (white)")

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        return torch.eye(3, dtype=torch.float64).expand(len(generators), 3, 3)

    def size(self, before: Size) -> Size:
        return (before[0] + 2 * self.pixels, before[1] + 2 * self.pixels)


@dataclass(frozen=True)
class Crop(Geometric):
    """The middle of the image, ``pixels`` less on every side: what undoes a `Pad`."""

    pixels: int

    def __post_init__(self) -> None:
        _check_pixels("Crop", self.pixels)

    def matrices(self, before: Size, generators: Generators) -> Matrices:
        return torch.eye(3, dtype=torch.float64).expand(len(generators), 3, 3)

    def size(self, before: Size) -> Size:
        if min(before) <= 2 * self.pixels:
            raise InterpError(f"Crop({self.pixels}) leaves nothing of an image of {before[0]} x {before[1]} px (rows x cols)")
        return (before[0] - 2 * self.pixels, before[1] - 2 * self.pixels)


@dataclass(frozen=True)
class Compose(Transform):
    """One after the other, the first first. Geometric ones that follow each other are sampled once, bilinearly.

    A `Pad` that is not the first of them begins a new sampling. An empty chain changes nothing.
    """

    parts: tuple[Transform, ...] = ()

    def size(self, before: Size) -> Size:
        for part in self.parts:
            before = part.size(before)
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        _check_count(images, generators)
        matrices: Matrices | None = None
        outside: float | None = None
        size: Size = (images.shape[2], images.shape[3])
        for part in self.parts:
            if matrices is not None and (isinstance(part, Pad) or not isinstance(part, Geometric)):
                images, matrices = sample(images, matrices, size, outside), None
            if not isinstance(part, Geometric):
                images, size = part(images, generators), part.size(size)
                continue
            if isinstance(part, Pad):
                outside = part.grey
            step = part.matrices(size, generators)
            matrices = step if matrices is None else matrices @ step
            size = part.size(size)
        return images if matrices is None else sample(images, matrices, size, outside)


@dataclass(frozen=True)
class Standard(Transform):
    """Lucid's standard chain, its pixels scaled to the image: surroundings ``grey``, jitter 8, scale 0.9-1.1, rotate 10, jitter 4.

    Lucid's pixels are those of a 128 px image. Its border of 12 px is cut off again, so that the size
    stays and networks that take one size only can be used.
    """

    grey: float = 0.5

    def chain(self, size: Size) -> Compose:
        """The transforms for images of ``size`` = (rows, cols)."""
        unit = min(size) / _LUCID_SIZE
        border = max(1, round(12 * unit))
        first, last = Jitter(max(1, round(8 * unit))), Jitter(max(1, round(4 * unit)))
        return Compose((Pad(border, self.grey), first, Scale(0.9, 1.1), Rotate(10.0), last, Crop(border)))

    def size(self, before: Size) -> Size:
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        return self.chain((images.shape[2], images.shape[3]))(images, generators)


NONE = Compose()
STANDARD = Standard()


def translation(rows: Float[Tensor, " n"], cols: Float[Tensor, " n"]) -> Matrices:
    """The image's content moves down by ``rows`` and right by ``cols`` pixels."""
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(rows), 1, 1)
    matrices[:, 0, 2], matrices[:, 1, 2] = -cols, -rows
    return matrices


def rotation(degrees: Float[Tensor, " n"]) -> Matrices:
    """The image's content turns counterclockwise as seen, about its centre."""
    cos, sin = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(degrees), 1, 1)
    # Rows count downwards: output (col, row) is taken from where the opposite turn brings it.
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1] = cos, -sin, sin, cos
    return matrices


def sample(images: Images, matrices: Matrices, size: Size, outside: float | None) -> Moved:
    """Images of ``size`` whose pixels are taken from ``images`` where ``matrices`` say, bilinearly.

    What lies outside has the value ``outside``; with None it is the image mirrored at its edges.
    """
    half_in = matrices.new_tensor([images.shape[3] / 2, images.shape[2] / 2, 1])
    half_out = matrices.new_tensor([size[1] / 2, size[0] / 2, 1])
    theta = (matrices * half_out / half_in[:, None])[:, :2].to(images)
    grid = F.affine_grid(theta, [images.shape[0], images.shape[1], *size], align_corners=False)
    if outside is None:
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return F.grid_sample(images - outside, grid, padding_mode="zeros", align_corners=False) + outside


def _uniform(low: float, high: float, generators: Generators) -> Float[Tensor, " n"]:
    draws = torch.stack([torch.rand((), generator=g, dtype=torch.float64) for g in generators])
    return low + (high - low) * draws


def _check_pixels(name: str, pixels: int) -> None:
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 0:
        raise InterpError(f"the `pixels` of {name} are {pixels!r}: give a whole number, 0 or more")


def _check_count(images: Images, generators: Generators) -> None:
    if images.ndim != 4 or len(generators) != images.shape[0]:
        shape = "x".join(map(str, images.shape))
        raise InterpError(f"images of shape {shape} with {len(generators)} generators: give images (n, c, rows, cols), one generator each")
