"""What each mission says of one network at three depths: works, or refuses with which sentence, and in how many seconds.

The missions are asked by the same library calls as the commands make. Whatever is raised that is no `InterpError`, and a
result that is not finite, or zero without saying so, is a defect.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from interp import activations, featurevis, kernels, zoo
from interp.attribution import attention, gradcam
from interp.attribution.attention.survey import survey as survey_of
from interp.core.depth import evenly, kernel_layer, spread
from interp.core.model import Layer, Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig
from interp.images import sample
from interp.report.compose import explainable
from interp.report.features import FLOAT32, suitable_size

MISSIONS = ("layers", "kernels", "activations", "visualize", "gradcam", "attention")
STEPS = 2
DEPTHS = 3
NONE = "none"


@dataclass
class Cell:
    """One mission on one network: how many of how many layers worked, the sentences of the others, defects, and marks."""

    worked: int = 0
    asked: int = 0
    refused: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    seconds: float = 0.0

    def ask(self, about: str, question: Callable[[], tuple[str, ...]]) -> None:
        """Ask one thing; ``question`` gives what the result says against itself, and raises AssertionError where it keeps silent."""
        self.asked += 1
        try:
            said = question()
        except InterpError as error:
            self.refused = (*self.refused, str(error))
        except Exception as error:
            self.defects = (*self.defects, f"{about}: {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}")
        else:
            self.worked += 1
            self.marks = tuple(dict.fromkeys((*self.marks, *said)))


def missions(reference: str) -> tuple[dict[str, Any], Model | None]:
    """The cells of one network by mission, as JSON, and the model itself where it could be loaded."""
    cells = {mission: Cell() for mission in MISSIONS}
    held: list[Model] = []

    def load() -> tuple[str, ...]:
        held.append(zoo.load(reference, random_weights=True))
        return ()

    _timed(cells["layers"], lambda cell: cell.ask(reference, load))
    if not held:
        return {"cells": {mission: asdict(cell) for mission, cell in cells.items()}}, None
    model = held[0]
    try:
        layers = spread(model, DEPTHS)
    except InterpError as error:
        layers = []
        for mission in ("activations", "visualize", "gradcam"):
            cells[mission] = Cell(asked=1, refused=(str(error),))
    image = model.preprocess(sample("cat"))
    for mission, ask in ASKED.items():
        if layers or mission in ("kernels", "attention"):
            _timed(cells[mission], lambda cell, ask=ask: ask(cell, model, layers, image))
    counts = {"layers": len(model.layers), "mapped": sum(layer.layout is not None for layer in model.layers)}
    problems = dict(Counter(_shapeless(layer.problem) for layer in model.layers if layer.layout is None))
    return {"cells": {mission: asdict(cell) for mission, cell in cells.items()}, "counts": counts, "problems": problems}, model


def _shapeless(problem: str) -> str:
    return re.sub(r" \([\d, ]*\)", "", problem)


def _timed(cell: Cell, ask: Callable[[Cell], None]) -> None:
    start = time.perf_counter()
    try:
        ask(cell)
    except InterpError as error:
        cell.refused, cell.asked = (*cell.refused, str(error)), max(cell.asked, 1)
    except Exception as error:
        cell.defects, cell.asked = (*cell.defects, f"{type(error).__name__}: {error}"), max(cell.asked, 1)
    cell.seconds = round(time.perf_counter() - start, 2)


def _kernels(cell: Cell, model: Model, layers: list[Layer], image: torch.Tensor) -> None:
    for layer in layers or evenly([layer for layer in model.layers if layer.leaf], DEPTHS):

        def look(layer: Layer = layer) -> tuple[str, ...]:
            found = kernels.of(model, kernel_layer(model, layer.name).name)
            return _said(found.weights, f"weights of {found.layer}", zero="zero weights")

        cell.ask(layer.name, look)


def _activations(cell: Cell, model: Model, layers: list[Layer], image: torch.Tensor) -> None:
    found = activations.of(model, image, [layer.name for layer in layers])
    for layer in layers:
        maps = found[layer.name].maps
        # Channels that are silent stand in the run's numbers, as shares of zeros.
        cell.ask(layer.name, lambda maps=maps, layer=layer: _said(maps, f"maps of {layer.name}", zero="zero maps"))


def _visualize(cell: Cell, model: Model, layers: list[Layer], image: torch.Tensor) -> None:
    config = AscentConfig(steps=STEPS, size=suitable_size(model), precision=FLOAT32)
    for layer in layers:

        def look(layer: Layer = layer) -> tuple[str, ...]:
            (feature,) = featurevis.visualize(model, [Unit(layer.name, 0)], config, 0)
            assert np.isfinite(feature.image).all(), "the image is not finite"
            assert np.isfinite(feature.scores).all(), "scores are not finite"
            assert feature.dead or float(feature.image.std()) > 0, "the image is constant, without saying so"
            return ("silent units, which say so",) if feature.dead else ()

        cell.ask(layer.name, look)


def _gradcam(cell: Cell, model: Model, layers: list[Layer], image: torch.Tensor) -> None:
    with torch.no_grad():
        unit = Unit(model.output, int(model(image)[0].argmax()))
    names = explainable(model, [layer.name for layer in layers], unit)
    for name in names:

        def look(name: str = name) -> tuple[str, ...]:
            heatmap = gradcam.of(model, image, [unit], [name])[0][name]
            said = tuple(degeneration.label for degeneration in heatmap.degenerations)
            assert said or np.isfinite(heatmap.values).all(), "not finite, without saying so"
            assert said or bool(heatmap.values.any()), "zero, without saying so"
            assert heatmap.values.shape == model.layer(name).map_shape[1:], f"a map of {heatmap.values.shape}"
            return said

        cell.ask(name, look)


def _attention(cell: Cell, model: Model, layers: list[Layer], image: torch.Tensor) -> None:
    survey = survey_of(model, (image.shape[2], image.shape[3]))
    if not survey.layers and not survey.refused:
        cell.marks = (NONE,)
        return
    for name in evenly([layer.name for layer in survey.layers], DEPTHS):

        def look(name: str = name) -> tuple[str, ...]:
            found = attention.of(model, image, [name])[0][name]
            sums = found.values.sum(axis=(1, 2)) + found.prefix.sum(axis=1)
            assert np.isfinite(found.values).all(), "not finite"
            assert bool((found.values >= 0).all()), "negative probabilities"
            assert bool(((sums > 0) & (sums < 1 + 1e-3)).all()), "probabilities of a sum above 1, or of 0"
            return ()

        cell.ask(name, look)
    reasons = [f"the attention of a layer cannot be followed: {why}" for why in dict.fromkeys(why for _, why in survey.refused)]
    cell.asked += len(reasons)
    cell.refused = (*cell.refused, *reasons)


def _said(values: np.ndarray, what: str, zero: str) -> tuple[str, ...]:
    assert values.size > 0, f"{what} are empty"
    assert np.isfinite(values).all(), f"{what} are not finite"
    return () if bool(values.any()) else (zero,)


ASKED: dict[str, Callable[[Cell, Model, list[Layer], torch.Tensor], None]] = {
    "kernels": _kernels,
    "activations": _activations,
    "visualize": _visualize,
    "gradcam": _gradcam,
    "attention": _attention,
}
