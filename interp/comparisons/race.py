"""Ways to climb, by what they reach and how soon: scores at moments on the way, and the images at the end.

A way is an optimizer with its step width, or a course of the width; each has one image for each unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interp.comparisons.feature_grids import PHOTOGRAPHS, beside, judged
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Channel, Feature, Objective
from interp.featurevis.ascent import moments
from interp.featurevis.quality import Natural, score_of
from interp.featurevis.quality.parts import look
from interp.featurevis.quality.result import MOST_SATURATION
from interp.figures import CurvePanel, Grid

CURVES = (
    "Scores of the 8-bit image without transformations, at moments on the way; the level line: the largest that photographs and "
    "their crops reach. Behind each optimizer stands its step width at the widest, in the image parametrization's unit (of SGD: per "
    "unit of gradient), which ebbs away as half a cosine wave; brisk Adam forgets faster. A constant width goes about twice as far "
    "as one that ebbs away."
)
IMAGES = "The same ascents after the last step. Under each image: its score, and that over the largest of the photographs and their crops."
# Scores below count as none.
_TINY = 1e-12

Course = dict[int, float]
"""Scores by the number of steps taken."""
Scored = dict[str, dict[str, Course]]
"""The courses of every unit, by way."""


def best_rates(tried: Mapping[str, Mapping[float, Sequence[Feature]]]) -> tuple[dict[str, float], dict[str, dict[str, object]]]:
    """Of each optimizer the step width to show, as in `best_rate`, and the numbers of every width that was tried."""
    finals = [[feature.final for feature in features] for widths in tried.values() for features in widths.values()]
    most = [max(*column, _TINY) for column in zip(*finals, strict=True)]
    rated = {name: best_rate(widths, most) for name, widths in tried.items()}
    return {name: rate for name, (rate, _) in rated.items()}, {name: numbers for name, (_, numbers) in rated.items()}


def best_rate(features: Mapping[float, Sequence[Feature]], most: Sequence[float]) -> tuple[float, dict[str, object]]:
    """The step width to show, and the numbers of every width; ``most``: the best score of each unit."""
    shares = {rate: float(np.mean([f.final / top for f, top in zip(found, most, strict=True)])) for rate, found in features.items()}
    saturation = {rate: max(look(f.image)[1] for f in found) for rate, found in features.items()}
    sound = [rate for rate in features if saturation[rate] <= MOST_SATURATION]
    chosen = max(sound or features, key=shares.__getitem__)
    widths = {
        f"{rate:g}": {"scores": [f.final for f in found], "mean_share": shares[rate], "most_saturation": saturation[rate]}
        for rate, found in features.items()
    }
    return chosen, {"width": chosen, "widths": widths}


def along(model: Model, objective: Objective, feature: Feature, steps: int, films: int) -> Course:
    """The score of the image without transforms after so many of ``steps``, for each frame of a film asked for with ``films``."""
    if feature.film is None:
        raise InterpError(f"'{feature.unit}' was optimized without a film: give `films`, how many moments to keep")
    scores = score_of(model, objective, feature.film.astype(np.float32) / 255)
    taken = sorted({*moments(films, steps), steps})
    return {moment: float(score) for moment, score in zip(taken, scores, strict=True)}


def courses(model: Model, units: Sequence[Unit], ways: Mapping[str, Sequence[Feature]], ascent: AscentConfig) -> Scored:
    """The course of every unit by each way; ``ascent``: the steps and the films that all ways have in common."""
    return {
        str(unit): {way: along(model, Channel(unit), found[k], ascent.steps, ascent.films) for way, found in ways.items()}
        for k, unit in enumerate(units)
    }


def numbers(groups: Mapping[str, Scored]) -> dict[str, dict[str, object]]:
    """For ``metrics.json``: of each unit every way's scores and the steps that they were taken after."""
    found: dict[str, dict[str, object]] = {}
    for scored in groups.values():
        for unit, ways in scored.items():
            points = {way: {"steps": list(course), "scores": list(course.values())} for way, course in ways.items()}
            found[unit] = found.get(unit, {}) | points
    return found


def curves(groups: Mapping[str, Scored], natural: Sequence[Natural | None], title: str) -> Grid:
    """Rows: units, with what each likes best of the photographs in ``natural``; columns: groups of ways, a line for each way."""
    units = next(iter(groups.values()))
    rows = {unit: [ascent(scored[unit], top) for scored in groups.values()] for unit, top in zip(units, natural, strict=True)}
    return beside(rows, tuple(groups), title, 3.0)


def ascent(scores: Mapping[str, Mapping[int, float]], natural: Natural | None) -> CurvePanel:
    """Scores by the number of steps taken, one line per way, straight between the moments measured.

    ``scores``: for each way the score after so many steps, the first 0 and the last the same for all. ``natural``: the most
    that a photograph reaches, drawn as one level line.
    """
    last = max(max(points) for points in scores.values())
    every = np.arange(last + 1)
    series = [(name, np.interp(every, list(points), list(points.values()))) for name, points in scores.items()]
    # First, so that it has the same colour in every panel.
    level = [] if natural is None else [(f"largest on {PHOTOGRAPHS}", np.full(last + 1, natural.maximum))]
    return CurvePanel((*level, *series), "steps", "score", x_range=(0.0, float(last)))


def images(units: Sequence[Unit], ways: Mapping[str, Sequence[Feature]], natural: Sequence[Natural | None], title: str) -> Grid:
    """Rows: units; columns: ways; the finished images over their scores."""
    rows = {str(unit): [judged(found[k], found[k].final, natural[k]) for found in ways.values()] for k, unit in enumerate(units)}
    return beside(rows, tuple(ways), title)
