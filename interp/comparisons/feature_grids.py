"""Optimized images that differ in how they were made: recipes side by side, spectra, scores along the way, likeness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float

from interp import activations
from interp.activations import Rank
from interp.comparisons.features import ratio_words
from interp.comparisons.scaling import number
from interp.comparisons.subjects import subjects
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import Feature, Objective
from interp.featurevis.quality import Natural, Radial, natural_ratio, score_of
from interp.figures import CurvePanel, EmptyPanel, Grid, ImagePanel, MapPanel, Panel, Scale
from interp.figures import Kind as ScaleKind
from interp.images import Photo, uint8

# Points of a curve whose axis is the logarithm of the frequency: as many as the eye can tell apart.
_POINTS = 64
# Lengths below count as none.
_TINY = 1e-12
PHOTOGRAPHS = "photographs"
LIKENESS = Scale(-1.0, 1.0, ScaleKind.DIVERGING, "likeness of two images")

One = TypeVar("One")
Image = Float[np.ndarray, "h w 3"]
Likeness = Float[np.ndarray, "n n"]


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


def spectra(units: Mapping[str, Mapping[str, Radial]], title: str, width: float = 2.3) -> Grid:
    """One panel per unit: the radial spectra of its images by recipe (and of photographs), both axes in decimal logarithms."""
    return Grid((tuple(_spectra(lines, unit) for unit, lines in units.items()),), (), (), title, panel_size=width)


def _spectra(lines: Mapping[str, Radial], label: str) -> CurvePanel:
    low = max(line.log_frequency[0] for line in lines.values())
    high = min(line.log_frequency[-1] for line in lines.values())
    points = np.linspace(low, high, _POINTS)
    series = tuple((name, np.interp(points, line.log_frequency, line.log_amplitude) / np.log(10)) for name, line in lines.items())
    # The points are evenly spaced in their logarithm; the axis has numbers at its ends only, which are named as they are.
    ends = (float(np.exp(low)), float(np.exp(high)))
    return CurvePanel(series, "frequency (cycles/px), log axis", "log10 of amplitude", label, x_range=ends)


def moments(steps: int, frames: int) -> list[int]:
    """After how many steps each frame of a film of ``frames`` was taken, in order: a film is denser at its beginning."""
    if frames < 2:
        raise InterpError(f"a film of {frames} frames has no course: give at least 2 moments")
    return sorted({round(steps * (k / (frames - 1)) ** 2) for k in range(frames)})


def along(model: Model, objective: Objective, feature: Feature, steps: int, frames: int) -> dict[int, float]:
    """The score of the image without transforms after so many steps, for each frame of a film asked for with ``frames``."""
    if feature.film is None:
        raise InterpError(f"'{feature.unit}' was optimized without a film: give `films`, how many moments to keep")
    scores = score_of(model, objective, feature.film.astype(np.float32) / 255)
    return {moment: float(score) for moment, score in zip(moments(steps, frames), scores, strict=True)}


def ascent(scores: Mapping[str, Mapping[int, float]], natural: Natural | None) -> CurvePanel:
    """Scores by the number of steps taken, one line per recipe, straight between the moments measured.

    ``scores``: for each recipe the score after so many steps, the first 0 and the last the same for all. ``natural``: the most
    that a photograph reaches, drawn as one level line.
    """
    last = max(max(points) for points in scores.values())
    every = np.arange(last + 1)
    series = [(name, np.interp(every, list(points), list(points.values()))) for name, points in scores.items()]
    # First, so that it has the same colour in every panel.
    level = [] if natural is None else [(f"largest on {PHOTOGRAPHS}", np.full(last + 1, natural.maximum))]
    return CurvePanel((*level, *series), "steps", "score", x_range=(0.0, float(last)))


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
