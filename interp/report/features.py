"""The product of feature visualization: optimized images, what was measured of them, contact sheets and films."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch

from interp import activations as acts
from interp import featurevis
from interp.comparisons import features as feature_figures
from interp.comparisons.features import MOST, Shown
from interp.comparisons.subjects import unit_name
from interp.core.model import Model, Strengths
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Feature, Logit, Objective, Precision, Probability, objective_of
from interp.featurevis.batching import group_of
from interp.featurevis.objective import Sum, layer_of
from interp.featurevis.photograph import Started
from interp.featurevis.quality import Checks, Quality, measure
from interp.featurevis.store import FeatureStore
from interp.figures import film as films
from interp.images import Photo, uint8
from interp.report import tolerances
from interp.report.compose import lead
from interp.report.product import Figure, Film, Product, Tick, silent
from interp.runs import config_entry

FLOAT32 = Precision.FLOAT32
"""What figures that others are to make again are computed in: `Precision.AUTO` would follow the kind of processor."""

FEATURES = "Optimized images"
Arrays = dict[str, np.ndarray]
Wanted = Unit | Objective
OnStep = Callable[[int, int], None]

# Photographs per forward where the strongest channels are looked for.
_BATCH = 8
# What failed checks are called below an image, the gravest first; others by their own short name behind them.
_FLAGS = {"natural": "below photographs", "control": "near noise", "fragile": "fragile", "randomization": "not of the weights"}


class Program(StrEnum):
    """Whose gradient ascent: interp's, or lucent's as a baseline."""

    INTERP = "interp"
    LUCENT = "lucent"


class FilmKind(StrEnum):
    """``WEBP``: animated WebP, shown by the page; ``MP4``: that as well."""

    WEBP = "webp"
    MP4 = "mp4"


@dataclass(frozen=True)
class FeatureOptions:
    """What is made beside the images: ``seeds`` images of each unit, from as many seeds; ``checks`` None for no measurement."""

    seeds: int = 1
    program: Program = Program.INTERP
    checks: Checks | None = None
    film: FilmKind | None = None

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InterpError(f"`seeds` is {self.seeds}: give how many images of each unit to find, 1 or more")


@dataclass(frozen=True, eq=False)
class Made:
    """One optimized image: its ``key`` among the run's arrays, the ``heading`` it stands under, and its quality, where measured."""

    key: str
    heading: str
    name: str
    feature: Feature
    quality: Quality | None = None

    @property
    def shown(self) -> Shown:
        """As it stands in a figure."""
        quality = self.quality
        if quality is None:
            return Shown(self.feature, self.name)
        ranks = {flag: rank for rank, flag in enumerate(_FLAGS)}
        flags = sorted(quality.flags, key=lambda flag: ranks.get(flag, len(ranks)))
        return Shown(self.feature, self.name, quality.natural_ratio, tuple(_FLAGS.get(flag, flag) for flag in flags))


def of_features(
    model: Model,
    wanted: Sequence[Wanted],
    config: AscentConfig,
    seed: int,
    tick: Tick = silent,
    options: FeatureOptions = FeatureOptions(),
    photos: Sequence[Photo] | None = None,
    store: FeatureStore | None = None,
    judge: Model | None = None,
) -> Product:
    """Images optimized for units and objectives: contact sheets, films, arrays and measurements.

    ``photos``: what images are measured against, None for the samples; ``store``: where finished images are kept
    meanwhile; ``judge``: a held-out model, for transfer. Raises InterpError as `visualize` and `measure` do.
    """
    return product(model, made(model, wanted, config, seed, tick, options, photos, store, judge), config, options)


def made(
    model: Model,
    wanted: Sequence[Wanted],
    config: AscentConfig,
    seed: int,
    tick: Tick = silent,
    options: FeatureOptions = FeatureOptions(),
    photos: Sequence[Photo] | None = None,
    store: FeatureStore | None = None,
    judge: Model | None = None,
) -> list[Made]:
    """The images of `of_features`, all seeds of a unit in succession, each measured."""
    if not wanted:
        raise InterpError("no unit is named: nothing to optimize an image for")
    if options.film is FilmKind.MP4:
        films.encoder()

    def measured(found: Sequence[Feature], number: int) -> Sequence[Quality | None]:
        if options.checks is None:
            return [None] * len(found)
        told = _stage(tick, "measuring images", number, options.seeds)
        return measure(model, found, wanted, photos, options.checks, config, seed + number, told, judge=judge)

    rounds = []
    for number in range(options.seeds):
        told = _stage(tick, "optimizing images", number, options.seeds)
        found = _ascended(model, wanted, config, seed + number, told, options.program, store)
        rounds.append(list(zip(found, measured(found, number), strict=True)))
    several = options.seeds > 1
    result = []
    for item, *these in zip(_each(wanted, config), *rounds, strict=True):
        for number, (feature, quality) in enumerate(these):
            key = f"{feature.unit}, seed {seed + number}" if several else str(feature.unit)
            name = _name(model, item, feature) + (f", seed {seed + number}" if several else "")
            result.append(Made(key, _heading(model, item), name, feature, quality))
    return result


def product(model: Model, found: Sequence[Made], config: AscentConfig, options: FeatureOptions = FeatureOptions()) -> Product:
    """Contact sheets and films of images already made, with their arrays and measurements."""
    columns: dict[str, list[Shown]] = {}
    for one in found:
        columns.setdefault(one.heading, []).append(one.shown)
    title = f"Optimized images of {model.spec.reference}"
    if options.program is Program.LUCENT:
        title += ", by lucent"
    pages = feature_figures.sheets(columns, title)
    caption = feature_caption(config) + (measured_caption(found) if options.checks is not None else "")
    alt = f"Images that excite units of {', '.join(columns)}"
    figures = [Figure(_stem(k), page, alt, caption, FEATURES) for k, page in enumerate(pages)]
    arrays = {f"features/{one.key}/{name}": values for one in found for name, values in _arrays_of(one.feature).items()}
    metrics: dict[str, object] = {
        "features": {one.key: _numbers(one) for one in found},
        "chosen": {"ascent": config_entry(config), "engine": str(options.program)},
    }
    moving = film_sheets(found, options) if options.film is not None else []
    text = lead(model, "What its units respond to most.")
    return Product(title, text, figures, arrays, metrics, films=moving, tolerances=tolerances.FEATURES)


def film_sheets(found: Sequence[Made], options: FeatureOptions) -> list[Film]:
    """How the images came about, as one moving sheet per page of figures; units that stayed silent are left out."""
    moving = [one for one in found if one.feature.film is not None and not one.feature.dead]
    pages = []
    for number, start in enumerate(range(0, len(moving), MOST)):
        part = moving[start : start + MOST]
        frames = films.sheet([one.feature.film for one in part if one.feature.film is not None], [one.name for one in part])
        mp4 = films.mp4(frames) if options.film is FilmKind.MP4 else None
        caption = f"The same {len(part)} images on their way from the start to the end; the last one rests."
        pages.append(
            Film(_stem(number), films.webp(frames), mp4, (frames.shape[1], frames.shape[2]), "Images coming about", caption, FEATURES)
        )
    return pages


def optimize(model: Model, units: Sequence[Unit], config: AscentConfig, seed: int, tick: Tick = silent) -> list[Feature]:
    """`featurevis.visualize` with progress."""
    return _ascended(model, units, config, seed, _stage(tick, "optimizing images", 0, 1), Program.INTERP, None) if units else []


def strengths(model: Model, photos: Sequence[Photo]) -> Strengths:
    """How strong channels are on photographs: for each layer the mean over photographs and places, one number per channel.

    By the mean, since a unit that fires in one place only may get no gradient from noise.
    """

    def ranked(layers: Sequence[str]) -> Mapping[str, Sequence[float]]:
        images = model.preprocess(list(photos))
        totals = {name: np.zeros(model.layer(name).channels) for name in layers}
        for batch in images.split(_BATCH):
            for name, found in acts.of(model, batch, list(layers)).items():
                totals[name] += found.strength(acts.Rank.MEAN).sum(axis=0)
        return {name: (total / len(images)).tolist() for name, total in totals.items()}

    return ranked


def suitable_size(model: Model) -> tuple[int, int] | None:
    """A size for optimized images, large enough to show a pattern and small enough for a laptop; None for the model's own.

    128 px for models of larger input, 1.5 times their own for models of smaller input, where the model takes another size.
    """
    own = max(model.preprocess.size)
    side = 128 if own > 128 else own * 3 // 2
    if side == own:
        return None
    probe = torch.full((1, len(model.preprocess.mean), side, side), 0.5, device=model.device)
    try:
        with torch.no_grad():
            model(probe)
    except InterpError:
        return None
    return (side, side)


def feature_caption(config: AscentConfig) -> str:
    """How the optimized images were made, in words."""
    start = f"the photograph '{config.param.photo}'" if isinstance(config.param, Started) else "noise"
    return (
        f"Each image was optimized from {start} for {config.steps} steps of gradient ascent to excite one unit (the mean of a channel, "
        "or a neuron) or another objective, where its label names one. The score is the objective's value on the finished 8-bit image, "
        "without any transformation."
    )


def measured_caption(found: Sequence[Made]) -> str:
    """What stands below the images, and what the marks mean."""
    flagged = sum(bool(one.shown.flags) for one in found)
    said = "no image fails one" if not flagged else f"{flagged} of {len(found)} fail one"
    return (
        " Below each image stands its score over the largest that the photographs and their crops reach, where there is one; "
        f"'!' marks those that fail a check, with the gravest and how many more; metrics.json has all: {said}."
    )


def feature_arrays(units: Sequence[Unit], found: Sequence[Feature]) -> Arrays:
    """The 8-bit images and the scores of all steps, by unit."""
    return {f"features/{u}/{name}": a for u, f in zip(units, found, strict=True) for name, a in _arrays_of(f).items()}


def scores(units: Sequence[Unit], found: Sequence[Feature]) -> dict[str, object]:
    """Per unit: the score before the first step, after the last, and whether it never fired."""
    return {str(u): _scores_of(f) for u, f in zip(units, found, strict=True)}


def _ascended(
    model: Model, wanted: Sequence[Wanted], config: AscentConfig, seed: int, told: OnStep, program: Program, store: FeatureStore | None
) -> list[Feature]:
    if program is Program.LUCENT:
        from interp.featurevis import lucent

        return lucent.render(model, wanted, config, seed, told)
    return featurevis.visualize(model, wanted, config, seed, told, store)


def _stage(tick: Tick, stage: str, number: int, parts: int) -> OnStep:
    """Progress of one of several equal parts, as that of the whole."""
    return lambda done, total: tick(stage, number * total + done, parts * total)


def _each(wanted: Sequence[Wanted], config: AscentConfig) -> list[Wanted]:
    """What each image is for: an objective that is optimized in several images once for each."""
    return [item for item in wanted for _ in range(group_of(objective_of(item), config))]


def _heading(model: Model, item: Wanted) -> str:
    """The deepest layer that an image is for."""
    depths = {layer.name: depth for depth, layer in enumerate(model.layers)}
    names = [name for name in map(layer_of, objective_of(item).layers) if name is not None]
    return max(names, key=lambda name: depths.get(name, -1), default="image")


def _name(model: Model, item: Wanted, feature: Feature) -> str:
    """What stands below an image: a unit, the name of a class, the unit whose face it is; else the objective's own name."""
    if isinstance(item, Unit):
        return unit_name(model, item)
    if isinstance(item, Logit):
        return unit_name(model, item.unit)
    if isinstance(item, Probability):
        return f"log p({unit_name(model, item.unit)})"
    words = str(feature.unit)
    others = [part for part in item.parts if part.images == 1] if isinstance(item, Sum) and item.images > 1 else []
    return f"{others[0]}, face {words.rpartition('#')[2]}" if len(others) == 1 else words


def _arrays_of(feature: Feature) -> Arrays:
    arrays: Arrays = {"image": uint8(feature.image), "scores": feature.scores}
    if feature.alpha is not None:
        arrays["alpha"] = uint8(feature.alpha)
    return arrays


def _scores_of(feature: Feature) -> dict[str, object]:
    return {"first": float(feature.scores[0]), "final": float(feature.final), "dead": bool(feature.dead)}


def _numbers(one: Made) -> dict[str, object]:
    numbers = _scores_of(one.feature) | {"steps": len(one.feature.scores), "precision": one.feature.precision}
    return numbers if one.quality is None else numbers | {"quality": one.quality.as_dict()}


def _stem(page: int) -> str:
    return "features" if page == 0 else f"features-{page + 1}"
