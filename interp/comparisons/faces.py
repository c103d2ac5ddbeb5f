"""Several images of one unit: each with its own score, and how alike each two are, in pixels and to the unit's layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from interp import activations
from interp.comparisons.feature_grids import beside, judged
from interp.comparisons.scaling import number
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import Channel, Feature
from interp.featurevis.quality import Natural, rounded, score_of, similarity
from interp.figures import Grid, MapPanel, Panel, Scale
from interp.figures import Kind as ScaleKind

CAPTION = (
    "First row: from {images} seeds, each alone. Below: {images} images optimized together, the mean cosine of their Gram matrices at the "
    "unit's layer taken off {weights} times, in units of the unit's largest value on the photographs and their crops. "
    "Under each image: the unit's own score, without the term. The matrices compare each two images of a row, which are in their order."
)
LIKENESS = Scale(-1.0, 1.0, ScaleKind.DIVERGING, "likeness of two images")
# Lengths below count as none.
_TINY = 1e-12

One = TypeVar("One")
Likeness = Float[np.ndarray, "n n"]


@dataclass(frozen=True, eq=False)
class Faces:
    """Images of one unit, the unit's own ``scores`` of them in 8 bits, and the likeness of each two.

    ``pixels``: their structural similarity (SSIM); ``textures``: the cosine of their Gram matrices at the unit's layer.
    """

    features: Sequence[Feature]
    scores: Float[np.ndarray, " n"]
    pixels: Likeness
    textures: Likeness

    @property
    def numbers(self) -> dict[str, object]:
        """For ``metrics.json``."""
        scores = self.scores.tolist()
        numbers = {"scores": scores, "mean_score": fmean(scores), "dead": [feature.dead for feature in self.features]}
        return numbers | {"mean_ssim": mean_of_pairs(self.pixels), "mean_gram_cosine": mean_of_pairs(self.textures)}

    def panels(self, natural: Natural | None) -> list[Panel]:
        """The images over their scores, then both matrices; ``natural``: what the unit likes best of the photographs."""
        images = [judged(feature, score, natural) for feature, score in zip(self.features, self.scores.tolist(), strict=True)]
        return [*images, likeness_panel(self.pixels), likeness_panel(self.textures)]


def faces(model: Model, unit: Unit, features: Sequence[Feature]) -> Faces:
    """What is measured of several images of ``unit``, at least two."""
    pictures = rounded(np.stack([feature.image for feature in features]))
    pixels = pairwise(list(pictures), lambda one, other: similarity(one, other).ssim)
    return Faces(features, score_of(model, Channel(unit), pictures), pixels, gram_cosines(model, unit.layer, pictures))


def figure(rows: Mapping[str, Faces], natural: Natural | None, title: str) -> Grid:
    """Rows: how the images were found; columns: the images, as many in each row, and the matrices of their likeness."""
    most = max(len(row.features) for row in rows.values())
    columns = (*(f"image {k + 1}" for k in range(most)), "SSIM", "Gram cosine")
    return beside({name: row.panels(natural) for name, row in rows.items()}, columns, title)


def pairwise(items: Sequence[One], alike: Callable[[One, One], float]) -> Likeness:
    """How ``alike`` each two of the items are: symmetric, each with itself included."""
    found = np.zeros((len(items), len(items)))
    for row, one in enumerate(items):
        for col in range(row, len(items)):
            found[row, col] = found[col, row] = alike(one, items[col])
    return found


def mean_of_pairs(values: Likeness) -> float:
    """The mean over all pairs of two different items."""
    count = len(values)
    return float((values.sum() - np.trace(values)) / (count * (count - 1)))


def likeness_panel(values: Likeness) -> MapPanel:
    """Pairwise likeness, -1 to 1, on the scale that all such panels share, with the mean over pairs of different images."""
    return MapPanel(values, LIKENESS, sublabel=f"mean of pairs {number(mean_of_pairs(values))}")


def gram_cosines(model: Model, layer: str, pictures: Float[np.ndarray, "n h w 3"]) -> Likeness:
    """The cosine of the Gram matrices (products of all pairs of channels over places) of each two [0, 1] images at ``layer``."""
    (maps,) = activations.of(model, torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).to(model.device), [layer]).values()
    flat = maps.maps.reshape(len(pictures), maps.channels, -1)
    grams = (flat @ flat.transpose(0, 2, 1)).reshape(len(pictures), -1)
    lengths = np.linalg.norm(grams, axis=1)
    return pairwise(range(len(pictures)), lambda a, b: float(grams[a] @ grams[b] / max(lengths[a] * lengths[b], _TINY)))
