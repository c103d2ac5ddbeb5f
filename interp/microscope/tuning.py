"""The stage of tuning curves: what every channel answers to drawn stimuli, for all layers in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from interp.core.model import Model
from interp.microscope.stimuli import Family, families
from interp.microscope.store import Arrays
from interp.microscope.work import Stage

_BATCH = 16
# Of the stimuli and how answers are taken: a change makes other results.
_FORMAT = 2


@dataclass(frozen=True)
class Tune(Stage):
    """Answers of every channel of ``layers`` to the families of stimuli, at the network's own input size.

    The answer is the value at the centre of the layer's map (row rows // 2, col cols // 2), the largest over the pictures of one
    position of the family. Arrays: ``LAYER/FAMILY`` (channels, positions).
    """

    layers: tuple[str, ...]
    format: int = _FORMAT

    def arrays(self, model: Model) -> Arrays:
        found: dict[str, np.ndarray] = {}
        answers: dict[int, dict[str, np.ndarray]] = {}
        for family in families(*model.preprocess.size):
            # Two families may be orders of the same pictures.
            same = id(family.pictures)
            if same not in answers:
                answers[same] = self._answers(model, family)
            for layer in self.layers:
                found[f"{layer}/{family.name}"] = _largest(answers[same][layer], family)
        return found

    def _answers(self, model: Model, family: Family) -> dict[str, np.ndarray]:
        """The centre's value for each picture: {layer: (channels, pictures)}."""
        parts: dict[str, list[np.ndarray]] = {layer: [] for layer in self.layers}
        grey = len(model.preprocess.mean) == 1
        for start in range(0, len(family.pictures), _BATCH):
            pictures = family.pictures[start : start + _BATCH].transpose(0, 3, 1, 2)
            given = pictures.mean(1, keepdims=True) if grey else pictures
            with torch.no_grad():
                outputs, _ = model.capture(self.layers, torch.from_numpy(np.ascontiguousarray(given)).to(model.device), truncate=True)
            for layer in self.layers:
                maps = model.maps(layer, outputs[layer])
                parts[layer].append(maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].float().cpu().numpy())
        return {layer: np.ascontiguousarray(np.concatenate(found).T) for layer, found in parts.items()}


def _largest(answers: np.ndarray, family: Family) -> np.ndarray:
    return np.stack([answers[:, family.place == k].max(axis=1) for k in range(len(family.positions))], axis=1)


def tunable(model: Model) -> bool:
    """Whether stimuli can be shown: they are grey or have three colours."""
    return len(model.preprocess.mean) in (1, 3)
