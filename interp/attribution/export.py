"""Maps for other tools: as files, as Quantus's batches, as Captum's channels-last pictures; and the network as Quantus wants it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.numpy import save
from torch import Tensor, nn

from interp.core.capture import quiet
from interp.core.method import Heatmap, Method
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError


def batch(heatmaps: Sequence[Heatmap], size: tuple[int, int]) -> Float[np.ndarray, "n 1 h w"]:
    """One channel per image, bilinear at ``size`` (rows, cols): what Quantus takes as ``a_batch``. Raises InterpError for no map."""
    if not heatmaps:
        raise InterpError("`heatmaps` is empty: give at least one")
    return np.stack([heatmap.resized(size).values[None] for heatmap in heatmaps])


def channels_last(heatmap: Heatmap, size: tuple[int, int]) -> Float[np.ndarray, "h w 1"]:
    """Bilinear at ``size`` (rows, cols): what ``captum.attr.visualization.visualize_image_attr`` takes."""
    return heatmap.resized(size).values[:, :, None]


def npy(heatmap: Heatmap) -> bytes:
    """The raw values as a NumPy file, which ``numpy.load`` reads."""
    target = io.BytesIO()
    np.save(target, heatmap.values, allow_pickle=False)
    return target.getvalue()


def safetensors(heatmaps: Mapping[str, Heatmap]) -> bytes:
    """Raw values under names; unit, method and layer of each in the file's metadata."""
    words = {name: f"{h.method} of {h.unit}" + (f" at {h.layer}" if h.layer else "") for name, h in heatmaps.items()}
    return save({name: np.ascontiguousarray(h.values) for name, h in heatmaps.items()}, metadata=words)


class Pixels(nn.Module):
    """The network as a plain module: [0, 1] images to logits, normalization inside. ``Pixels(model)`` is what Quantus is given."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module
        self._model = model
        # Not `train()`, which would set the mode of every module of the user's network.
        self.training = model.module.training

    def seen(self) -> Model:
        """The `Model` of the network as it is now, for instance after Quantus has changed a copy's weights."""
        return replace(self._model, module=self.network)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        with quiet(self.network):
            return self.seen().forward(images)


@dataclass(frozen=True)
class Explainer:
    """A `Method` as Quantus's ``explain_func``: called with a `Pixels` module, [0, 1] images and class numbers."""

    method: Method

    def __call__(self, model: Pixels, inputs: Any, targets: Any, **_: Any) -> Float[np.ndarray, "n 1 h w"]:
        """Maps at the images' size. Raises InterpError where ``model`` is not a `Pixels`."""
        if not isinstance(model, Pixels):
            raise InterpError(f"an Explainer is asked with a {type(model).__name__}: give Quantus interp.attribution.export.Pixels(model)")
        seen = model.seen()
        images = torch.from_numpy(np.array(inputs, dtype=np.float32))  # copied: torch warns of read-only arrays
        units = [Unit(seen.output, int(target)) for target in np.asarray(targets).ravel()]
        return batch(self.method(seen, images, units), (images.shape[-2], images.shape[-1]))
