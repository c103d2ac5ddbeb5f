"""Which measurements are made of optimized images, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from interp.errors import InterpError
from interp.featurevis.quality.path import TOP
from interp.featurevis.quality.scoring import BATCH


class Check(StrEnum):
    """A measurement. The first four cost a few forwards per image, the others a pass over the network or whole ascents."""

    NATURAL = "natural"
    CONTROL = "control"
    SPECTRUM = "spectrum"
    ROBUSTNESS = "robustness"
    SEEDS = "seeds"
    RANDOMIZATION = "randomization"
    PATH = "path"


CHEAP = frozenset({Check.NATURAL, Check.CONTROL, Check.SPECTRUM, Check.ROBUSTNESS})
ALL = frozenset(Check)


@dataclass(frozen=True)
class Checks:
    """``which`` measurements are made (transfer: wherever a judge is given).

    ``draws``: random images per image for the spectrum control; ``shift``: length of the shifts as a share of the shorter side;
    ``jpeg``: Pillow's quality, 1 to 95; ``top``: natural images per unit for path similarity; ``batch``: images per forward.
    """

    which: frozenset[Check] = CHEAP
    draws: int = 8
    shift: float = 1 / 16
    jpeg: int = 75
    top: int = TOP
    batch: int = BATCH

    def __post_init__(self) -> None:
        if self.draws < 2:
            raise InterpError(f"`draws` is {self.draws}: give at least 2 random images, so that they have a spread")
        if not 0 < self.shift < 1:
            raise InterpError(f"`shift` is {self.shift}: give a share of the image's side between 0 and 1, such as 0.0625")
        if not 1 <= self.jpeg <= 95:
            raise InterpError(f"`jpeg` is {self.jpeg}: give a JPEG quality from 1 to 95, such as 75")
        if self.top < 2:
            raise InterpError(f"`top` is {self.top}: give at least 2 natural images per unit, so that they can be compared")
        if self.batch < 1:
            raise InterpError(f"`batch` is {self.batch}: give at least 1 image per forward")
