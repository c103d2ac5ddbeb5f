"""One look at a network in training: the arrays of a record, made by the missions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from interp import kernels
from interp.attribution import gradcam
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.watching.climbing import Climb
from interp.watching.detail import Detail
from interp.watching.filters import measured, summed_up
from interp.watching.plan import Plan
from interp.watching.probes import Probes
from interp.watching.seeing import seen
from interp.watching.surroundings import apart

Arrays = dict[str, NDArray[np.generic]]

KERNELS, ACTIVATIONS, GRADCAM, STATISTICS = "kernels", "activations", "gradcam", "statistics"
SCORES, IMAGES, UNIT_SCORES, SILENT = "probes/scores", "units/images", "units/scores", "units/silent"


@dataclass(eq=False)
class Look:
    """``arrays`` by name (see `interp.watching`); ``targets``: the class of each probe that Grad-CAM explains; ``missing``: why a
    part could not be made, by its name; ``summary``: by convolution, its statistics in a few numbers."""

    arrays: Arrays = field(default_factory=dict)
    targets: tuple[int, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    summary: dict[str, dict[str, float]] = field(default_factory=dict)


class Looker:
    """Looks at one network, at the same places each time. It is left as it was, and so is all around it, after errors too."""

    def __init__(self, model: Model, probes: Probes, plan: Plan, detail: Detail) -> None:
        self.model, self.probes, self.plan, self.detail = model, probes, plan, detail
        self.climb = Climb(model, plan.units, detail)
        self._before: dict[str, np.ndarray] = {}

    def look(self, step: int, *, strict: bool = False) -> Look:
        """The `Look` at this step. A part that fails is left out, with the reason; with ``strict`` the error is raised.

        A network may come to hold NaN, or memory may run out: that is no reason to end a training.
        """
        found, unknown = Look(), dict[str, NDArray[np.bool_]]()
        parts: dict[str, Callable[[], None]] = {
            "filters": partial(self._filters, found),
            "answers": partial(self._answers, found, unknown),
            "units": partial(self._units, found, step),
        }
        with apart(self.model.device, self.detail.seed):
            for name, part in parts.items():
                try:
                    part()
                except Exception as error:
                    if strict:
                        raise
                    found.missing[name] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        for one in self.plan.convolutions:
            known = {} if one.layer not in unknown else {"unknown": unknown[one.layer]}
            found.summary[one.layer] = summed_up(_columns(found.arrays, one.layer) | known)
        return found

    def _filters(self, found: Look) -> None:
        latest = {}
        for layer in dict.fromkeys((*(one.layer for one in self.plan.convolutions), *self.plan.kernels)):
            weights = kernels.of(self.model, layer)
            before = self._before.get(layer)
            if before is not None and before.shape != weights.weights.shape:
                there, here = (" x ".join(map(str, shape)) for shape in (before.shape, weights.weights.shape))
                raise Unsupported(f"the weights of '{layer}' are {here}, and were {there} when the recorder was made")
            latest[layer] = weights.weights
            whole = layer in self.plan.kernels
            if whole:
                found.arrays[f"{KERNELS}/{layer}"] = weights.weights
            tested = len(weights) if whole else self.detail.tested
            columns = measured(weights, before, tested, self.detail.seed)
            found.arrays |= {f"{STATISTICS}/{layer}/{name}": column for name, column in columns.items()}
        self._before = latest

    def _answers(self, found: Look, unknown: dict[str, NDArray[np.bool_]]) -> None:
        answers = seen(self.model, self.probes.images, self.plan)
        unknown |= {one.layer: answers.unknown[one.read] for one in self.plan.convolutions if one.read}
        found.arrays |= {f"{ACTIVATIONS}/{layer}": maps for layer, maps in answers.activations.items()}
        found.arrays |= {f"{STATISTICS}/{one.layer}/dead": answers.dead[one.read] for one in self.plan.convolutions if one.read}
        found.arrays[SCORES] = answers.scores
        said = [int(scores.argmax()) for scores in answers.scores]
        found.targets = tuple(said) if self.plan.targets is None else self.plan.targets
        if self.plan.gradcam:
            units = [Unit(self.model.output, target) for target in found.targets]
            maps = gradcam.of(self.model, self.probes.images, units, self.plan.gradcam)
            found.arrays |= {f"{GRADCAM}/{layer}": np.stack([one[layer].values for one in maps]) for layer in self.plan.gradcam}

    def _units(self, found: Look, step: int) -> None:
        if self.plan.units:
            images = self.climb.climb(step)
            found.arrays |= {IMAGES: images.images, UNIT_SCORES: images.scores, SILENT: images.silent}


def _columns(arrays: Arrays, layer: str) -> dict[str, NDArray[np.generic]]:
    names = ("norm", "change", "stable_rank", "effective_rank", "noise_p", "dead")
    return {name: arrays[key] for name in names if (key := f"{STATISTICS}/{layer}/{name}") in arrays}
