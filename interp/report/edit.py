"""The product of ``interp edit``: what a network does with chosen units ablated, scaled or replaced, before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp import editing
from interp.attribution import gradcam
from interp.comparisons import edited as figures
from interp.comparisons.edited import Pair
from interp.comparisons.subjects import Subject, subjects
from interp.core.depth import evenly, spread
from interp.core.graph import edges
from interp.core.model import Model
from interp.core.unit import Unit
from interp.datasets import DataSet
from interp.editing import Ablate, Edit, Kind, Replace, Scale, Wanted
from interp.editing.edits import checked
from interp.editing.effects import classes_of
from interp.errors import BadFile, InterpError
from interp.images import Photo
from interp.report.compose import explainable, lead, named, unique
from interp.report.edit_effect import (
    Chance,
    Measured,
    accuracy_figure,
    csv_bytes,
    means_over,
    measured_over,
    share_table,
    summed,
)
from interp.report.features import strengths
from interp.report.product import Figure, Numbers, Product, Tick
from interp.runs import Tolerance
from interp.site import Link, Table

_DONE: Mapping[type[Edit], str] = {Ablate: "ablated", Scale: "scaled", Replace: "replaced"}
PHOTOGRAPHS, EDITS = "Photographs before and after", "Edits"
_MOST_EDITS = 12  # of the table on the page: the file has all
MOST_PHOTOGRAPHS = 4
"""Of those of a data set that are shown, where none are named."""
EDITED = {
    "answers/*": Tolerance.COMPUTED,
    "gradcam/*": Tolerance.COMPUTED,
    # Which class is the top one hangs on which of two scores is the larger.
    "top/*": Tolerance.TOLD,
    "metrics/*": Tolerance.DERIVED,
    "metrics/photographs/*": Tolerance.COMPUTED,
    "figures/accuracy": Tolerance.DERIVED,
}


@dataclass(frozen=True)
class Asked:
    """The edits ``wanted``; whether units are ablated to their ``means``; ``layer`` of Grad-CAM (None: the deepest with places);
    how many random ``controls`` there are; ``seed`` of these and of fresh weights; ``batch``: pictures at once."""

    wanted: tuple[Wanted, ...]
    means: bool = False
    layer: str | None = None
    controls: int = 20
    seed: int = 0
    batch: int = 32


def edit(model: Model, photos: Sequence[Photo], data: DataSet | None, asked: Asked, tick: Tick) -> Product:
    """Top classes and Grad-CAM of photographs (of the data where none are given), and over ``data`` the accuracy beside controls."""
    classes = classes_of(model, data) if data is not None else None
    shown = unique(list(photos) or ([] if data is None else _of_data(data)))
    if not shown:
        raise InterpError("no picture is given: name photographs, or a data set")
    edits = _edits(model, shown, data, asked)
    tick("photographs", 0, 2)
    images, people = subjects(model, shown)
    layer = _layer(model, asked, people)
    answers = [_answers(model, images)]
    maps = [_maps(model, images, people, layer)]
    tick("photographs", 1, 2)
    with editing.edited(model, edits):
        answers.append(_answers(model, images))
        maps.append(_maps(model, images, people, layer))
    tick("photographs", 2, 2)
    if not all(np.isfinite(answer).all() for answer in answers):
        raise InterpError(f"'{model.spec.reference}' gives scores that are not finite after the edit: choose a smaller factor")
    pairs = [
        Pair(person, (answers[0][k], answers[1][k]), None if layer is None else (maps[0][k], maps[1][k])) for k, person in enumerate(people)
    ]
    measured = (
        measured_over(model, data, classes, edits, Chance(asked.controls, asked.seed, asked.means, asked.batch), tick)
        if data is not None
        else None
    )
    return _product(model, edits, pairs, layer, measured, data)


def _of_data(data: DataSet) -> list[Photo]:
    """A few pictures of the data that can be read, evenly over it, named by their labels too."""
    found = []
    for index in evenly(range(len(data)), MOST_PHOTOGRAPHS):
        try:
            photo = data.photo(index)
        except BadFile:
            continue
        label = data.label(index)
        found.append(photo if label is None else replace(photo, name=f"{label} {photo.name}"))
    return found


def _edits(model: Model, photos: Sequence[Photo], data: DataSet | None, asked: Asked) -> tuple[Edit, ...]:
    ranked = strengths(model, photos)
    means: dict[Unit, float] | None = None
    if asked.means:
        layers = {u.layer for w in asked.wanted if w.kind is Kind.ABLATE for u in model.units(w.units, ranked)}
        every = [Unit(layer, channel) for layer in sorted(layers) for channel in range(model.layer(layer).channels)]
        means = means_over(model, photos, data, every, asked.batch)
    return checked(model, [one for wanted in asked.wanted for one in wanted.edits(model, asked.seed, ranked, means)])


@torch.no_grad()
def _answers(model: Model, images: Float[Tensor, "n c h w"]) -> Float[np.ndarray, "n classes"]:
    """Probabilities, or scores where a network has none; one photograph at a time, as `subjects` does it."""
    rows = [model(image[None]).flatten(1) for image in images]
    found = [model.probabilities(row) if model.has_probabilities else row for row in rows]
    return torch.cat(found).float().cpu().numpy()


def _layer(model: Model, asked: Asked, people: Sequence[Subject]) -> str | None:
    if asked.layer is not None:
        return model.layer(asked.layer).name
    if all(layer.layout is None or layer.map_shape[1:] == (1, 1) for layer in model.layers):
        return None
    fitting = explainable(model, [layer.name for layer in spread(model)], people[0].best)
    return fitting[-1] if fitting else None


def _maps(model: Model, images: Tensor, people: Sequence[Subject], layer: str | None) -> list[np.ndarray]:
    """Grad-CAM of the class that each photograph was of before."""
    if layer is None:
        return []
    return [found[layer].values for found in gradcam.of(model, images, [person.best for person in people], [layer])]


def _product(
    model: Model, edits: Sequence[Edit], pairs: Sequence[Pair], layer: str | None, measured: Measured | None, data: DataSet | None
) -> Product:
    quantity = "probability" if model.has_probabilities else "score"
    classes = [model.class_name(k) for k in range(len(pairs[0].answers[0]))]
    title = f"{few(edits)}: {named(model)}"
    grid = figures.photographs(pairs, classes, layer or "", quantity, title)
    caption = _seen(model, edits, layer, quantity)
    drawn = [Figure("photographs", grid, "Photographs with top classes and Grad-CAM before and after", caption, PHOTOGRAPHS)]
    arrays = _arrays(pairs)
    metrics: dict[str, Any] = {"edits": _listed(model, edits), "photographs": {p.subject.name: _change(p, classes) for p in pairs}}
    tables = [_edit_table(model, edits)]
    text = f"{few(edits)}."
    if measured is not None and data is not None:
        drawn.append(accuracy_figure(measured, title, data))
        arrays |= {"top/all": measured.swept.top}
        metrics["data"] = measured.metrics
        tables.insert(0, share_table(measured))
        text += f" {summed(measured, data)}"
    return Product(title, lead(model, text), drawn, arrays, metrics, numbers=tables, tolerances=EDITED)


def few(edits: Sequence[Edit]) -> str:
    """One or two edits by themselves; more by layer and kind: "12 units of conv1 ablated"."""
    if len(edits) <= 2:
        return ", ".join(map(str, edits))
    counts = Counter((edit.unit.layer, _DONE[type(edit)]) for edit in edits)
    said = [f"{count} unit{'s' if count > 1 else ''} of {layer} {done}" for (layer, done), count in counts.items()]
    return ", ".join(said[:3]) + (f" and more of {len(said) - 3} layers" if len(said) > 3 else "")


def _seen(model: Model, edits: Sequence[Edit], layer: str | None, quantity: str) -> str:
    bars = f"Top {figures.TOP} classes by {quantity} after (full) and before (hollow), in the order of before, new ones below."
    cam = f" Signed Grad-CAM at {layer} of the class predicted before, in units of its score, all maps on one scale." if layer else ""
    return f"{bars}{cam}{''.join(f' {note}' for note in notes(model, edits))}"


def notes(model: Model, edits: Sequence[Edit]) -> list[str]:
    """What a BatchNorm right behind an edited layer makes of it: a channel of zeros leaves a constant there."""
    layers = list(dict.fromkeys(edit.unit.layer for edit in edits if isinstance(edit, Ablate)))
    norms = [one.name for one in model.layers if isinstance(model.module.get_submodule(one.name), nn.modules.batchnorm._BatchNorm)]
    wanted = [layer for layer in layers if layer not in norms]
    pairs = edges(model, [*wanted, *norms]) if wanted and norms else ()
    found = {source: target for source, target in pairs if source in wanted and target in norms}
    return [
        f"Behind '{a}' the BatchNorm '{b}' turns an ablated channel into a constant; name its units to silence them."
        for a, b in found.items()
    ]


def _arrays(pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for pair in pairs:
        for when, answer, heat in zip(("before", "after"), pair.answers, pair.maps or (None, None), strict=True):
            found[f"answers/{pair.subject.name}/{when}"] = answer
            if heat is not None:
                found[f"gradcam/{pair.subject.name}/{when}"] = heat
    return found


def _change(pair: Pair, classes: Sequence[str]) -> dict[str, object]:
    before, after = pair.answers
    first, then = int(before.argmax()), int(after.argmax())
    return {
        "before": {"class": classes[first], "value": float(before[first])},
        "after": {"class": classes[then], "value": float(after[then])},
        "class_before_after": float(after[first]),
    }


def _listed(model: Model, edits: Sequence[Edit]) -> list[dict[str, str]]:
    return [{"unit": str(edit.unit), "edit": str(edit), "changes": editing.mechanism(model, edit)} for edit in edits]


def _edit_table(model: Model, edits: Sequence[Edit]) -> Numbers:
    rows = [tuple(row.values()) for row in _listed(model, edits)]
    headers = ("unit", "edit", "what is changed")
    left = f" The first {_MOST_EDITS} of {len(rows)}: the file has all." if len(rows) > _MOST_EDITS else ""
    caption = f"Each edit, and whether it is a row of the layer's weights or its output that is changed.{left}"
    table = Table(headers, tuple(rows[:_MOST_EDITS]), caption, (Link("CSV", "edits.csv"),), 2)
    return Numbers(EDITS, table, {"edits.csv": csv_bytes(headers, rows)})
