"""Images of the same units by recipe, one remedy at a time: what each does to the image, and to its spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interp.comparisons.feature_grids import PHOTOGRAPHS, beside, judged
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import Feature, TotalVariation
from interp.featurevis.quality import Check, Checks, Quality, Radial, measure, radial, rounded, score_of
from interp.figures import CurvePanel, Grid
from interp.images import Photo

CHECKS = Checks(frozenset({Check.NATURAL, Check.SPECTRUM, Check.ROBUSTNESS}))
CAPTION = (
    "Rows: of each layer the channel with the largest mean on the photographs. Under each image: its score without "
    "transformations, and that over the largest that photographs and their crops reach. The total variation costs {tv:g} times the "
    "score of free pixels, {together:g} times all together; {steps} steps each."
)
SPECTRA = "Amplitudes averaged over rings of frequencies and colours; photographs: the mean of those given, at the images' size."
# Points of a curve whose axis is the logarithm of the frequency: as many as the eye can tell apart.
_POINTS = 64


@dataclass(frozen=True, eq=False)
class Treated:
    """One unit's image by one recipe with what is measured of it; ``variation``: the total variation of its 8-bit image."""

    feature: Feature
    quality: Quality
    variation: float

    @property
    def numbers(self) -> dict[str, object]:
        """For ``metrics.json``."""
        return self.quality.as_dict() | {"total_variation": self.variation}


Treatments = Mapping[str, Mapping[str, Treated]]
"""The images of each unit, by recipe."""


def treated(model: Model, found: Mapping[Unit, Mapping[str, Feature]], photos: Sequence[Photo]) -> Treatments:
    """What is measured of the images of each unit by recipe, in one pass for all."""
    features = [feature for row in found.values() for feature in row.values()]
    qualities = measure(model, features, [unit for unit, row in found.items() for _ in row], photos, CHECKS)
    rough = -score_of(model, TotalVariation(), rounded(np.stack([feature.image for feature in features])))
    each = (Treated(*one) for one in zip(features, qualities, rough.tolist(), strict=True))
    return {str(unit): {recipe: next(each) for recipe in row} for unit, row in found.items()}


def figure(rows: Treatments, title: str) -> Grid:
    """Rows: units; columns: recipes, which all units have in common."""
    panels = {unit: [judged(one.feature, one.quality.score, one.quality.natural) for one in row.values()] for unit, row in rows.items()}
    return beside(panels, tuple(next(iter(rows.values()))), title)


def lines(rows: Treatments, photographs: Radial) -> dict[str, dict[str, Radial]]:
    """The radial spectra of each unit's images by recipe, and that of ``photographs``."""
    return {
        unit: {recipe: radial(one.feature.image) for recipe, one in row.items()} | {PHOTOGRAPHS: photographs} for unit, row in rows.items()
    }


def spectra(units: Mapping[str, Mapping[str, Radial]], title: str, width: float = 2.3) -> Grid:
    """One panel per unit: the radial spectra of its images by recipe (and of photographs), both axes in decimal logarithms."""
    return Grid((tuple(_spectra(named, unit) for unit, named in units.items()),), (), (), title, panel_size=width)


def _spectra(named: Mapping[str, Radial], label: str) -> CurvePanel:
    low = max(line.log_frequency[0] for line in named.values())
    high = min(line.log_frequency[-1] for line in named.values())
    points = np.linspace(low, high, _POINTS)
    series = tuple((name, np.interp(points, line.log_frequency, line.log_amplitude) / np.log(10)) for name, line in named.items())
    # The points are evenly spaced in their logarithm; the axis has numbers at its ends only, which are named as they are.
    ends = (float(np.exp(low)), float(np.exp(high)))
    return CurvePanel(series, "frequency (cycles/px), log axis", "log10 of amplitude", label, x_range=ends)
