"""Where relevance lies in pictures whose parts are known: on the object, on distractors, on the ground between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from interp.comparisons.attributed import Maps, Step
from interp.comparisons.metric_table import MetricTable
from interp.comparisons.ranking import ranking
from interp.comparisons.scored import Judge, Scored, score
from interp.comparisons.subjects import Subject
from interp.core.model import Model
from interp.figures import Grid, ImagePanel, IntervalPanel
from interp.metrics.evidence import Better
from interp.metrics.localization import RelevanceMass
from interp.synthetic import Truth

# How much of a picture's contrast is left outside of the part that is shown.
_FADED = 0.2


@dataclass(frozen=True)
class OnObject(RelevanceMass):
    """Share of the positive attribution on the object."""

    name: ClassVar[str] = "mass-on-object"
    title: ClassVar[str] = "Mass on the object"


@dataclass(frozen=True)
class OnDistractors(RelevanceMass):
    """Share on visible distractors; NaN for pictures without any."""

    name: ClassVar[str] = "mass-on-distractors"
    title: ClassVar[str] = "Mass on distractors"
    better: ClassVar[Better] = Better.LOWER


@dataclass(frozen=True)
class OnGround(RelevanceMass):
    """Share on the background that is neither."""

    name: ClassVar[str] = "mass-on-background"
    title: ClassVar[str] = "Mass on the background"
    better: ClassVar[Better] = Better.LOWER


def parts(known: Truth) -> dict[type[RelevanceMass], Bool[np.ndarray, "n rows cols"]]:
    """The pixels of each part: together every pixel, each once."""
    return {OnObject: known.masks, OnDistractors: known.distracting, OnGround: ~(known.masks | known.distracting)}


def areas(known: Truth) -> dict[type[RelevanceMass], Float[np.ndarray, " n"]]:
    """The share of each picture's area that a part has; NaN where the picture lacks it, as the mass is."""
    shares = {kind: masks.mean((1, 2)) for kind, masks in parts(known).items()}
    return {kind: np.where(share > 0, share, np.nan) for kind, share in shares.items()}


def spread_over_parts(model: Model, known: Truth, maps: Maps, step: Step) -> Scored:
    """The share of every map's positive attribution on each part."""
    found = [
        score(model, known.images, known.units, maps, [Judge(kind(), named=True)], masks, step) for kind, masks in parts(known).items()
    ]
    return Scored({judge: values for one in found for judge, values in one.values.items()}, ())


def parts_figure(table: MetricTable, known: Truth, title: str) -> Grid:
    """One panel per part: each method's share, and as a line the part's share of the area, which a map that says nothing gets."""
    grid = ranking(table, title)
    chance = [float(np.nanmean(share)) for share in areas(known).values()]
    panels = [
        replace(panel, reference=share) if isinstance(panel, IntervalPanel) else panel
        for panel, share in zip(grid.rows[0], chance, strict=True)
    ]
    caption = f"{grid.caption} Vertical line: the part's mean share of the area ({', '.join(f'{share:.1%}' for share in chance)})."
    return replace(grid, rows=(tuple(panels),), caption=caption)


def parts_shown(people: Sequence[Subject], known: Truth, title: str) -> Grid:
    """Rows: the picture, its object, its distractors; the rest faded to grey. Below each: the share of the area."""
    rows = [tuple(ImagePanel(one.view, sublabel=f"{one.label}\nfor {one.target}") for one in people)]
    rows += [
        tuple(
            ImagePanel(_faded(one.view, mask), sublabel=f"{mask.mean():.1%}")
            for one, mask in zip(people, masks[: len(people)], strict=True)
        )
        for masks in (known.masks, known.distracting)
    ]
    caption = (
        "Outside of a part the picture is faded. Below: the network's prediction and the class explained; the part's share of the area."
    )
    return Grid(tuple(rows), ("picture", "object", "distractors"), tuple(one.name for one in people), title, caption)


def _faded(view: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "rows cols"]) -> Float[np.ndarray, "h w 3"]:
    times = view.shape[0] // mask.shape[0]
    kept = np.kron(mask, np.ones((times, times)))[..., None]
    faded: np.ndarray = np.where(kept > 0, view, 0.5 + _FADED * (view - 0.5)).astype(np.float32)
    return faded
