"""Ways to climb, by what they reach and how soon: scores at moments on the way, and the images at the end.

A way is an optimizer with its step width, or a course of the width; each has one image for each unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from interp.comparisons.feature_grids import PHOTOGRAPHS, beside, judged
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Channel, Cosine, Feature, Linear, Objective, Optimizer, Schedule
from interp.featurevis.ascent import moments
from interp.featurevis.quality import Natural, maxima, score_of, views
from interp.featurevis.quality.parts import look
from interp.featurevis.quality.result import MOST_SATURATION
from interp.figures import CurvePanel, Grid
from interp.images import Photo

CURVES = (
    "Scores of the 8-bit image without transformations, at moments on the way; the level line: the largest that photographs and "
    "their crops reach. Behind each optimizer stands its step width at the widest, in the image parametrization's unit (of SGD: per "
    "unit of gradient), which ebbs away as half a cosine wave; brisk Adam forgets faster. A constant width goes about twice as far "
    "as one that ebbs away."
)
IMAGES = "The same ascents after the last step. Under each image: its score, and that over the largest of the photographs and their crops."
# Scores below count as none.
_TINY = 1e-12

Recipe = tuple[str, float | None]
"""An optimizer and its step width at the widest; or a course of the width, and None."""
Course = dict[int, float]
"""Scores by the number of steps taken."""
Ways = Mapping[str, Sequence[Feature]]
"""The images of all units, by way."""


@dataclass(frozen=True, eq=False)
class Race:
    """Groups of ways beside each other: the images of ``units`` by group and way, and the ``courses`` by group, unit and way.

    ``natural``: what each unit likes best of the photographs, None where nothing is finite.
    """

    units: Sequence[Unit]
    groups: Mapping[str, Ways]
    courses: Mapping[str, Mapping[Unit, Mapping[str, Course]]]
    natural: Sequence[Natural | None]

    @property
    def named(self) -> dict[str, Feature]:
        """Every image under its unit and way."""
        return {f"{f.unit}, {way}": f for ways in self.groups.values() for way, features in ways.items() for f in features}

    @property
    def numbers(self) -> dict[str, dict[str, object]]:
        """For ``metrics.json``: of each unit every way's scores and the steps that they were taken after."""
        found: dict[str, dict[str, object]] = {str(unit): {} for unit in self.units}
        for by_unit in self.courses.values():
            for unit, ways in by_unit.items():
                found[str(unit)] |= {way: {"steps": list(course), "scores": list(course.values())} for way, course in ways.items()}
        return found

    def curves(self, title: str) -> Grid:
        """Rows: units; columns: groups of ways, with a line for each way."""
        tops = dict(zip(self.units, self.natural, strict=True))
        rows = {str(unit): [ascent(by_unit[unit], top) for by_unit in self.courses.values()] for unit, top in tops.items()}
        return beside(rows, tuple(self.groups), title, 3.0)

    def images(self, group: str, title: str) -> Grid:
        """Rows: units; columns: the ways of one group; the finished images over their scores."""
        ways = self.groups[group]
        by_unit = zip(self.units, self.natural, *ways.values(), strict=True)
        return beside({str(unit): [judged(f, f.final, top) for f in row] for unit, top, *row in by_unit}, tuple(ways), title)


def schedules(rate: float) -> dict[str, Schedule]:
    """Courses of the step width, all with the same width at the widest."""
    return {"constant": rate, "cosine": Cosine(rate), "linear": Linear(rate, 0.0), "warm-up 20%, cosine": Cosine(rate, warmup=0.2)}


def recipes(
    plain: AscentConfig, optimizers: Mapping[str, tuple[Optimizer, Sequence[float]]], courses: Mapping[str, Schedule]
) -> dict[Recipe, AscentConfig]:
    """``plain`` with each optimizer at each of its widths, ebbing away as half a cosine wave; then, with its own, by each course."""
    tries: dict[Recipe, AscentConfig] = {
        (name, rate): replace(plain, optimizer=optimizer, rate=Cosine(rate))
        for name, (optimizer, rates) in optimizers.items()
        for rate in rates
    }
    return tries | {(name, None): replace(plain, rate=course) for name, course in courses.items()}


def ran(model: Model, units: Sequence[Unit], groups: Mapping[str, Ways], photos: Sequence[Photo], config: AscentConfig) -> Race:
    """What is measured of finished images; ``config``: the size, the steps and the films that all ways have in common."""
    objectives = {unit: Channel(unit) for unit in units}
    natural = [top for top, _ in maxima(model, list(objectives.values()), views(model, photos, config.size or model.preprocess.size))]
    courses = {
        group: {
            unit: {way: along(model, objective, found[k], config.steps, config.films) for way, found in ways.items()}
            for k, (unit, objective) in enumerate(objectives.items())
        }
        for group, ways in groups.items()
    }
    return Race(units, groups, courses, natural)


def best_rates(tried: Mapping[str, Mapping[float, Sequence[Feature]]]) -> tuple[dict[str, float], dict[str, dict[str, object]]]:
    """Of each optimizer the step width to show, as in `best_rate`, and the numbers of every width that was tried."""
    finals = [[feature.final for feature in features] for widths in tried.values() for features in widths.values()]
    most = [max(*column, _TINY) for column in zip(*finals, strict=True)]
    rated = {name: best_rate(widths, most) for name, widths in tried.items()}
    return {name: rate for name, (rate, _) in rated.items()}, {name: widths for name, (_, widths) in rated.items()}


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
