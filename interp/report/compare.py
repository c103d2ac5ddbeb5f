"""The product of ``interp compare``: maps across methods and layers, metrics beside controls, ranks, agreement, depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.comparisons.agreement import MOST_BESIDE, agreement_figure
from interp.comparisons.attribution_grids import layers_by_methods, methods_by_images
from interp.comparisons.contenders import Contender, Limits
from interp.comparisons.depth_curves import depth_curves
from interp.comparisons.ranking import ranking
from interp.comparisons.scaling import ScaleBy
from interp.comparisons.scored import fitting
from interp.comparisons.subjects import subjects
from interp.core.method import Heatmap
from interp.core.model import Model
from interp.figures import EmptyPanel
from interp.images import Photo
from interp.masks import prepared
from interp.metrics.agreement import Similarity, agreement_matrix
from interp.report import tolerances
from interp.report.comparison import Asked, Comparison, computed, judges_of
from interp.report.compose import lead, named, shape_header
from interp.report.product import Figure, Product, Tick
from interp.report.recorded import arrays, facts, numbers

MAPS, METRICS, DEPTH = "Maps", "Metrics", "Depth"
MOST_ROWS, MOST_LAYERED = 3, 1  # photographs shown: all of them are scored
_AGREEMENT = {"Spearman": Similarity.SPEARMAN, "SSIM": Similarity.SSIM, "Top 10 %": Similarity.TOP_K}


def compare(model: Model, photos: Sequence[Photo], asked: Asked, limits: Limits, tick: Tick) -> Product:
    """Every method's maps of ``photos``, what each metric says of them, and how far they agree."""
    judges = judges_of(asked, limits)
    fitting(judges, len(photos), asked.masks is not None)
    images, people = subjects(model, photos, asked.target)
    masks = None if asked.masks is None else prepared(model.preprocess, photos, asked.masks)
    return product(computed(model, images, people, masks, asked, limits, tick), asked.scale)


def product(made: Comparison, scale: ScaleBy = ScaleBy.CHANNEL) -> Product:
    """Figures, table, arrays and numbers of a comparison."""
    name = made.model.spec.reference
    figures = [*_map_figures(made, scale), *(_metric_figures(made) if made.scored.values else [])]
    text = "Which method to believe, at which layer: maps side by side, and metrics beside controls that know nothing of the network."
    tables = [numbers(made, METRICS)] if made.scored.values else []
    title, declared = f"Attribution methods on {name}", tolerances.SCORED
    return Product(title, lead(made.model, text), figures, arrays(made), facts(made), numbers=tables, tolerances=declared)


def _map_figures(made: Comparison, scale: ScaleBy) -> list[Figure]:
    leading, people = made.leading, made.people[:MOST_ROWS]
    maps = {c.title: made.attributed.maps[c][: len(people)] for c in leading}
    known = [c.title for c in leading if c.control]
    at = {c.layer for c in leading if c.layer}
    where = f" Methods that work at a layer: at {', '.join(sorted(at))}." if at else ""
    where += f" The first {len(people)} of {len(made.people)} photographs." if len(people) < len(made.people) else ""
    title = f"Attribution methods on {named(made.model)}" + (f"; at {at.pop()} where a method needs a layer" if len(at) == 1 else "")
    figures = [
        Figure(
            "methods",
            methods_by_images(people, maps, known, scale, title),
            "Attribution maps, methods by photographs",
            f"What each method says of the same prediction; the last columns are controls.{where}",
            MAPS,
        )
    ]
    layered = [c for c in made.contenders if c.layer]
    layers = [layer for layer in made.layers if any(c.layer == layer for c in layered)]
    for index, person in enumerate(people[:MOST_LAYERED] if len(layers) > 1 else ()):
        cells: dict[str, dict[str, Heatmap | EmptyPanel]] = {layer: {} for layer in layers}
        for contender in layered:
            cells[contender.layer][contender.title] = made.attributed.maps[contender][index]
        labels = {layer: shape_header(made.model.layer(layer)) for layer in layers}
        grid = layers_by_methods(person, cells, (), scale, labels, f"Attribution across layers: {person.name}")
        caption = "The same methods at each layer, shallow to deep: where detail ends and meaning begins."
        figures.append(Figure(f"layers-{person.name}", grid, f"Attribution maps of {person.name}, layers by methods", caption, MAPS))
    return figures


def _metric_figures(made: Comparison) -> list[Figure]:
    main = made.table(made.leading)
    ranked = Figure(
        "ranking",
        ranking(main, f"Metrics on {named(made.model)}"),
        "Methods ranked by each metric, with intervals",
        "Each metric ranks the methods on its own. A method whose interval overlaps a control's is not shown to be better than it.",
        METRICS,
    )
    return [ranked, *_agreements(made), *_depth(made)]


def _agreements(made: Comparison) -> list[Figure]:
    """One figure with all measures where there are few methods, else one for each."""
    leading = made.leading
    matrices = {title: _agreement(made, leading, kind) for title, kind in _AGREEMENT.items()}
    apart = len(leading) > MOST_BESIDE
    caption = (
        f"How alike the maps of two methods are, the mean over {len(made.people)} images; all are resized to the largest. Maps of "
        "magnitude and signed maps rank places differently even where they agree on the evidence. By chance: 0, for the top 10 % 0.1."
    )
    return [
        Figure(
            f"agreement-{title.split()[0].lower()}" if apart else "agreement",
            agreement_figure(shown, [c.title for c in leading], [c.control for c in leading], caption=caption),
            f"Agreement between methods: {', '.join(shown)}",
            caption,
            METRICS,
        )
        for title, shown in ([(title, {title: matrix}) for title, matrix in matrices.items()] if apart else [("", matrices)])
    ]


def _depth(made: Comparison) -> list[Figure]:
    kept = [c for c in made.contenders if c.layer or c.control]
    titles = {c.title for c in kept if sum(other.title == c.title for other in kept) > 1}
    if not titles:
        return []
    return [
        Figure(
            "depth",
            depth_curves(made.table([c for c in kept if c.title in titles or c.control]), made.layers),
            "Metrics by the depth of the layer",
            "How much a map is worth depends on the layer it is taken from; dashed: controls, which have none.",
            DEPTH,
        )
    ]


def _agreement(made: Comparison, contenders: Sequence[Contender], kind: Similarity) -> Float[np.ndarray, "m m"]:
    size = tuple(max(h.values.shape[axis] for c in contenders for h in made.attributed.maps[c]) for axis in (0, 1))
    return agreement_matrix([[h.resized((size[0], size[1])).values for h in made.attributed.maps[c]] for c in contenders], kind)
