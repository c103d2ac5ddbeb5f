"""The photographs of a figure: what the model sees of each, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.heads import reading_of
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Photo

VIEW_ROWS = 224


@dataclass(frozen=True, eq=False)
class Subject:
    """One photograph in front of a model: the part it sees, the unit asked about, and its prediction.

    ``probability`` is that of the predicted class, ``best`` its unit; ``unit`` is what Grad-CAM explains: the prediction, unless
    a target was given. ``score`` is that of a network of one output, whose softmax is always 1, or of outputs that are no classes.
    """

    name: str
    view: Float[np.ndarray, "h w 3"]
    unit: Unit
    target: str
    best: Unit
    prediction: str
    probability: float
    score: float | None = None

    @property
    def label(self) -> str:
        return f"{self.prediction} {self.probability:.0%}" if self.score is None else f"{self.prediction} {self.score:.3g}"


@torch.no_grad()
def subjects(model: Model, photos: Sequence[Photo], target: Unit | None = None) -> tuple[Float[Tensor, "n c h w"], list[Subject]]:
    """The model's inputs for ``photos`` on its device, and a Subject each."""
    images = model.preprocess(list(photos)).to(model.device)
    views = [model.preprocess.view(photo, VIEW_ROWS) for photo in photos]
    return images, shown(model, images, [photo.name for photo in photos], views, [target] * len(photos))


@torch.no_grad()
def shown(
    model: Model,
    images: Float[Tensor, "n c h w"],
    names: Sequence[str],
    views: Sequence[Float[np.ndarray, "_ _ 3"]],
    units: Sequence[Unit | None],
) -> list[Subject]:
    """A Subject for each of ``images``: what is explained is its unit, or the prediction where that is None."""
    found = []
    for image, name, view, unit in zip(images, names, views, units, strict=True):
        row = model(image[None]).flatten(1)[0]
        index = int(row.argmax())
        best = Unit(model.output, index)
        target = unit or best
        if not bool(torch.isfinite(row[index])):
            said = f"'{model.spec.reference}' gives {float(row[index])} for picture '{name}', no finite number"
            raise InterpError(f"{said}: check the weights and the picture")
        known = model.has_probabilities
        probability = float(model.probabilities(row[None])[0, index]) if known else 1.0
        score = None if known else float(row[index])
        found.append(Subject(name, view, target, unit_name(model, target), best, model.class_name(index), probability, score))
    return found


def unit_name(model: Model, unit: Unit) -> str:
    """The class name of a unit of the last layer, the name of a target function; the unit itself elsewhere."""
    reading = reading_of(model.module)
    if reading is not None and reading.explained is not None and unit == Unit(reading.target, 0):
        return reading.explained.name
    return model.class_name(unit.channel) if unit.layer == model.output and unit.at is None else str(unit)
