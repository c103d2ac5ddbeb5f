"""Does a cue separate the network that learned it from its control? Margins over pairs of networks, with intervals.

The networks of a pair share all but what the marks of their training pictures tell, so differences are taken within pairs. Pairs
are few, so intervals are Student's: a bootstrap of five values would be too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from interp.comparisons.spurious_views import GRADCAM, INTEGRATED, Views, attribution_outside, attribution_within
from interp.errors import InterpError
from interp.metrics.statistics import Interval
from interp.synthetic.cue import Cue

LEVEL = 0.95
LEAST_PAIRS = 2
"""Of one pair there is no interval."""


class Arm(StrEnum):
    """What is measured side by side; the last two know nothing of any training picture."""

    CUE = "cue network"
    CONTROL = "control network"
    UNTRAINED = "untrained network"
    RANDOM = "random map"


class Measure(StrEnum):
    """A number of one network, a share unless it says otherwise. The first is the one that was chosen beforehand to judge by."""

    GRADCAM_OUTSIDE = "Grad-CAM outside the object"
    INTEGRATED_OUTSIDE = "Integrated gradients outside the object"
    GRADCAM_MARK = "Grad-CAM on the mark"
    INTEGRATED_MARK = "Integrated gradients on the mark"
    GRADCAM_NO_MARK = "Grad-CAM outside the object, no mark shown"
    LOST_CONTRADICTING = "accuracy lost where the mark contradicts"
    LOST_ABSENT = "accuracy lost where there is no mark"
    HUE = "class images: cosine with the mark's hue"
    EXAMPLES_MARK = "top examples with the class's mark"
    EXAMPLES_SHAPE = "top examples with the class's shape"


PRIMARY = Measure.GRADCAM_OUTSIDE


@dataclass(frozen=True, eq=False)
class Course:
    """Grad-CAM of the same pictures while a network learns: ``maps`` at each of ``steps``, signed, at the layer's own size or larger."""

    steps: tuple[int, ...]
    maps: Float[np.ndarray, "m n rows cols"]

    def outside(self, masks: Bool[np.ndarray, "n rows2 cols2"]) -> Float[np.ndarray, " m"]:
        """Share of the positive part outside ``masks``, the mean over the pictures where it is defined, at each step."""
        return np.array([mean(attribution_outside(maps, masks)) for maps in self.maps])

    def within(self, masks: Bool[np.ndarray, "n rows2 cols2"]) -> Float[np.ndarray, " m"]:
        """The same within ``masks``."""
        return np.array([mean(attribution_within(maps, masks)) for maps in self.maps])


@dataclass(frozen=True, eq=False)
class Pair:
    """Two networks of one initialization: the views of each arm, and Grad-CAM on the way of the two that learned."""

    seed: int
    views: Mapping[Arm, Views]
    courses: Mapping[Arm, Course]


def numbers(views: Views) -> dict[Measure, float]:
    """All measures of one arm; NaN where one is not defined, as the accuracy of a random map."""
    masks, places = views.pictures.masks, views.pictures.places
    found = dict.fromkeys(Measure, float("nan"))
    for method, outside, mark in (
        (GRADCAM, Measure.GRADCAM_OUTSIDE, Measure.GRADCAM_MARK),
        (INTEGRATED, Measure.INTEGRATED_OUTSIDE, Measure.INTEGRATED_MARK),
    ):
        maps = views.maps[method][Cue.AGREEING]
        found[outside] = mean(attribution_outside(maps, masks))
        found[mark] = mean(attribution_within(maps, places))
    found[Measure.GRADCAM_NO_MARK] = mean(attribution_outside(views.maps[GRADCAM][Cue.ABSENT], masks))
    if views.accuracy:
        found[Measure.LOST_CONTRADICTING] = views.accuracy[Cue.AGREEING] - views.accuracy[Cue.CONTRADICTING]
        found[Measure.LOST_ABSENT] = views.accuracy[Cue.AGREEING] - views.accuracy[Cue.ABSENT]
    if views.hues is not None:
        found[Measure.HUE] = float(views.hues.mean())
    if views.examples:
        found[Measure.EXAMPLES_MARK] = float(np.mean([one.with_mark for one in views.examples]))
        found[Measure.EXAMPLES_SHAPE] = float(np.mean([one.with_shape for one in views.examples]))
    return found


def by_pair(pairs: Sequence[Pair]) -> dict[Arm, dict[Measure, Float[np.ndarray, " pairs"]]]:
    """Each measure of each arm, pair by pair. Raises InterpError for fewer than two pairs."""
    refuse_few(len(pairs))
    found = {arm: [numbers(pair.views[arm]) for pair in pairs] for arm in Arm}
    return {arm: {measure: np.array([one[measure] for one in row]) for measure in Measure} for arm, row in found.items()}


def margins(values: Mapping[Arm, Mapping[Measure, Float[np.ndarray, " pairs"]]]) -> dict[Measure, Interval]:
    """Cue network less control network of the same pair: the mean and its interval over the pairs."""
    return {measure: t_interval(values[Arm.CUE][measure] - values[Arm.CONTROL][measure]) for measure in Measure}


def t_interval(values: Float[np.ndarray, " n"], level: float = LEVEL) -> Interval:
    """The mean of independent values and Student's interval for it: mean +- t(n - 1) * s / sqrt(n) (Student 1908).

    NaN values are left out and counted; fewer than two others have no interval (NaN). Raises InterpError where ``level`` is not
    between 0 and 1.
    """
    if not 0 < level < 1:
        raise InterpError(f"`level` is {level}: give a level between 0 and 1, such as 0.95")
    defined = values[~np.isnan(values)].astype(np.float64)
    count, nan = len(defined), float("nan")
    if count < LEAST_PAIRS:
        return Interval(float(defined[0]) if count else nan, nan, nan, count, len(values))
    reach = float(stats.t.ppf((1 + level) / 2, count - 1) * defined.std(ddof=1) / np.sqrt(count))
    centre = float(defined.mean())
    return Interval(centre, centre - reach, centre + reach, count, len(values))


def separated(margin: Interval) -> bool:
    """Whether the interval excludes 0; never where there is none."""
    return margin.low > 0 or margin.high < 0


def refuse_few(pairs: int) -> None:
    """Raises InterpError where there are too few pairs for an interval."""
    if pairs < LEAST_PAIRS:
        raise InterpError(f"`pairs` is {pairs}: give at least {LEAST_PAIRS} pairs of networks, as a single one gives no interval")


def mean(values: Float[np.ndarray, " n"]) -> float:
    """Over the values that are defined; NaN where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def outside_over_time(pairs: Sequence[Pair], arm: Arm) -> Float[np.ndarray, "pairs m"]:
    """Grad-CAM's share outside the object at each step that was recorded, pair by pair."""
    return np.stack([pair.courses[arm].outside(pair.views[arm].pictures.masks) for pair in pairs])


def on_mark_over_time(pairs: Sequence[Pair], arm: Arm) -> Float[np.ndarray, "pairs m"]:
    """Grad-CAM's share on the mark, likewise."""
    return np.stack([pair.courses[arm].within(pair.views[arm].pictures.places) for pair in pairs])
