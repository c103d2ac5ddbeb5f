"""The stage of natural maxima: the most that photographs and their crops give the mean of every channel, for all layers in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from interp.core.model import Model
from interp.featurevis.quality import views
from interp.images import Photo
from interp.microscope.store import Arrays
from interp.microscope.work import Stage
from interp.runs import array_hash

# Photographs of the data set, evenly over it, that stand for all: each gives 26 views.
MOST = 24
_BATCH = 16


@dataclass(frozen=True)
class Natural(Stage):
    """The largest mean of each channel of ``layers`` over views of ``photos`` of ``size``; arrays by layer.

    ``photos``: 8-bit RGB pictures and their names; () for the samples.
    """

    layers: tuple[str, ...]
    size: tuple[int, int]
    photos: tuple[tuple[str, np.ndarray], ...] = field(default=())

    def depends(self) -> object:
        return ["natural", list(self.layers), list(self.size), [array_hash(pixels) for _, pixels in self.photos]]

    def arrays(self, model: Model) -> Arrays:
        photos = [Photo(name, pixels, array_hash(pixels)) for name, pixels in self.photos] or None
        natural = views(model, photos, self.size)
        found: dict[str, np.ndarray] = {}
        for start in range(0, len(natural.images), _BATCH):
            images = torch.from_numpy(np.ascontiguousarray(natural.images[start : start + _BATCH].transpose(0, 3, 1, 2)))
            with torch.no_grad():
                outputs, _ = model.capture(self.layers, images.to(model.device), truncate=True)
            for layer in self.layers:
                means = model.maps(layer, outputs[layer]).float().mean((2, 3)).amax(0).cpu().numpy()
                found[layer] = np.maximum(found[layer], means) if layer in found else means
        return found
