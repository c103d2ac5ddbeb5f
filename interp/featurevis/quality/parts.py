"""The measurements, one function each: for every subject a value or None, and the reasons for what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float

from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import InterpError
from interp.featurevis import visualization
from interp.featurevis.batching import group_of
from interp.featurevis.config import AscentConfig
from interp.featurevis.objective import Objective
from interp.featurevis.quality.checks import Checks
from interp.featurevis.quality.moved import shifts, variants
from interp.featurevis.quality.natural import Views, maxima, rated
from interp.featurevis.quality.numbers import kept, ratio, z_score
from interp.featurevis.quality.path import path_similarity
from interp.featurevis.quality.randomized import randomized
from interp.featurevis.quality.result import Control, Robustness, Spectrum
from interp.featurevis.quality.similarity import similarity
from interp.featurevis.quality.spectra import mean_radial, radial, random_phases, slope, spectrum_distance
from interp.featurevis.quality.subjects import Subjects
from interp.featurevis.quality.transfer import transfer

Part = tuple[Any, dict[str, str]]
"""A value or None, and why it or parts of it are missing: "" for itself, else the part's name."""
OnStep = Callable[[int, int], None] | None

# Pixel values this near to black or white count as saturated; their exact ends a sigmoid never reaches.
_NEAR = 2.5 / 255


def look(image: Float[np.ndarray, "h w 3"]) -> tuple[float, float]:
    """(contrast, saturation): the standard deviation of the pixel values, and the share of them within 2 / 255 of 0 or 1."""
    return float(image.std(dtype=np.float64)), float(((image < _NEAR) | (image > 1 - _NEAR)).mean())


def natural_part(subjects: Subjects, scores: Sequence[float], natural: Views, checks: Checks) -> list[Part]:
    """The maximum over natural images, and the ratio to it."""
    found = iter(maxima(subjects.model, subjects.objectives, natural, checks.batch))
    parts: list[Part] = []
    for objective, (maximum, why) in zip(subjects.objectives, found, strict=True):
        own = scores[len(parts) : len(parts) + objective.images]
        for score in own:
            if maximum is None:
                parts.append((None, {"": why}))
            else:
                value, reason = rated(maximum, score)
                parts.append((value, _reasons(ratio=reason)))
    return parts


def control_part(subjects: Subjects, scores: Sequence[float], checks: Checks, seed: int) -> list[Part]:
    """Random images of the same amplitude spectrum, drawn from ``seed`` and the feature's name."""
    drawn = [
        random_phases(image, checks.draws, generator(seed, "spectrum control", feature.unit))
        for image, feature in zip(subjects.images, subjects.features, strict=True)
    ]
    return [controlled(score, draws) for score, draws in zip(scores, subjects.variants(drawn, checks.batch), strict=True)]


def controlled(score: float, draws: Sequence[float]) -> Part:
    """A score against those of random images."""
    if not all(map(math.isfinite, draws)):
        return None, {"": "the score of a random image is no finite number"}
    mean, spread = float(np.mean(draws)), float(np.std(draws, ddof=1))
    z, why_no_z = z_score(score, draws)
    share, why_no_ratio = ratio(score, mean, "the mean score of random images of the same spectrum")
    return Control(mean, spread, z, share), _reasons(z=why_no_z, ratio=why_no_ratio)


def spectrum_part(subjects: Subjects, natural: Views) -> list[Part]:
    """Radial spectra, against the mean of the natural images that are whole."""
    if min(subjects.size) < 4:
        return [(None, {"": "an image below 4 px has no spectrum to speak of"})] * len(subjects.images)
    theirs = mean_radial(list(natural.images[: natural.whole]))
    parts: list[Part] = []
    for image in subjects.images:
        own = radial(image)
        parts.append((Spectrum(spectrum_distance(own, theirs), slope(own), slope(theirs)), {}))
    return parts


def robustness_part(subjects: Subjects, scores: Sequence[float], checks: Checks) -> list[Part]:
    """The share of the score kept under shifts up, down, left and right, and under JPEG."""
    places = shifts(subjects.size, checks.shift)
    if max(max(map(abs, place)) for place in places) >= min(subjects.size):
        return [(None, {"": f"an image of {subjects.size} px (rows, cols) is too small to be shifted"})] * len(scores)
    changed = [variants(image, places, checks.jpeg) for image in subjects.images]
    return [robust(score, values) for score, values in zip(scores, subjects.variants(changed, checks.batch), strict=True)]


def robust(score: float, changed: Sequence[float]) -> Part:
    """``changed``: the scores of the shifted images, and of the one through JPEG last."""
    by_shifts, why = kept(changed[:-1], score)
    by_jpeg, why_not = kept(changed[-1:], score)
    if by_shifts is None or by_jpeg is None:
        return None, {"": why or why_not}
    return Robustness(by_shifts, by_jpeg), {}


def again_part(subjects: Subjects, model: Model, config: AscentConfig, seed: int, on_step: OnStep) -> list[Part]:
    """Likeness to the images found for the same objectives from another ``seed``, in ``model`` (the same, or its randomized copy)."""
    found = visualization.visualize(model, list(subjects.wanted), config, seed, on_step)
    return [(similarity(mine.image, other.image), {}) for mine, other in zip(subjects.features, found, strict=True)]


def randomization_part(subjects: Subjects, config: AscentConfig, seed: int, on_step: OnStep) -> list[Part]:
    """Likeness to the images found for a copy of the model with permuted weights, of objectives that do not hold weights themselves."""
    other = randomized(subjects.model, seed)
    whys = [_refusal(objective, other, subjects.size, config) for objective in subjects.wanted]
    kept = [objective for objective, why in zip(subjects.wanted, whys, strict=True) if not why]
    found = iter(visualization.visualize(other, kept, config, seed, on_step) if kept else [])
    mine = iter(subjects.features)
    parts: list[Part] = []
    for objective, why in zip(subjects.wanted, whys, strict=True):
        own = islice(mine, group_of(objective, config))
        parts += [(None, {"": why}) if why else (similarity(feature.image, next(found).image), {}) for feature in own]
    return parts


def _refusal(objective: Objective, other: Model, size: tuple[int, int], config: AscentConfig) -> str:
    """Why ``objective``, or a regularizer, cannot be optimized in ``other``; "" where it can."""
    try:
        for each in (objective, *(weighted.objective for weighted in config.regularizers)):
            each.validate(other, size)
    except InterpError as error:
        return f"a copy with permuted weights cannot be asked: {error}"
    return ""


def path_part(subjects: Subjects, natural: Views, checks: Checks) -> list[Part]:
    """The path similarity of each image, layer by layer."""
    curves = path_similarity(subjects.model, subjects.owners, subjects.images, natural, checks.top, checks.batch)
    return [_part(curve, why) for curve, why in curves]


def transfer_part(subjects: Subjects, judge: Model, checks: Checks) -> list[Part]:
    """What a held-out model says."""
    return [_part(*found) for found in transfer(subjects.model, judge, subjects.owners, subjects.images, checks.batch)]


def _part(value: Any, why: str) -> Part:
    return value, _reasons(**{"": why})


def _reasons(**given: str) -> dict[str, str]:
    return {name: why for name, why in given.items() if why}
