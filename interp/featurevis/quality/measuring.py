"""The measurements of many images at once, put together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.featurevis.config import AscentConfig
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Objective
from interp.featurevis.quality import parts
from interp.featurevis.quality.checks import Check, Checks
from interp.featurevis.quality.natural import views
from interp.featurevis.quality.parts import OnStep, Part
from interp.featurevis.quality.result import Quality
from interp.featurevis.quality.spectra import checkerboard
from interp.featurevis.quality.subjects import Subjects
from interp.images import Photo

DEFAULT = Checks()
_UNASKED = "not asked for"
# Progress within a stage that reports its own steps.
_FINE = 100


def measure(
    model: Model,
    features: Sequence[Feature],
    objectives: Sequence[Unit | Objective],
    photos: Sequence[Photo] | None = None,
    checks: Checks = DEFAULT,
    config: AscentConfig | None = None,
    seed: int = 0,
    on_step: OnStep = None,
    *,
    judge: Model | None = None,
) -> list[Quality]:
    """The quality of each optimized image, in order.

    ``objectives``: what the features were optimized for, as `visualize` was asked; ``photos``: natural images to compare
    with, None for the six sample photographs. ``config`` and ``seed`` are those of the ascent: other seeds and random weights
    are tried with the same ``config`` and ``seed`` + 1, and the random images drawn from ``seed`` and each
    feature's name. ``judge``: a held-out model for transfer, of classes of the same names. ``on_step(done, total)``
    is called as it goes on. The model stays as it is.

    The score is measured anew, on the image rounded to 8 bits and taken as opaque. Whatever is not defined for an image is
    None, with its reason.

    Raises InterpError where features and objectives do not fit together, where seeds or random weights are asked for
    without ``config``, and Unsupported where the score of an image is no finite number.
    """
    again = {Check.SEEDS, Check.RANDOMIZATION} & checks.which
    if again and config is None:
        raise InterpError(f"the check '{min(again)}' optimizes images anew: give the `config` that the features were made with")
    if not features and not objectives:
        return []
    subjects = Subjects.of(model, features, objectives, config)
    scores = subjects.scores(checks.batch)
    for feature, score in zip(features, scores, strict=True):
        if not math.isfinite(score):
            raise Unsupported(f"the score of '{feature.unit}' is no finite number ({score}): its objective is not defined for its image")
    found = _found(subjects, scores, photos, checks, config, seed, on_step, judge)
    return [_quality(subjects, k, scores[k], {name: values[k] for name, values in found.items()}) for k in range(len(features))]


def _found(
    subjects: Subjects,
    scores: Sequence[float],
    photos: Sequence[Photo] | None,
    checks: Checks,
    config: AscentConfig | None,
    seed: int,
    on_step: OnStep,
    judge: Model | None,
) -> dict[str, list[Part]]:
    """The parts that were asked for, by their names in `Quality`."""
    compares = checks.which & {Check.NATURAL, Check.SPECTRUM, Check.PATH}
    natural = views(subjects.model, photos, subjects.size) if compares else None
    stages: dict[str, Callable[[OnStep], list[Part]]] = {}
    if natural is not None and Check.NATURAL in checks.which:
        stages["natural"] = lambda _: parts.natural_part(subjects, scores, natural, checks)
    if Check.CONTROL in checks.which:
        stages["control"] = lambda _: parts.control_part(subjects, scores, checks, seed)
    if natural is not None and Check.SPECTRUM in checks.which:
        stages["spectrum"] = lambda _: parts.spectrum_part(subjects, natural)
    if Check.ROBUSTNESS in checks.which:
        stages["robustness"] = lambda _: parts.robustness_part(subjects, scores, checks)
    if config is not None and Check.SEEDS in checks.which:
        stages["seeds"] = lambda step: parts.again_part(subjects, subjects.model, config, seed + 1, step)
    if config is not None and Check.RANDOMIZATION in checks.which:
        stages["randomized"] = lambda step: parts.randomization_part(subjects, config, seed + 1, step)
    if natural is not None and Check.PATH in checks.which:
        stages["path"] = lambda _: parts.path_part(subjects, natural, checks)
    if judge is not None:
        stages["transfer"] = lambda _: parts.transfer_part(subjects, judge, checks)
    results: dict[str, list[Part]] = {}
    for k, (name, stage) in enumerate(stages.items()):
        results[name] = stage(_within(on_step, k, len(stages)))
        if on_step is not None:
            on_step((k + 1) * _FINE, len(stages) * _FINE)
    return results


def _within(on_step: OnStep, stage: int, stages: int) -> OnStep:
    """A callback for the steps of one stage, which counts as a hundred of the whole."""
    if on_step is None:
        return None
    return lambda done, total: on_step(stage * _FINE + min(_FINE - 1, done * _FINE // max(total, 1)), stages * _FINE)


_PARTS = ("natural", "control", "spectrum", "robustness", "seeds", "randomized", "path", "transfer")


def _quality(subjects: Subjects, place: int, score: float, found: dict[str, Part]) -> Quality:
    image, feature = subjects.images[place], subjects.features[place]
    contrast, saturation = parts.look(image)
    peak = checkerboard(image)
    reasons = [] if peak is not None else [("checkerboard", "the image is below 16 px")]
    values = {}
    for name in _PARTS:
        values[name], why = found.get(name, (None, {"": "no held-out model was given" if name == "transfer" else _UNASKED}))
        reasons += [(f"{name}.{part}" if part else name, text) for part, text in why.items()]
    return Quality(str(feature.unit), score, feature.dead, contrast, saturation, peak, **values, reasons=tuple(reasons))
