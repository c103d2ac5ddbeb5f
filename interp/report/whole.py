"""``interp report``: a network across its layers, on photographs: four views side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from interp import activations as acts
from interp import kernels
from interp.activations import Activations, Rank
from interp.attribution import gradcam
from interp.comparisons import features as feature_figures
from interp.comparisons import kernels as kernel_figures
from interp.comparisons import overview
from interp.comparisons.subjects import Subject, subjects, unit_name
from interp.core.depth import kernel_layer, spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Feature
from interp.images import Photo
from interp.kernels import Kernels
from interp.report import compose, tolerances
from interp.report import features as optimized
from interp.report.product import Figure, Product, Tick, silent
from interp.runs import config_entry


@dataclass(frozen=True)
class Settings:
    """What a report shows: ``layers`` and ``units`` () mean chosen by interp, ``target`` None the top prediction."""

    layers: tuple[str, ...] = ()
    units: tuple[Unit, ...] = ()
    target: Unit | None = None
    ascent: AscentConfig = field(default_factory=AscentConfig)
    seed: int = 0
    depth: int = 6
    per_layer: int = 4


def report(model: Model, photos: Sequence[Photo], settings: Settings, tick: Tick = silent) -> Product:
    """The whole look at ``model``; nothing is written. Raises InterpError where layers, units or target do not fit the model."""
    names = chosen_layers(model, settings)
    tick("activations", 0, 1)
    images, people = subjects(model, photos, settings.target)
    found = acts.of(model, images, names)
    weights = {name: _kernels(model, name) for name in names}
    units = settings.units or tuple(strongest_units(found, settings.per_layer))
    tick("Grad-CAM", 0, 1)
    places = [name for name in names if all(compose.explainable(model, [name], s.unit) for s in people)]
    heatmaps = gradcam.of(model, images, [s.unit for s in people], places) if places else []
    colours = len(model.preprocess.mean) == 3
    # Optimized images are RGB: of a network that sees other channels there are none, unless units were named, which is refused.
    ascended = units if colours or settings.units else ()
    features = optimized.optimize(model, ascended, settings.ascent, settings.seed, tick)
    by_layer: dict[str, list[Feature]] = {name: [] for name in names}
    for unit, feature in zip(ascended, features, strict=True):
        by_layer[unit.layer].append(feature)

    columns = [
        overview.Column(
            name,
            compose.shape_header(model.layer(name)),
            weights[name],
            found[name],
            by_layer[name],
            heatmaps[0][name] if heatmaps and name in heatmaps[0] else None,
        )
        for name in names
    ]
    title = f"{model.spec.reference} across its layers"
    figures = [
        Figure(
            "overview",
            overview.figure(columns, people[0], 0, title),
            f"{'Four' if features else 'Three'} views of {len(names)} layers",
            _overview_caption(people[0], ascended=bool(features)),
            "Overview",
        ),
        *_kernel_figure(model, [k for k in weights.values() if k is not None]),
    ]
    activation, arrays = compose.activation_figures_of(
        people, found, compose.ActivationOptions(settings.per_layer), None, partial(unit_name, model)
    )
    figures += activation
    shown = {name: fs for name, fs in by_layer.items() if fs}
    if shown:
        labels = {str(u): unit_name(model, u) for u in units if u.layer == model.output}
        grid = feature_figures.figure(shown, f"Optimized images of {model.spec.reference}", labels)
        figures.append(
            Figure("features", grid, "Images optimized for single units, by layer", _feature_caption(settings), optimized.FEATURES)
        )
    if heatmaps:
        figures.append(compose.gradcam_figure(model, people, heatmaps, places))
        arrays |= compose.heatmap_arrays(people, heatmaps)
    arrays |= {f"kernels_shown/{k.layer}": kernel_figures.shown(k) for k in weights.values() if k is not None}
    arrays |= optimized.feature_arrays(ascended, features)
    metrics: dict[str, object] = {
        "predictions": compose.predictions(people),
        "zeros": compose.zeros(found),
        "features": optimized.scores(ascended, features),
    }
    metrics["chosen"] = {"layers": names, "units": [str(u) for u in units], "ascent": config_entry(settings.ascent)}
    facts = model_facts(model, names, people)
    if not colours:
        channels = len(model.preprocess.mean)
        facts.append(("Optimized images", f"none: they are RGB, and the network takes {channels} channel{'s' * (channels != 1)}"))
    return Product(title, compose.lead(model, _lead(people)), figures, arrays, metrics, facts, tolerances=tolerances.REPORT)


def chosen_layers(model: Model, settings: Settings) -> list[str]:
    """The layers of a report, in firing order: those named or spread over the depth, and those of the units named."""
    names = (
        [layer.name for layer in model.select(settings.layers)]
        if settings.layers
        else [layer.name for layer in spread(model, settings.depth)]
    )
    wanted = {*names, *(unit.layer for unit in settings.units)}
    for name in wanted:
        _ = model.layer(name).map_shape
    return [layer.name for layer in model.layers if layer.name in wanted]


def strongest_units(found: dict[str, Activations], count: int) -> list[Unit]:
    """Per layer the ``count`` channels with the largest mean activation over the photographs.

    By the mean, since a unit that fires in one place only may get no gradient from noise.
    """
    return [Unit(name, int(channel)) for name, a in found.items() for channel in a.top(count, Rank.MEAN)]


def _kernels(model: Model, name: str) -> Kernels | None:
    try:
        return kernels.of(model, kernel_layer(model, name).name)
    except InterpError:
        return None


def _kernel_figure(model: Model, found: Sequence[Kernels]) -> list[Figure]:
    once = list({k.layer: k for k in found}.values())
    if not once:
        return []
    grid = kernel_figures.figure(once, f"Kernels of {model.spec.reference}")
    return [Figure("kernels", grid, f"Filters of {', '.join(k.layer for k in once)}", compose.kernel_caption(), compose.KERNELS)]


def _overview_caption(subject: Subject, *, ascended: bool) -> str:
    made = "the image optimized to excite that unit; " if ascended else ""
    return (
        f"Columns: layers, from the first to the last. Rows: kernels that feed the layer; the activation of '{subject.name}' in the "
        f"unit named below it; {made}Grad-CAM for '{subject.target}' at the layer, signed, "
        f"each map divided by its own largest magnitude.{compose.beyond([subject])}"
    )


def _feature_caption(settings: Settings) -> str:
    which = "the units named" if settings.units else "the units with the largest mean activation on the photographs, strongest first"
    return f"Columns: layers; rows: {which}. {optimized.feature_caption(settings.ascent)}"


def _lead(people: Sequence[Subject]) -> str:
    said = "; ".join(f"'{s.name}' predicted {s.prediction} ({s.label.removeprefix(s.prediction).strip()})" for s in people)
    return f"What the network sees in {len(people)} photograph{'s' if len(people) > 1 else ''}: {said}."


def model_facts(model: Model, names: Sequence[str], people: Sequence[Subject]) -> list[tuple[str, str]]:
    """The model in a table: size, input, classes, the layers shown."""
    pre = model.preprocess
    return [
        ("Layers", f"{len(model.layers)} fire, {len(names)} shown: {', '.join(names)}"),
        ("Input", f"{pre.size[0]} x {pre.size[1]} px (rows x cols), shorter side resized to {pre.resize or min(pre.size)}, centre crop"),
        ("Classes", str(model.classes)),
        ("Predictions", "; ".join(f"{s.name}: {s.label}" for s in people)),
    ]
