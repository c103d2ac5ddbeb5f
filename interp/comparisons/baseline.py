"""Images of the same units by several engines, the baseline's beside one's own, by one measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from interp.comparisons.feature_grids import beside, judged
from interp.core.unit import Unit
from interp.featurevis import Feature
from interp.featurevis.quality import Quality
from interp.figures import Grid

CAPTION = (
    "Columns: of each layer the channel with the largest mean on the photographs. {steps} steps each, of lucent's default 512, "
    "images of {rows} x {cols} px. Under each image: its score without transformations, and that over the largest that photographs "
    "and their crops reach."
)


def named(found: Mapping[str, Sequence[Feature]]) -> dict[str, Feature]:
    """Every image under its unit and engine."""
    return {f"{feature.unit}, {name}": feature for name, features in found.items() for feature in features}


def summary(qualities: Sequence[Quality]) -> dict[str, object]:
    """What the measurements of an engine's images come to; a median is None where nothing is defined."""
    ratios = [quality.natural_ratio for quality in qualities if quality.natural_ratio is not None]
    return {
        "median_score": median(quality.score for quality in qualities),
        "median_natural_ratio": median(ratios) if ratios else None,
        "flags": {quality.unit: list(quality.flags) for quality in qualities},
        "images": {quality.unit: quality.as_dict() for quality in qualities},
    }


def figure(found: Mapping[str, Sequence[Feature]], qualities: Mapping[str, Sequence[Quality]], units: Sequence[Unit], title: str) -> Grid:
    """Rows: engines; columns: units."""
    rows = {
        name: [judged(feature, quality.score, quality.natural) for feature, quality in zip(features, qualities[name], strict=True)]
        for name, features in found.items()
    }
    return beside(rows, [str(unit) for unit in units], title)
