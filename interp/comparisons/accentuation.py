"""A photograph and the same photograph with more of a class in it, for growing weights of the distance at a hidden layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.comparisons.controls import scrambled
from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.featurevis import Feature, Logit, Objective, Probability
from interp.featurevis.quality import rounded, score_of
from interp.figures import CurvePanel, Grid, ImagePanel, MapPanel, Panel, Scale

CHANGE = "change of brightness (mean of RGB)"
CAPTION = (
    "Columns: the weight of the squared distance at {layer}, in logits. Below each image: the class's logit and probability, the distance "
    "of the layer's maps from the photograph's, over the length of the photograph's, and the mean logit of 8 random changes of the same "
    "spectrum; all of 8-bit images, not transformed. Curves: the logit before each step, on the shifted image."
)


@dataclass(frozen=True, eq=False)
class Accented:
    """One image with what is measured of it: the class's ``logit`` and softmax ``probability``, and the relative ``distance``.

    The distance is that of a hidden layer's maps to the photograph's, over the length of the photograph's. ``control``
    is the mean logit of random changes of the same spectrum, ``scores`` the logits on the way; the photograph itself has none.
    """

    image: Float[np.ndarray, "h w 3"]
    logit: float
    probability: float
    distance: float
    control: float | None
    scores: Float[np.ndarray, " steps"]

    @property
    def numbers(self) -> dict[str, float]:
        """For ``metrics.json``."""
        own = {"logit": self.logit, "probability": self.probability, "distance": self.distance}
        return own if self.control is None else own | {"random_logit": self.control}

    @property
    def panel(self) -> Panel:
        control = "" if self.control is None else f"\nrandom: logit {_tenths(self.control)}"
        label = f"logit {_tenths(self.logit)}, {self.probability:.1%}"
        return ImagePanel(self.image, label=label, sublabel=f"distance {self.distance:.2f}{control}")


def accented(
    model: Model, unit: Unit, hidden: Objective, photo: Float[np.ndarray, "h w 3"], feature: Feature | None, seed: int
) -> Accented:
    """What is measured of an image found for the class ``unit``, or of ``photo`` itself (8-bit values), where there is none.

    ``hidden``: the `Inversion` of the photograph that gives the distance.
    """
    image = photo if feature is None else rounded(feature.image[None])[0]
    chances = np.exp(score_of(model, Probability(unit), image[None]))
    distance = np.sqrt(np.maximum(-score_of(model, hidden, image[None]), 0))
    random = [] if feature is None else [*scrambled(photo, image, generator(seed, "control", unit))]
    logits = score_of(model, Logit(unit), np.stack([image, *random]))
    control = float(logits[1:].mean()) if random else None
    scores = np.zeros(0, np.float32) if feature is None else feature.scores
    return Accented(image, float(logits[0]), float(chances[0]), float(distance[0]), control, scores)


def figure(
    photo: Float[np.ndarray, "h w 3"],
    before: Mapping[str, Accented],
    found: Mapping[str, Sequence[Accented]],
    weights: Sequence[float],
    title: str,
) -> Grid:
    """Columns: the photograph, then the ``weights``; two rows for each class: images, and how they differ from the photograph.

    ``before``: the photograph as each class sees it. Where its own difference would stand, all zeros, the logits over the
    steps are drawn.
    """
    changes = {name: [one.image.mean(2) - photo.mean(2) for one in row] for name, row in found.items()}
    scale = Scale.symmetric([change for row in changes.values() for change in row], label=CHANGE)
    rows: list[tuple[Panel, ...]] = []
    for name, row in found.items():
        curves = CurvePanel(tuple((f"weight {w:g}", one.scores) for w, one in zip(weights, row, strict=True)), "step", "logit")
        rows += [(before[name].panel, *(one.panel for one in row)), (curves, *(MapPanel(change, scale) for change in changes[name]))]
    headers = [header for name in found for header in (f"more {name}", "difference")]
    return Grid(tuple(rows), tuple(headers), ("photograph", *(f"weight {w:g}" for w in weights)), title, panel_size=1.6)


def _tenths(value: float) -> str:
    return f"{value:.1f}".replace("-", "\u2212")
