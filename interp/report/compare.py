"""The product of ``interp compare``: maps across methods and layers, metrics beside controls, ranks, agreement, depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from interp.attribution.controls import RandomMap
from interp.comparisons.agreement import agreement_figure
from interp.comparisons.attributed import Attributed, attribute
from interp.comparisons.attribution_grids import layers_by_methods, methods_by_images
from interp.comparisons.contenders import Contender, Limits, controls
from interp.comparisons.depth_curves import depth_curves
from interp.comparisons.metric_table import MetricTable, Summary
from interp.comparisons.ranking import ranking
from interp.comparisons.scaling import ScaleBy
from interp.comparisons.scored import Judge, Scored, fitting, score
from interp.comparisons.subjects import Subject, subjects
from interp.comparisons.summarized import table
from interp.core.choices import Choice, refuse_same
from interp.core.method import Heatmap, Method
from interp.core.model import Model
from interp.core.unit import Unit
from interp.figures import EmptyPanel
from interp.images import Photo
from interp.masks import Prepared, prepared
from interp.metrics.agreement import Similarity, agreement_matrix
from interp.metrics.evidence import Better, Metric
from interp.metrics.registry import DEFAULT, LOCALIZING, metric
from interp.metrics.statistics import Interval, paired_difference
from interp.report.compose import lead, measures, predictions, shape_header
from interp.report.product import Figure, Numbers, Product, Tick
from interp.report.standard import contending
from interp.site import Link

MAPS, METRICS, DEPTH = "Maps", "Metrics", "Depth"
MOST_ROWS, MOST_LAYERED = 4, 2  # photographs shown: all of them are scored
_AGREEMENT = {"Spearman": Similarity.SPEARMAN, "SSIM": Similarity.SSIM, "Top 10 %": Similarity.TOP_K}


@dataclass(frozen=True, eq=False)
class Asked:
    """What is compared, as asked; empty where it is left to `standard`. ``masks``: of the photographs, at their own sizes."""

    methods: tuple[Choice[Method], ...] = ()
    layers: tuple[str, ...] = ()
    metrics: tuple[Choice[Metric], ...] = ()
    target: Unit | None = None
    scale: ScaleBy = ScaleBy.CHANNEL
    masks: tuple[Bool[np.ndarray, "h w"], ...] | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was computed: who competed, their maps and their values. ``layers`` are shallow to deep."""

    model: Model
    people: Sequence[Subject]
    layers: Sequence[str]
    attributed: Attributed
    scored: Scored
    masks: Prepared | None
    seed: int

    @property
    def contenders(self) -> list[Contender]:
        return list(self.attributed.maps)

    @property
    def leading(self) -> list[Contender]:
        """Those of the main table: what works at a layer at the deepest at which it was tried, and all others."""
        deepest = {c.title: c.layer for layer in self.layers for c in self.contenders if c.layer == layer}
        return [c for c in self.contenders if c.layer == deepest.get(c.title, "")]

    def table(self, contenders: Sequence[Contender]) -> MetricTable:
        return table(self.scored, contenders, [s.name for s in self.people], self.seed)


def compare(model: Model, photos: Sequence[Photo], asked: Asked, limits: Limits, tick: Tick) -> Product:
    """Every method's maps of ``photos``, what each metric says of them, and how far they agree."""
    judges = _judges(asked, limits)
    fitting(judges, len(photos), asked.masks is not None)
    images, people = subjects(model, photos, asked.target)
    masks = None if asked.masks is None else prepared(model.preprocess, photos, asked.masks)
    return product(computed(model, images, people, masks, asked, limits, tick), asked.scale)


def computed(
    model: Model,
    images: Float[Tensor, "n c h w"],
    people: Sequence[Subject],
    masks: Prepared | None,
    asked: Asked,
    limits: Limits,
    tick: Tick,
) -> Comparison:
    """Maps and metrics; ``people`` say which unit of which image is explained."""
    units = [s.unit for s in people]
    found, layers = contending(model, asked.methods, asked.layers, units, limits)
    known = {contender.title for contender in found}  # the user may have named controls
    beside = [control for control in controls(limits) if control.title not in known]
    attributed = attribute(model, images, units, [*found, *beside], tick, limits.batch_size)
    scored = score(model, images, units, attributed.maps, _judges(asked, limits), masks.values if masks else None, tick)
    return Comparison(model, people, layers, attributed, scored, masks, limits.seed)


def product(made: Comparison, scale: ScaleBy = ScaleBy.CHANNEL) -> Product:
    """Figures, table, arrays and numbers of a comparison."""
    name = made.model.spec.reference
    figures = [*_map_figures(made, scale), *(_metric_figures(made) if made.scored.values else [])]
    text = "Which method to believe, at which layer: maps side by side, and metrics beside controls that know nothing of the network."
    numbers = [_numbers(made)] if made.scored.values else []
    return Product(f"Attribution methods on {name}", lead(made.model, text), figures, _arrays(made), _facts(made), numbers=numbers)


def _judges(asked: Asked, limits: Limits) -> list[Judge]:
    names = (*(LOCALIZING if asked.masks is not None else ()), *DEFAULT)
    choices = asked.metrics or [metric(name) for name in names]
    found = [Judge(choice.make(seed=limits.seed, batch_size=limits.batch_size), named=bool(asked.metrics)) for choice in choices]
    judges = list(dict.fromkeys(found))
    refuse_same((judge.title for judge in judges), "metric")
    return judges


def _map_figures(made: Comparison, scale: ScaleBy) -> list[Figure]:
    leading, people = made.leading, made.people[:MOST_ROWS]
    maps = {c.title: made.attributed.maps[c][: len(people)] for c in leading}
    known = [c.title for c in leading if c.control]
    at = {c.layer for c in leading if c.layer}
    where = f" Methods that work at a layer: at {', '.join(sorted(at))}." if at else ""
    where += f" The first {len(people)} of {len(made.people)} photographs." if len(people) < len(made.people) else ""
    title = f"Attribution methods on {made.model.spec.reference}"
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
    main, leading = made.table(made.leading), made.leading
    ranked = Figure(
        "ranking",
        ranking(main, f"Metrics on {made.model.spec.reference}"),
        "Methods ranked by each metric, with intervals",
        "Each metric ranks the methods on its own. A method whose interval overlaps a control's is not shown to be better than it.",
        METRICS,
    )
    heat = Figure(
        "metrics",
        main.figure(f"Metrics on {made.model.spec.reference}"),
        "Matrix of metrics by method",
        "Where metrics disagree on a method, none of them alone decides.",
        METRICS,
    )
    matrices = {title: _agreement(made, leading, kind) for title, kind in _AGREEMENT.items()}
    agreement = Figure(
        "agreement",
        agreement_figure(matrices, [c.title for c in leading], [c.control for c in leading]),
        "Agreement between methods",
        f"How alike the maps of two methods are, the mean over {len(made.people)} images; all are resized to the largest.",
        METRICS,
    )
    return [ranked, heat, agreement, *_depth(made)]


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


def _numbers(made: Comparison) -> Numbers:
    """The main table on the page, and both tables as files."""
    main, whole = made.table(made.leading), made.table(made.contenders)
    files = {"metrics.md": whole.markdown().encode(), "metrics.csv": whole.csv().encode(), "metrics.parquet": whole.parquet()}
    links = (Link("Markdown", "metrics.md"), Link("CSV", "metrics.csv"), Link("Parquet, with each image", "metrics.parquet"))
    left = [f"{judge.title} was left out: {why}." for judge, why in made.scored.left_out]
    left += [f"{contender.label} was left out: {why}." for contender, why in made.attributed.refused]
    left += made.masks.notes if made.masks else ()
    text = "\n\n".join(["All methods at all layers, and the value of each image, stand in the files.", *left])
    return Numbers(METRICS, main.page_table("", links), files, text)


def _arrays(made: Comparison) -> dict[str, np.ndarray]:
    names = [s.name for s in made.people]
    maps = {f"maps/{n}/{c.key}": h.values for c, found in made.attributed.maps.items() for n, h in zip(names, found, strict=True)}
    values = {f"metrics/{j.title}/{c.key}": v for j, found in made.scored.values.items() for c, v in found.items()}
    masks = {f"masks/{n}": m for n, m in zip(names, made.masks.values, strict=True)} if made.masks else {}
    return maps | values | masks


def _facts(made: Comparison) -> dict[str, object]:
    found: dict[str, object] = {"predictions": predictions(made.people), "layers": list(made.layers)}
    found["methods"] = {c.key: _said(made, c) for c in made.contenders}
    found["left_out"] = {judge.metric.name: why for judge, why in made.scored.left_out}
    found["refused"] = {c.key: why for c, why in made.attributed.refused}
    if made.scored.values:
        whole = made.table(made.contenders)
        cells = zip(made.contenders, whole.summaries, strict=True)
        found["metrics"] = {c.key: {m.title: _cell(s) for m, s in zip(whole.measures, row, strict=True)} for c, row in cells}
        found["above_random"] = _above_random(made)
    return found


def _above_random(made: Comparison) -> dict[str, object]:
    """Mean difference to the random map, image by image, with its interval: what images have in common cancels."""
    random = next(c for c in made.contenders if isinstance(c.method, RandomMap))
    return {
        c.key: {
            j.title: _cell(paired_difference(values[c], values[random], seed=made.seed))
            for j, values in made.scored.values.items()
            if j.metric.better is not Better.NEITHER
        }
        for c in made.contenders
        if c is not random
    }


def _cell(summary: Summary | Interval) -> dict[str, object]:
    """Numbers for JSON, which has no NaN."""
    named = {field.name: getattr(summary, field.name) for field in fields(summary)}
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in named.items()}


def _said(made: Comparison, contender: Contender) -> dict[str, object]:
    """What the maps say of themselves: measures such as the completeness gap, and reasons not to believe them."""
    maps = dict(zip((s.name for s in made.people), made.attributed.maps[contender], strict=True))
    doubts = {name: [d.sentence for d in h.degenerations] for name, h in maps.items() if h.degenerations}
    said = {name: measures(h) for name, h in maps.items() if h.measures}
    return {"method": contender.title, "layer": contender.layer, "source": contender.method.source, "doubts": doubts, "measures": said}
