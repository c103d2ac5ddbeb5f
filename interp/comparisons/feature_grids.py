"""Optimized images that differ in how they were made, side by side over their scores: what such comparisons share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interp import activations
from interp.activations import Rank
from interp.comparisons.features import ratio_words
from interp.comparisons.scaling import number
from interp.comparisons.subjects import subjects
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import Feature
from interp.featurevis.quality import Natural, natural_ratio
from interp.figures import EmptyPanel, Grid, ImagePanel, Panel
from interp.images import Photo, uint8

PHOTOGRAPHS = "photographs"
"""What lines of photographs are called in curves of optimized images."""


def strongest_of_each(model: Model, photos: Sequence[Photo], layers: Sequence[str]) -> list[Unit]:
    """Of each layer the channel with the largest mean over photographs and places: one that fires, and so has something to show."""
    images, _ = subjects(model, photos)
    return [Unit(name, found.top(1, Rank.MEAN)[0]) for name, found in activations.of(model, images, list(layers)).items()]


def arrays(made: Mapping[str, Feature]) -> dict[str, np.ndarray]:
    """The 8-bit images and the scores of all steps, under the names that the images are known by."""
    parts = {name: {"image": uint8(feature.image), "scores": feature.scores} for name, feature in made.items()}
    return {f"features/{name}/{part}": values for name, found in parts.items() for part, values in found.items()}


def judged(feature: Feature, score: float, natural: Natural | None) -> Panel:
    """An optimized image over its ``score`` and, where it is defined, how much more that is than any photograph reaches."""
    if feature.dead:
        return EmptyPanel(f"{feature.unit} stayed silent: no gradient from this start")
    ratio = None if natural is None else natural_ratio(score, natural.maximum)[0]
    words = f"score {number(score)}" + ("" if ratio is None else f"\n{ratio_words(ratio)}")
    return ImagePanel(feature.image, sublabel=words)


def beside(rows: Mapping[str, Sequence[Panel]], columns: Sequence[str], title: str, width: float = 1.3) -> Grid:
    """Rows by their names, columns by theirs; ``width`` of a panel in inches. Raises InterpError (of `Grid`) for uneven rows."""
    return Grid(tuple(map(tuple, rows.values())), tuple(rows), tuple(columns), title, panel_size=width)
