"""What layers make of one photograph, side by side over the depth: exaggerated, rebuilt, caricatured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.comparisons.controls import noise_like, scrambled
from interp.comparisons.scaling import number
from interp.core.model import Model
from interp.core.rng import generator
from interp.featurevis import Objective
from interp.featurevis.quality import score_of
from interp.figures import Grid, ImagePanel, Panel


@dataclass(frozen=True, eq=False)
class Answer:
    """One optimized ``image``, the ``value`` it reaches, and the mean of the same value on random images, ``control``."""

    image: Float[np.ndarray, "h w 3"]
    value: float
    control: float


@dataclass(frozen=True)
class Way:
    """One way to look: its name, what the photograph is to it, and the quantity below each image.

    ``relative``: the quantity is a score in units of the photograph's; else the root of minus a score, a distance.
    ``changed``: its random images are the photograph changed with the optimized change's spectrum; else noise with the
    photograph's spectrum.
    """

    name: str
    role: str
    quantity: str
    relative: bool
    changed: bool = False

    def measured(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The quantity from scores, of which the first is the photograph's own."""
        values: np.ndarray = scores / scores[0] if self.relative else np.sqrt(np.maximum(-scores, 0))
        return values

    def panel(self, answer: Answer) -> Panel:
        unit = "x photograph" if self.relative else ""
        label = f"{self.quantity} {number(answer.value)}{unit}".strip()
        return ImagePanel(answer.image, label=label, sublabel=f"random {number(answer.control)}{unit}")


DREAM = Way("DeepDream", "start", "", relative=True, changed=True)
INVERSION = Way("inversion", "target", "distance", relative=False)
CARICATURE = Way("caricature", "target", "", relative=True)
CAPTION = (
    "Columns: layers over the depth. DeepDream: the mean square of the layer's activations, over the photograph's. Inversion: the distance "
    "of the layer's maps from the photograph's, over the length of the photograph's. Caricature: dot product times cosine with the "
    "photograph's maps, over the photograph's own. Random: the mean over 8 images, for DeepDream of the photograph changed at random "
    "with the same spectrum of the change, else of noise with the photograph's spectrum. All of 8-bit images, not transformed."
)


def answer(
    model: Model, way: Way, objective: Objective, photo: Float[np.ndarray, "h w 3"], image: Float[np.ndarray, "h w 3"], seed: int
) -> Answer:
    """What ``image``, optimized for ``objective``, reaches, and what random images do. Both pictures hold 8 bits."""
    draws = generator(seed, "control", way.name, objective)
    random = scrambled(photo, image, draws) if way.changed else noise_like(photo, draws)
    values = way.measured(score_of(model, objective, np.stack([photo, image, *random])))
    return Answer(image, float(values[1]), float(values[2:].mean()))


def figure(photo: Float[np.ndarray, "h w 3"], found: Mapping[Way, Mapping[str, Answer]], title: str, said: str) -> Grid:
    """Columns: the photograph (with what the network has ``said`` of it), then the layers; rows: ways to look."""
    rows = [(ImagePanel(photo, label=said, sublabel=way.role), *map(way.panel, row.values())) for way, row in found.items()]
    layers = tuple(next(iter(found.values())))
    return Grid(tuple(rows), tuple(way.name for way in found), ("photograph", *layers), title, panel_size=1.45)
