"""The products of the single missions: kernels, activations, Grad-CAM. Optimized images have their own file, `features`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from interp import activations as acts
from interp import kernels
from interp.activations import Activations, Rank
from interp.attribution import gradcam
from interp.comparisons import activations as activation_figures
from interp.comparisons import gradcam as gradcam_figures
from interp.comparisons import kernels as kernel_figures
from interp.comparisons.scaling import ScaleBy
from interp.comparisons.subjects import Subject, subjects, unit_name
from interp.core.depth import has_kernel
from interp.core.heads import reading_of
from interp.core.method import Heatmap
from interp.core.model import Layer, Model
from interp.core.unit import Unit
from interp.images import Photo
from interp.kernels import Kernels, Order
from interp.kernels import Scale as KernelScale
from interp.report import tolerances
from interp.report.product import Figure, Product

KERNELS, ACTIVATIONS, GRADCAM = "Kernels", "Activations", "Grad-CAM"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class KernelOptions:
    """Which filters, in which order, and whether filters share a scale."""

    order: Order = Order.INDEX
    scale: KernelScale = KernelScale.SHARED
    count: int = 64


def of_kernels(model: Model, layers: Sequence[str], options: KernelOptions = KernelOptions()) -> Product:
    """Kernels of ``layers``, side by side."""
    found = [kernels.of(model, layer) for layer in layers]
    title = f"Kernels of {model.spec.reference}"
    figure = Figure(
        "kernels",
        kernel_figures.figure(found, title, options.order, options.scale, options.count),
        f"Filters of {', '.join(k.layer for k in found)}",
        kernel_caption(options),
        KERNELS,
    )
    norms = {k.layer: {"norm_mean": float(k.norms.mean()), "norm_max": float(k.norms.max()), "largest": float(k.limit)} for k in found}
    return Product(
        title, lead(model, "The weights themselves."), [figure], kernel_arrays(found), {"kernels": norms}, tolerances=tolerances.KERNELS
    )


def kernel_caption(options: KernelOptions = KernelOptions()) -> str:
    """What the kernel figure shows, in words."""
    scale = "one scale per layer" if options.scale is KernelScale.SHARED else "each filter scaled to its own largest weight"
    order = "in the order of the layer" if options.order is Order.INDEX else "by falling norm"
    return (
        f"Filters {order}. Filters on colour input are shown as pictures, grey standing for zero, {scale}; "
        "deeper ones as grids of single kernels, the first outputs down and inputs across, "
        "and 1x1 or Linear weights as one matrix, on a diverging scale centred on zero; below each stands how many of how many are shown."
    )


def kernel_arrays(found: Sequence[Kernels]) -> Arrays:
    """The weights under their names in ``arrays.safetensors``."""
    return {f"kernels/{k.layer}": k.weights for k in found}


@dataclass(frozen=True)
class ActivationOptions:
    """How many channels per layer, ranked how, on which scale."""

    count: int = 4
    rank: Rank = Rank.MAX
    scale: ScaleBy = ScaleBy.CHANNEL


def of_activations(
    model: Model,
    photos: Sequence[Photo],
    layers: Sequence[str],
    options: ActivationOptions = ActivationOptions(),
    units: Sequence[Unit] = (),
) -> Product:
    """Activations of each photograph at ``layers``: the mean map and the strongest channels, or the ``units`` named."""
    images, people = subjects(model, photos)
    channels: dict[str, list[int]] = {}
    for unit in units:
        channels.setdefault(unit.layer, []).append(unit.channel)
    found = acts.of(model, images, list(layers))
    figures, arrays = activation_figures_of(people, found, options, channels, partial(unit_name, model))
    title = f"Activations of {model.spec.reference}"
    text = lead(model, "What its layers answer to the photographs.")
    return Product(title, text, figures, arrays, {"zeros": zeros(found)}, tolerances=tolerances.ACTIVATIONS)


def activation_figures_of(
    people: Sequence[Subject],
    found: Mapping[str, Activations],
    options: ActivationOptions = ActivationOptions(),
    channels: Mapping[str, Sequence[int]] | None = None,
    named: Callable[[Unit], str] = str,
) -> tuple[list[Figure], Arrays]:
    """One figure per photograph, another for layers without places if there are any, and the arrays behind them.

    ``named`` gives units their names where there is room for them.
    """
    figures: list[Figure] = []
    arrays: Arrays = {}
    how = {
        ScaleBy.CHANNEL: "each on its own scale",
        ScaleBy.LAYER: "one scale per layer and photograph",
        ScaleBy.SHARED: "all on one scale",
    }
    maps = {name: a for name, a in found.items() if not activation_figures.is_vector(a)}
    vectors = {name: a for name, a in found.items() if name not in maps}
    most = max(options.count, activation_figures.VECTOR_UNITS)
    for place, subject in enumerate(people):
        if maps:
            grid = activation_figures.figure(subject, place, maps, options.count, options.rank, options.scale, channels)
            caption = (
                f"'{subject.name}': the mean over all channels of each layer, then "
                + ("the channels named" if channels else f"its {options.count} strongest channels by {options.rank.value}")
                + f", {how[options.scale]}; the range of values stands below each map."
            )
            alt = f"Activation maps of {subject.name} across layers"
            figures.append(Figure(f"activations-{subject.name}", grid, alt, caption, ACTIVATIONS))
        if vectors:
            grid = activation_figures.vectors(subject, place, vectors, most, options.rank, channels, named)
            which = "the units named" if channels else f"its {most} largest values, or all where there are fewer"
            caption = f"'{subject.name}': of each layer without places {which}, signed, as bars from zero; below stands the range of all."
            stem = f"activations-{subject.name}{'-vectors' if maps else ''}"
            figures.append(Figure(stem, grid, f"Largest activations of {subject.name} in layers without places", caption, ACTIVATIONS))
        for name, a in found.items():
            count = most if name in vectors else options.count
            shown = (channels or {}).get(name) or activation_figures.strongest(a, place, count, options.rank)
            arrays[f"activations/{subject.name}/{name}/mean"] = np.asarray(a.mean_map(place))
            arrays[f"activations/{subject.name}/{name}/channels"] = np.asarray(shown, dtype=np.int64)
            arrays[f"activations/{subject.name}/{name}/maps"] = a.maps[place][list(shown)]
    return figures, arrays


def zeros(found: Mapping[str, Activations]) -> dict[str, object]:
    """Per layer: the share of values that are exactly zero, and of channels that are zero everywhere."""
    return {name: {"zero_values": float(a.zeros.mean()), "silent_channels": float((a.zeros == 1).mean())} for name, a in found.items()}


def of_gradcam(
    model: Model, photos: Sequence[Photo], layers: Sequence[str], target: Unit | None = None, scale: ScaleBy = ScaleBy.CHANNEL
) -> Product:
    """Grad-CAM of the top prediction, or of ``target``, at ``layers`` for each photograph."""
    images, people = subjects(model, photos, target)
    found = gradcam.of(model, images, [s.unit for s in people], list(layers))
    figure = gradcam_figure(model, people, found, layers, scale)
    return Product(
        f"Grad-CAM of {model.spec.reference}",
        lead(model, "Where in a photograph the evidence lies."),
        [figure],
        heatmap_arrays(people, found),
        {"predictions": predictions(people)},
    )


def gradcam_figure(
    model: Model, people: Sequence[Subject], found: Sequence[Mapping[str, Heatmap]], layers: Sequence[str], scale: ScaleBy = ScaleBy.CHANNEL
) -> Figure:
    """The overlays of all photographs and layers, in one figure."""
    labels = {name: shape_header(model.layer(name)) for name in layers}
    grid = gradcam_figures.figure(people, found, labels, scale, f"Grad-CAM of {model.spec.reference}")
    how = (
        "Each map is divided by its own largest magnitude, written below it"
        if scale is ScaleBy.CHANNEL
        else f"Maps are in raw units, one scale per {'column' if scale is ScaleBy.LAYER else 'figure'}"
    )
    caption = (
        f"Signed Grad-CAM (no ReLU) at each layer, laid over the grey photograph: orange speaks for {_explained(model, people)}, blue "
        f"against it. {how}; upsampled bilinearly.{beyond(people)}"
    )
    return Figure("gradcam", grid, "Grad-CAM overlays across layers", caption, GRADCAM)


def _explained(model: Model, people: Sequence[Subject]) -> str:
    """What the maps are of: the class of each photograph, the user's function, or a unit."""
    units = dict.fromkeys(s.unit for s in people)
    reading = reading_of(model.module)
    if reading is not None and reading.explained is not None and list(units) == [Unit(reading.target, 0)]:
        return f"a larger '{reading.explained.name}'"
    if all(unit.layer == model.output and unit.at is None for unit in units):
        return "the class"
    return f"'{next(iter(units))}'" if len(units) == 1 else "the unit"


def beyond(people: Sequence[Subject]) -> str:
    """What a caption of Grad-CAM says where single places are explained, with a space before it; else ""."""
    if all(s.unit.at is None for s in people):
        return ""
    return " Each channel has one weight, over all places, so the maps are not kept to what is seen at the place that is explained."


def heatmap_arrays(people: Sequence[Subject], found: Sequence[Mapping[str, Heatmap]]) -> Arrays:
    """The raw signed maps, by photograph and layer."""
    return {f"gradcam/{s.name}/{layer}": h.values for s, maps in zip(people, found, strict=True) for layer, h in maps.items()}


def predictions(people: Sequence[Subject]) -> dict[str, object]:
    """Per photograph: the predicted class, its unit and probability (or score, where there is none), and the unit explained."""
    return {
        s.name: {"prediction": s.prediction, "unit": str(s.best), "explained": str(s.unit)}
        | ({"probability": s.probability} if s.score is None else {"score": s.score})
        for s in people
    }


def measures(heatmap: Heatmap) -> dict[str, float | None]:
    """The numbers that belong to a map, for ``metrics.json``: None where one is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in heatmap.measures}


def shape_header(layer: Layer) -> str:
    """A column's header: the layer's name and the shape of its maps."""
    channels, rows, cols = layer.map_shape
    return f"{layer.label}\n{channels} ch, {rows} x {cols}"


def named(model: Model) -> str:
    """The network's name for titles of figures, which say so where its weights are random."""
    return f"{model.spec.reference}, random weights" if model.spec.weights.startswith("random") else model.spec.reference


def lead(model: Model, sentence: str) -> str:
    """The first sentence of a page, with the network's name and weights."""
    weights = model.spec.weights or "unknown weights"
    return f"{sentence} Network: {model.spec.reference}, {weights}."


def unique(photos: Sequence[Photo]) -> list[Photo]:
    """The photographs with names made unique by a number, since files of a run are named after them."""
    taken: set[str] = set()
    named = []
    for photo in photos:
        name, number = photo.name, 1
        while name.casefold() in taken:
            number += 1
            name = f"{photo.name}-{number}"
        taken.add(name.casefold())
        named.append(photo if name == photo.name else replace(photo, name=name))
    return named


def kernel_layers(model: Model) -> list[str]:
    """All layers that have kernels, in firing order."""
    return [layer.name for layer in model.layers if has_kernel(model, layer)]


def explainable(model: Model, layers: Sequence[str], unit: Unit) -> list[str]:
    """Those of ``layers`` that have places and fire before the unit's layer: where Grad-CAM of it exists."""
    order = {layer.name: k for k, layer in enumerate(model.layers)}
    found = []
    for name in layers:
        _, rows, cols = model.layer(name).map_shape
        if rows * cols > 1 and order[name] < order[unit.layer]:
            found.append(name)
    return found
