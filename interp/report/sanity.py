"""The product of the sanity checks: likeness to the trained network's maps, and the maps themselves, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.comparisons.attributed import Maps
from interp.comparisons.attribution_grids import layers_by_methods
from interp.comparisons.contenders import names
from interp.comparisons.depth_curves import randomization_curves
from interp.comparisons.sanity import TRAINED, Sanity
from interp.comparisons.subjects import Subject
from interp.core.depth import evenly
from interp.core.model import Model
from interp.metrics.agreement import Similarity
from interp.metrics.cascade import Order
from interp.report import tolerances
from interp.report.compose import predictions
from interp.report.product import Figure, Product

_ORDERS = {
    Order.TOP_DOWN: "from the classes downwards",
    Order.BOTTOM_UP: "from the picture upwards",
    Order.INDEPENDENT: "one stage at a time",
}
_MEASURES = {
    Similarity.SPEARMAN: "Spearman correlation",
    Similarity.ABSOLUTE_SPEARMAN: "Spearman correlation of magnitudes",
    Similarity.SSIM: "SSIM",
    Similarity.TOP_K: "overlap of the top 10 %",
}
_STAGED, _STAGES = 1, 2  # photographs, and stages of each, that are shown


def product(model: Model, people: Sequence[Subject], maps: Maps, tried: Sequence[Sanity], seed: int, text: str) -> Product:
    """Curves for each order, and the maps of the first photograph in the first; ``text`` leads the page."""
    figures = [_curves(model, sanity, seed) for sanity in tried]
    figures += _staged(people, maps, tried[0])
    arrays = {f"maps/{TRAINED}/{s.name}/{c.key}": h.values for c, found in maps.items() for s, h in zip(people, found, strict=True)}
    metrics: dict[str, object] = {"predictions": predictions(people)}
    for sanity in tried:
        arrays |= {f"alike/{sanity.order}/{m}/{c.key}": rows for m, found in sanity.alike.items() for c, rows in found.items()}
        metrics[str(sanity.order)] = {
            "stages": [list(stage) for stage in sanity.stages],
            **{str(m): {c.key: _means(rows) for c, rows in found.items()} for m, found in sanity.alike.items()},
        }
    return Product(f"Sanity checks on {model.spec.reference}", text, figures, arrays, metrics, tolerances=tolerances.SANITY)


def _curves(model: Model, sanity: Sanity, seed: int) -> Figure:
    lines = {_MEASURES[measure]: sanity.lines(measure, seed) for measure in sanity.alike}
    known = [name for c, name in names(sanity.maps).items() if c.control]
    order = _ORDERS[sanity.order]
    grid = randomization_curves(
        lines,
        sanity.names,
        known,
        x_label="last layer of the stage randomized last",
        title=f"Maps as weights are randomized {order}: {model.spec.reference}",
        caption="Means over the photographs with 95 % bootstrap bands; 1: the map is as before. A gap: the map became constant. "
        "Grey: controls.",
    )
    return Figure(
        f"randomization-{sanity.order}",
        grid,
        f"Similarity of maps to the trained network's as weights are randomized {order}",
        "A method that explains what was learned falls; one that stays up shows the picture.",
        f"Randomized {order}",
    )


def _staged(people: Sequence[Subject], maps: Maps, sanity: Sanity) -> list[Figure]:
    figures = []
    for index, person in enumerate(people[:_STAGED]):
        called = names(maps)
        # Controls stay the same whatever the weights.
        asked = [c for c in maps if not c.control]
        cells = {TRAINED: {called[c]: maps[c][index] for c in asked}}
        for number in evenly(range(len(sanity.stages)), _STAGES):
            cells[sanity.names[1 + number]] = {called[c]: sanity.maps[c][number][index] for c in asked}
        grid = layers_by_methods(person, cells, title=f"Maps as weights are randomized {_ORDERS[sanity.order]}: {person.name}")
        alt = f"Maps of {person.name} at each stage of randomization, by method"
        caption = "Rows: the trained network, the first stage and the last: all layers down (or up) to the one named are drawn anew."
        figures.append(Figure(f"stages-{sanity.order}-{person.name}", grid, alt, caption, f"Randomized {_ORDERS[sanity.order]}"))
    return figures


def _means(rows: np.ndarray) -> list[float | None]:
    """Mean over images at each stage; None where no map varies."""
    return [float(np.nanmean(row)) if np.isfinite(row).any() else None for row in rows]
