"""The stimuli of the tuning curves as strips of small pictures, and curves that show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.core.model import Model
from interp.images import uint8
from interp.microscope.pictures import Pixels, sheet, tile, webp
from interp.microscope.stimuli import families
from interp.site.microscope import Curve, Picture
from interp.site.microscope.address import PICTURES

# Pixels of the longer side of one stimulus.
_SIDE = 48


@dataclass(frozen=True, eq=False)
class Strip:
    """One family: its name, what positions are measured in, where they are, and its picture with the bytes of that file."""

    name: str
    unit: str
    positions: tuple[float, ...]
    picture: Picture
    data: bytes

    def curve(self, answers: Float[np.ndarray, " positions"]) -> Curve:
        """The tuning curve of one channel."""
        return Curve(self.name, self.unit, self.positions, tuple(float(value) for value in answers), self.picture)


def strips_of(model: Model) -> tuple[Strip, ...]:
    """The strips of all families, at the shape of the network's input."""
    size = model.preprocess.size
    rows, cols = (max(1, round(side * _SIDE / max(size))) for side in size)
    found = []
    for family in families(*size):
        shown: list[Pixels] = [tile(uint8(picture), rows, cols) for picture in family.shown]
        path = f"{PICTURES}/stimuli-{family.name.replace(' ', '-')}.webp"
        alt = f"stimuli by {family.name}: {family.text}"
        picture = Picture(path, rows, cols * len(shown), alt)
        found.append(Strip(family.name, family.unit, family.positions, picture, webp(sheet([shown], len(shown), rows, cols), 80)))
    return tuple(found)
