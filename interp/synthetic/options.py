"""What pictures to draw: classes, size, distractors, what the background tells, how hard it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from interp.errors import InterpError, Unsupported
from interp.synthetic.outlines import Shape
from interp.synthetic.textures import Texture

LEAST_SIDE = 24


@dataclass(frozen=True)
class Difficulty:
    """How hard an object is to recognize.

    ``contrast``: least difference of the object's mean luminance from the background's, [0, 0.4]. ``radii``: least and largest
    reach of an object, as shares of the picture's shorter side. ``rotation``: objects are turned by up to so many degrees
    either way. ``noise``: standard deviation of Gaussian noise on every pixel and channel, in units of [0, 1]. ``relief``: how
    far apart the two colours of a texture are, [0, 1].
    """

    contrast: float | int = 0.24
    radii: tuple[float | int, float | int] = (0.17, 0.3)
    rotation: float | int = 30.0
    noise: float | int = 0.02
    relief: float | int = 0.15

    def __post_init__(self) -> None:
        """Raises InterpError where the values are out of range."""
        if not 0 <= self.contrast <= 0.4:
            raise InterpError(f"`contrast` is {self.contrast}: give a number from 0 to 0.4")
        if not 0.05 <= self.radii[0] <= self.radii[1] <= 0.4:
            raise InterpError(f"`radii` is {self.radii}: give the least and the largest, from 0.05 to 0.4 of the shorter side")
        if not (0 <= self.rotation <= 180 and 0 <= self.noise <= 1 and 0 <= self.relief <= 1):
            given = f"`rotation` {self.rotation}, `noise` {self.noise}, `relief` {self.relief}"
            raise InterpError(f"{given}: give 0 to 180 degrees, and 0 to 1 for the others")


EASY = Difficulty(contrast=0.3, radii=(0.2, 0.32), rotation=15.0, noise=0.01, relief=0.12)
MEDIUM = Difficulty()
HARD = Difficulty(contrast=0.08, radii=(0.11, 0.24), rotation=180.0, noise=0.06, relief=0.32)


class Tie(StrEnum):
    """Which class's texture a background takes where it is tied to the label.

    ``OWN``: that of the picture's class; ``NEXT``: that of the class after it, so that a network which learned backgrounds is misled.
    """

    OWN = "own"
    NEXT = "next"


CLASSES = (
    Shape.DISC,
    Shape.SQUARE,
    Shape.TRIANGLE,
    Shape.STAR,
    Shape.RING,
    Shape.CROSS,
    Shape.CRESCENT,
    Shape.HEART,
)


@dataclass(frozen=True)
class ShapeOptions:
    """Pictures of one textured shape each, on a textured background with distractors.

    ``size`` is (rows, cols) in pixels. Each class has a texture of its own, which its background takes with probability
    ``correlation`` (as ``tie`` says); otherwise the background is one of the classes' textures, whichever it is. With correlation 0
    the object is the only evidence for the class; with 1 the background tells it too. Nothing else depends on the class:
    not colours, places, sizes, the object's texture or the distractors, which may be outlines of any class's shape.
    """

    classes: tuple[Shape, ...] = CLASSES
    size: tuple[int, int] = (64, 64)
    n_distractors: int = 2
    correlation: float | int = 0.0
    tie: Tie = Tie.OWN
    difficulty: Difficulty = MEDIUM

    def __post_init__(self) -> None:
        """Raises InterpError, or Unsupported where there are no textures for so many classes."""
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise InterpError(f"`classes` has {len(self.classes)} shapes, {len(set(self.classes))} different: give at least 2, each once")
        if len(self.classes) > len(Texture):
            raise Unsupported(f"{len(self.classes)} classes need as many background textures: there are {len(Texture)}")
        if len(self.size) != 2 or min(self.size) < LEAST_SIDE:
            raise InterpError(f"`size` is {self.size}: give (rows, cols) of at least {LEAST_SIDE} px")
        if self.n_distractors < 0:
            raise InterpError(f"`n_distractors` is {self.n_distractors}: give 0 or more")
        if not (math.isfinite(self.correlation) and 0 <= self.correlation <= 1):
            raise InterpError(f"`correlation` is {self.correlation}: give a probability, 0 to 1")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(shape.value for shape in self.classes)

    @property
    def backgrounds(self) -> tuple[Texture, ...]:
        """The background texture of each class."""
        return tuple(Texture)[: len(self.classes)]

    @property
    def independent(self) -> ShapeOptions:
        """The same pictures, but the background tells nothing."""
        return replace(self, correlation=0.0)

    @property
    def swapped(self) -> ShapeOptions:
        """The same pictures, but every background is that of the next class."""
        return replace(self, correlation=1.0, tie=Tie.NEXT)
