"""A planted cue: a coloured mark in a corner of the background that goes with the class, as a source tag does in many a data set.

Two versions of the same pictures differ in the colours of their marks alone. In one the colour tells the class, in the other it
tells nothing: whatever differs between networks that learned from the one and the other is owed to that.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from interp.errors import InterpError
from interp.synthetic.shapes import ShapeSet, Split
from interp.synthetic.streams import stream

NO_MARK = -1
"""In the place of a mark's class, where a picture has none."""

_VALUE = 0.9
"""Of the marks' colours in HSV, all fully saturated: no object or background is."""

Labels = Int[np.ndarray, " n"]
Places = Bool[np.ndarray, "n rows cols"]


class Cue(StrEnum):
    """What the mark of a picture says: its own class, nothing as there is none, or another class."""

    AGREEING = "agreeing"
    ABSENT = "absent"
    CONTRADICTING = "contradicting"


@dataclass(frozen=True)
class Mark:
    """A square of ``side`` px, ``inset`` px away from the edges of its corner."""

    side: int = 5
    inset: int = 1

    def __post_init__(self) -> None:
        """Raises InterpError where a number is out of range."""
        if self.side < 1 or self.inset < 0:
            raise InterpError(f"a mark of `side` {self.side} and `inset` {self.inset} px: give at least 1 and 0")


def hue(mark: int, classes: int) -> float:
    """Of a class's mark, [0, 1) of the circle of hues, over which those of all classes are spread evenly."""
    return mark / classes


def colour(mark: int, classes: int) -> UInt8[np.ndarray, " 3"]:
    """Of a class's mark, 8-bit RGB. Raises InterpError where there is no such class."""
    if not 0 <= mark < classes:
        raise InterpError(f"no mark of class {mark}: there are {classes} classes, numbered from 0")
    return np.round(255 * np.array(colorsys.hsv_to_rgb(hue(mark, classes), 1.0, _VALUE))).astype(np.uint8)


def tied(labels: Labels, classes: int, share: float | int, seed: int) -> Labels:
    """Marks of which ``round(share * n)`` are their picture's own class, and the others some other class, each as likely.

    Raises InterpError where ``share`` is none.
    """
    if not 0 <= share <= 1:
        raise InterpError(f"`share` is {share}: give which share of the marks goes with the class, 0 to 1")
    rng = stream(seed, "tied marks")
    own = np.zeros(len(labels), dtype=bool)
    own[rng.permutation(len(labels))[: round(share * len(labels))]] = True
    return np.where(own, labels, _another(labels, classes, rng))


def untied(labels: Labels, classes: int, seed: int) -> Labels:
    """Marks that tell nothing: among the pictures of a class each mark is as frequent as any other, to within one picture."""
    rng = stream(seed, "untied marks")
    marks = np.full(len(labels), NO_MARK)
    for label in range(classes):
        places = np.flatnonzero(labels == label)
        # Which marks are one picture more frequent, where they cannot all be equal, is drawn as well.
        turn = rng.permutation(classes)[np.arange(len(places)) % classes]
        marks[rng.permutation(places)] = turn
    return marks


def marks_for(cue: Cue, labels: Labels, classes: int, seed: int) -> Labels:
    """Marks of pictures that all have the same kind of ``cue``."""
    match cue:
        case Cue.AGREEING:
            return labels.copy()
        case Cue.ABSENT:
            return np.full(len(labels), NO_MARK)
        case Cue.CONTRADICTING:
            return _another(labels, classes, stream(seed, "contradicting marks"))


def _another(labels: Labels, classes: int, rng: np.random.Generator) -> Labels:
    found: np.ndarray = (labels + rng.integers(1, classes, len(labels))) % classes
    return found


def places_for(pictures: ShapeSet, mark: Mark, seed: int, split: Split) -> Places:
    """Where each picture's mark goes: a corner drawn among those in which it hides nothing of the object, all of it on the background.

    A picture's place depends on ``seed``, ``split``, its number and its object alone. Raises InterpError where a picture has no
    such corner.
    """
    size = pictures.masks.shape[1:]
    corners = _corners(mark, (size[0], size[1]))
    found = []
    for index, mask in enumerate(pictures.masks):
        order = stream(seed, split.value, index, "corner").permutation(len(corners))
        free = [k for k in order if not (corners[k] & mask).any()]
        if not free:
            raise InterpError(
                f"picture {index} has no corner for a mark of {mark.side} px that its object leaves free: give a smaller mark"
            )
        found.append(corners[free[0]])
    return np.stack(found)


def _corners(mark: Mark, size: tuple[int, int]) -> Places:
    if 2 * (mark.side + mark.inset) > min(size):
        raise InterpError(f"a mark of {mark.side} px does not fit into the corners of {size[0]} x {size[1]} px: give a smaller mark")
    ends = slice(mark.inset, mark.inset + mark.side), slice(-mark.inset - mark.side, -mark.inset or None)
    found = np.zeros((4, *size), dtype=bool)
    for k, (row, col) in enumerate((row, col) for row in ends for col in ends):
        found[k, row, col] = True
    return found


@dataclass(frozen=True, eq=False)
class Marked:
    """Pictures with their marks: ``marks`` are classes, `NO_MARK` where there is none; ``places`` where a mark is or would be.

    ``masks`` are the object's pixels, of which no mark hides any.
    """

    images: UInt8[np.ndarray, "n rows cols 3"]
    labels: Labels
    marks: Labels
    masks: Bool[np.ndarray, "n rows cols"]
    places: Places

    def __len__(self) -> int:
        return len(self.images)

    @property
    def tensor(self) -> Float[Tensor, "n 3 rows cols"]:
        """The pictures as a network takes them: [0, 1] RGB, float32."""
        return torch.from_numpy(self.images).permute(0, 3, 1, 2).contiguous().float() / 255

    def first(self, count: int) -> Marked:
        """The first ``count``. Raises InterpError where there are fewer, or none is asked for."""
        if not 1 <= count <= len(self):
            raise InterpError(f"{count} of {len(self)} pictures with marks: give 1 to {len(self)}")
        kept = slice(count)
        return Marked(self.images[kept], self.labels[kept], self.marks[kept], self.masks[kept], self.places[kept])


def marked(pictures: ShapeSet, marks: Labels, places: Places) -> Marked:
    """``pictures`` with a mark of the colour of ``marks`` at each of ``places``; what has `NO_MARK` stays as it was."""
    images = pictures.images.copy()
    for image, mark, place in zip(images, marks, places, strict=True):
        if mark != NO_MARK:
            image[place] = colour(int(mark), len(pictures.names))
    return Marked(images, pictures.labels, marks, pictures.masks, places)
