"""The product of ``interp attribute``: maps of the methods that were named, over the photographs, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp import figures
from interp.attribution import export
from interp.attribution.registry import method
from interp.comparisons.attributed import attribute as attributed
from interp.comparisons.attribution_grids import methods_by_images, warning
from interp.comparisons.contenders import Contender, Limits
from interp.comparisons.scaling import ScaleBy
from interp.comparisons.subjects import Subject, subjects
from interp.core.choices import Choice
from interp.core.depth import spread
from interp.core.method import Heatmap, Method
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.figures import MapPanel, Scale
from interp.images import Photo
from interp.report import tolerances
from interp.report.compose import lead, measures, predictions
from interp.report.product import Figure, Product, Tick
from interp.report.standard import contending

_STANDARD = ("gradcam", "integrated-gradients")
_CLIP = 99.0


@dataclass(frozen=True)
class Asked:
    """Which maps, as asked; ``files`` are the kinds of file, npy and png, that each map is written as too."""

    methods: tuple[Choice[Method], ...] = ()
    layers: tuple[str, ...] = ()
    target: Unit | None = None
    scale: ScaleBy = ScaleBy.CHANNEL
    files: tuple[str, ...] = ()


def attribute(model: Model, photos: Sequence[Photo], asked: Asked, limits: Limits, tick: Tick) -> Product:
    """Each method's map of each photograph; a method that works at a layer at each that was named, else at the deepest."""
    images, people = subjects(model, photos, asked.target)
    units = [s.unit for s in people]
    chosen = asked.methods or tuple(method(name) for name in (_STANDARD if _placed(model) else _STANDARD[1:]))
    found, layers = contending(model, chosen, asked.layers, units, limits)
    if not asked.layers:
        deepest = {c.title: c.layer for layer in layers for c in found if c.layer == layer}
        fixed = {(choice.kind, dict(choice.options).get("layer")) for choice in chosen}
        found = [c for c in found if c.layer == deepest.get(c.title, "") or (type(c.method), c.layer) in fixed]
    maps = attributed(model, images, units, found, tick, limits.batch_size).maps
    figure = Figure(
        "attribution",
        methods_by_images(people, {c.label: heatmaps for c, heatmaps in maps.items()}, (), asked.scale, f"Attribution on {_name(model)}"),
        "Attribution maps, methods by photographs",
        "What each method says of the unit that is explained, signed where the method is.",
        "Attribution",
    )
    arrays = {f"maps/{s.name}/{c.key}": h.values for c, s, h in _each(maps, people)}
    said = {f"{s.name}/{c.key}": _said(c, h) for c, s, h in _each(maps, people)}
    files = {f"maps/{s.name}/{_file(c.key)}.{kind}": _bytes(kind, s, h) for kind in asked.files for c, s, h in _each(maps, people)}
    text = "Where in a photograph the evidence lies."
    return Product(
        f"Attribution on {_name(model)}",
        lead(model, text),
        [figure],
        arrays,
        {"predictions": predictions(people), "maps": said},
        files=files,
        tolerances=tolerances.MAPS,
    )


def _placed(model: Model) -> bool:
    """Whether there are layers that a method could be tried at where none is named."""
    try:
        return bool(spread(model, 1))
    except Unsupported:
        return False


def _each(maps: dict[Contender, list[Heatmap]], people: Sequence[Subject]) -> list[tuple[Contender, Subject, Heatmap]]:
    return [(c, s, h) for c, found in maps.items() for s, h in zip(people, found, strict=True)]


def _said(contender: Contender, heatmap: Heatmap) -> dict[str, object]:
    return {
        "method": contender.title,
        "layer": contender.layer,
        "unit": str(heatmap.unit),
        "source": contender.method.source,
        "measures": measures(heatmap),
        "doubts": [d.sentence for d in heatmap.degenerations],
    }


def _bytes(kind: str, subject: Subject, heatmap: Heatmap) -> bytes:
    if kind == "npy":
        return export.npy(heatmap)
    values = np.where(np.isfinite(heatmap.values), heatmap.values, np.nan).astype(np.float64)
    scale = (Scale.symmetric if (values < 0).any() else Scale.positive)([values], _CLIP, heatmap.method)
    label = f"{heatmap.method} at {heatmap.layer}" if heatmap.layer else heatmap.method
    return figures.picture(MapPanel(values, scale, subject.view, label, f"for {subject.target}", warning=warning(heatmap.degenerations)))


def _file(key: str) -> str:
    """A file's name on every system: ``@`` and dots stay, what some systems refuse does not."""
    return "".join(c if c.isalnum() or c in "-_.@+" else "-" for c in key)


def _name(model: Model) -> str:
    return model.spec.reference
