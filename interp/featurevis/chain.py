"""What a transform is, and how a chain of them becomes as few passes over the pixels as possible.

Geometric transforms are affine maps about the image's centre. A chain of them is multiplied up and sampled
once, so that an image is interpolated once, not once per transform; if all move by whole pixels, not at all.
Each image has its own generator: its draws do not depend on which other images share its batch.
(Transformation robustness: Olah, Mordvintsev & Schubert 2017; Mordvintsev et al. 2015, "jitter".)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interp.errors import InterpError
from interp.featurevis.sampling import Images, Matrices, Moved, Numbers, Size, sample, shifted

Generators = Sequence[torch.Generator]


class Transform(ABC):
    """``(images, generators) -> images``: [0, 1] in, one generator per image, differentiable in the images.

    What comes out is within [0, 1] too, but for the noise of `Noise`.
    """

    @abstractmethod
    def __call__(self, images: Images, generators: Generators) -> Moved: ...

    @abstractmethod
    def size(self, before: Size) -> Size:
        """(rows, cols) of what comes out, for images of ``before`` = (rows, cols)."""

    def steps(self, before: Size) -> tuple[Transform, ...]:
        """The transforms this is made of, for images of ``before`` = (rows, cols): itself, unless it is a chain."""
        return (self,)


class Geometric(Transform):
    """An affine map: what a chain multiplies up. What comes from outside the image is its mirror image, or a `Pad`'s colour."""

    @abstractmethod
    def matrices(self, before: Size, generators: Generators) -> Matrices:
        """Float64, on the CPU: where in the input, of size ``before``, each output pixel is taken from."""

    @property
    def whole(self) -> bool:
        """Whether it takes pixels to pixels whatever is drawn: only shifts by whole pixels, and mirrors."""
        return False

    @property
    def border(self) -> float | None:
        """The colour that it lays around the image; None for none. It begins a new sampling."""
        return None

    def size(self, before: Size) -> Size:
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        return Compose((self,))(images, generators)


@dataclass(frozen=True)
class Compose(Transform):
    """One after the other, the first first. Geometric ones that follow each other are sampled once, bilinearly.

    A `Pad` that is not the first of them begins a new sampling. An empty chain changes nothing. Chains within
    the chain are taken apart.
    """

    parts: tuple[Transform, ...] = ()

    def size(self, before: Size) -> Size:
        for part in self.parts:
            before = part.size(before)
        return before

    def steps(self, before: Size) -> tuple[Transform, ...]:
        found: list[Transform] = []
        for part in self.parts:
            found += part.steps(before)
            before = part.size(before)
        return tuple(found)

    def __call__(self, images: Images, generators: Generators) -> Moved:
        check_count(images, generators)
        run: list[Geometric] = []
        for step in self.steps((images.shape[2], images.shape[3])):
            if run and (not isinstance(step, Geometric) or step.border is not None):
                images, run = _moved(images, run, generators), []
            if isinstance(step, Geometric):
                run.append(step)
            else:
                images = step(images, generators)
        return _moved(images, run, generators) if run else images


def _moved(images: Images, run: Sequence[Geometric], generators: Generators) -> Moved:
    """One pass over the pixels for all of ``run``."""
    size: Size = (images.shape[2], images.shape[3])
    matrices: Matrices | None = None
    for step in run:
        drawn = step.matrices(size, generators)
        matrices = drawn if matrices is None else matrices @ drawn
        size = step.size(size)
    assert matrices is not None
    # Decided by what the steps are, not by what was drawn: an image is then fetched in one way whatever its batch.
    fetch = shifted if all(step.whole for step in run) else sample
    return fetch(images, matrices, size, run[0].border)


def uniform(low: float, high: float, generators: Generators) -> Numbers:
    """One number from ``low`` to ``high`` of each generator, float64."""
    draws = torch.stack([torch.rand((), generator=g, dtype=torch.float64) for g in generators])
    return low + (high - low) * draws


def check_count(images: Images, generators: Generators) -> None:
    """Raise InterpError where there is not one generator per image."""
    if images.ndim != 4 or len(generators) != images.shape[0]:
        shape = "x".join(map(str, images.shape))
        raise InterpError(f"images of shape {shape} with {len(generators)} generators: give images (n, c, rows, cols), one generator each")
