"""``Feature``: the image found for a unit or an objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from interp.core.unit import Unit


@dataclass(frozen=True, eq=False)
class Feature:
    """The image found for ``unit`` (the objective's name, where an objective was asked for; "name#2" for the second of several).

    ``image``: [0, 1] RGB float32; ``alpha``: its opacity, None where it has none. ``scores``: the objective before
    each step taken, on the transformed image, without the config's regularizers. ``final``: the objective of the
    finished image, rounded to 8 bits, not transformed, in float32. ``dead``: the gradient was exactly zero at
    every step, so the image is only its random start. ``precision``: what the network computed in. ``film``: moments
    of the ascent, the last of them the finished image; None where none were asked for.
    """

    unit: Unit | str
    image: Float[np.ndarray, "h w 3"]
    scores: Float[np.ndarray, " steps"]
    final: float
    dead: bool
    alpha: Float[np.ndarray, "h w"] | None = None
    precision: str = "float32"
    film: UInt8[np.ndarray, "frames h w 3"] | None = None

    def __repr__(self) -> str:
        return f"Feature('{self.unit}', score {self.final:.3g}{', silent' if self.dead else ''})"

    def _repr_png_(self) -> bytes:
        from interp.figures import ImagePanel, picture

        note = "never fires" if self.dead else f"{self.final:.3g}"
        return picture(ImagePanel(self.image, label=str(self.unit), sublabel=note))
