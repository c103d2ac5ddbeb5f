"""The product of comparisons on pictures whose relevant pixels are known: `compare`'s, and what the masks say of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from interp.attribution.controls import RandomMap
from interp.comparisons.attribution_grids import methods_by_images
from interp.comparisons.contenders import Limits
from interp.comparisons.metric_table import MetricTable, Summary
from interp.comparisons.parts import OnObject, areas, parts_figure, parts_shown, spread_over_parts
from interp.comparisons.scored import Scored
from interp.comparisons.subjects import Subject, shown
from interp.comparisons.summarized import table
from interp.core.model import Model
from interp.errors import InterpError
from interp.masks import Prepared
from interp.metrics.statistics import Interval, bootstrap_interval, paired_difference
from interp.report import compare, tolerances
from interp.report.compare import MOST_ROWS
from interp.report.comparison import Asked, Comparison, computed
from interp.report.product import Figure, Numbers, Product, Tick
from interp.synthetic import Truth, weights

KNOWN = "Known pixels"
MOST_COLUMNS = 11
"""Methods in one figure: with more its maps become too small for a page."""
_ENLARGED = 4
"""Times that a pixel of the picture is repeated, so that maps over it are smooth."""


@dataclass(frozen=True, eq=False)
class Examined:
    """A comparison on pictures with masks: all are classified correctly, ``accuracy`` is that on all held-out ones.

    ``parts``: the share of each map's positive relevance on the object, distractors and background.
    """

    comparison: Comparison
    known: Truth
    accuracy: float
    parts: Scored


@dataclass(frozen=True)
class Verdict:
    """Of one localization metric: what the random control scores, and every other row whose mean is no better."""

    metric: str
    random: Summary
    no_better: tuple[tuple[str, Summary], ...]


def examined(model: Model, drawn: Truth, n_images: int, asked: Asked, limits: Limits, tick: Tick) -> Examined:
    """Maps and metrics of the first ``n_images`` of ``drawn`` that are classified correctly, or of all that are where they are fewer."""
    return of_known(model, drawn.correct.first(min(n_images, drawn.n_correct)), drawn.accuracy, asked, limits, tick)


def of_known(model: Model, known: Truth, accuracy: float, asked: Asked, limits: Limits, tick: Tick) -> Examined:
    """The same of pictures chosen by the caller."""
    made = computed(model, known.images, people(model, known), Prepared(known.masks), asked, limits, tick)
    return Examined(made, known, accuracy, spread_over_parts(model, known, made.attributed.maps, tick))


def people(model: Model, known: Truth) -> list[Subject]:
    """A Subject for each picture, named by its class and number."""
    pixels = known.images.permute(0, 2, 3, 1).cpu().numpy()
    views = [np.repeat(np.repeat(view, _ENLARGED, 0), _ENLARGED, 1) for view in pixels]
    names = [f"{model.class_name(int(label))}-{index}" for label, index in zip(known.labels, known.indices, strict=True)]
    return shown(model, known.images, names, views, known.units)


def product(found: Examined, title: str, text: str) -> Product:
    """`compare`'s figures and tables, before them the pictures' parts and where relevance lies; ``text`` leads the page."""
    made = found.comparison
    whole = compare.product(made)
    names = [one.name for one in made.people]
    places = table(found.parts, made.leading, names, made.seed)
    few = made.people[:MOST_ROWS]
    figures = [
        Figure("parts", parts_shown(few, found.known, "Pictures and their known parts"), "Pictures and their parts", _DRAWN, KNOWN),
        Figure(
            "where",
            parts_figure(places, found.known, f"Where relevance lies: {made.model.spec.reference}"),
            "Relevance by part, by method",
            _WHERE,
            KNOWN,
        ),
    ]
    sentences = "\n\n".join(said(found))
    numbers = Numbers(KNOWN, places.page_table(), {"parts.csv": places.csv().encode()}, sentences)
    arrays = {f"parts/{j.title}/{c.key}": v for j, values in found.parts.values.items() for c, v in values.items()}
    arrays |= {f"pictures/{name}": one for name, one in zip(names, found.known.images.cpu().numpy(), strict=True)}
    arrays |= {f"weights/{name}": values for name, values in weights(made.model).items()}
    metrics = {**whole.metrics, "truth": facts(found)}
    return replace(
        whole,
        title=title,
        lead=f"{text} Network: {made.model.spec.reference}, {found.accuracy:.1%} correct of held-out pictures.",
        figures=[*figures, *(part for figure in whole.figures for part in narrowed(figure, made))],
        arrays={**whole.arrays, **arrays},
        metrics=metrics,
        numbers=[numbers, *whole.numbers],
        tolerances=tolerances.TRUTH,
    )


def narrowed(figure: Figure, made: Comparison) -> list[Figure]:
    """`compare`'s figure of maps as several where there are many methods, as even as they can be; other figures as they are."""
    rivals, count = made.leading, -(-len(made.leading) // MOST_COLUMNS)
    if figure.stem != "methods" or count == 1:
        return [figure]
    width, few = -(-len(rivals) // count), made.people[:MOST_ROWS]
    found = []
    for number in range(count):
        some = rivals[number * width : (number + 1) * width]
        maps = {one.title: made.attributed.maps[one][: len(few)] for one in some}
        title = f"{figure.grid.title} ({number + 1} of {count})"
        grid = methods_by_images(few, maps, [one.title for one in some if one.control], title=title)
        found.append(replace(figure, stem=f"{figure.stem}-{number + 1}", grid=grid, caption=_SAME))
    return found


_SAME = "What each method says of the same prediction."
_DRAWN = "Nothing but the object tells the class, unless backgrounds were tied to it."
_WHERE = "Positive relevance on each part, as a share of all of it. A map that knows nothing gets the line: the part's share of the area."


def facts(found: Examined) -> dict[str, object]:
    """The share of the area that objects have, what the random control scores, and whether it is last."""
    area, mass, above = _area(found), _random_mass(found), random_above_area(found)
    return {
        "accuracy": found.accuracy,
        "n_images": len(found.known),
        "area_share": area,
        "part_shares": {kind.title: float(np.nanmean(share)) for kind, share in areas(found.known).items()},
        "random_mass": {**bounds(mass), "minus_area_share": bounds(above), "holds_area_share": _holds_zero(above)},
        "random_last": {v.metric: _row(v) for v in verdicts(found)},
    }


def bounds(found: Interval | Summary) -> dict[str, float | None]:
    """Mean and interval, None where not defined: JSON knows no NaN."""
    values = {"mean": found.mean, "low": found.low, "high": found.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _row(verdict: Verdict) -> dict[str, object]:
    return {"random": verdict.random.mean, "last": not verdict.no_better, "no_better": [name for name, _ in verdict.no_better]}


def said(found: Examined) -> list[str]:
    """The same in sentences."""
    area, mass, above, verdict = _area(found), _random_mass(found), random_above_area(found), verdicts(found)
    holds = "holds 0" if _holds_zero(above) else "does not hold 0"
    last = [v.metric for v in verdict if not v.no_better]
    sentences = [
        f"Objects cover {area:.1%} of the area, the mean over {len(found.known)} pictures. The random map's relevance mass accuracy is "
        f"{mass.mean:.3f} [{mass.low:.3f}, {mass.high:.3f}]; picture by picture it differs from that share by {above.mean:.3f} "
        f"[{above.low:.3f}, {above.high:.3f}]: the interval {holds}.",
        f"The random map is last in {len(last)} of {len(verdict)} localization metrics{': ' + ', '.join(last) if last else ''}.",
    ]
    for v in verdict:
        if v.no_better:
            below = ", ".join(f"{name} {_words(cell)}" for name, cell in v.no_better)
            sentences.append(f"In {v.metric} it scores {_words(v.random)}; no better: {below}.")
    return sentences


def _words(cell: Summary) -> str:
    return f"{cell.mean:.3f} [{cell.low:.3f}, {cell.high:.3f}]"


def verdicts(found: Examined) -> list[Verdict]:
    """One for each metric that needs masks; raises InterpError where none was taken or the random control is missing."""
    made = found.comparison
    main = made.table(made.leading)
    known = {judge.title for judge in made.scored.values if judge.metric.needs_masks}
    rows = [row for row, entry in enumerate(main.entries) if entry.method == RandomMap.title]
    if not known or not rows:
        raise InterpError("there is no localization metric, or no random control, to judge by: name 'relevance-mass' among the metrics")
    return [_verdict(main, rows[0], column) for column, measure in enumerate(main.measures) if measure.title in known]


def _verdict(main: MetricTable, random: int, column: int) -> Verdict:
    cells = main.column(column)
    others = [(entry.name, cell) for row, (entry, cell) in enumerate(zip(main.entries, cells, strict=True)) if row != random]
    return Verdict(main.measures[column].title, cells[random], tuple(one for one in others if one[1].mean <= cells[random].mean))


def _area(found: Examined) -> float:
    return float(np.nanmean(areas(found.known)[OnObject]))


def _random_masses(found: Examined) -> Float[np.ndarray, " n"]:
    masses = {judge.title: values for judge, values in found.parts.values.items()}[OnObject.title]
    (random,) = [values for contender, values in masses.items() if contender.title == RandomMap.title]
    return random


def _random_mass(found: Examined) -> Interval:
    return bootstrap_interval(_random_masses(found), seed=found.comparison.seed)


def random_above_area(found: Examined) -> Interval:
    """The random map's mass on the object less the object's share of the area, picture by picture: 0 is expected.

    Areas differ between pictures by much more than the random map does from them, so the interval of the mean mass alone would hide a bias.
    """
    return paired_difference(_random_masses(found), areas(found.known)[OnObject], seed=found.comparison.seed)


def _holds_zero(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high
