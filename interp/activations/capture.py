"""Layers' outputs for a batch of images, by one Captum ``LayerActivation`` call for all layers.

Captum is given one probe per layer, an ``nn.Identity`` outside the network that a hook calls with the
layer's output, instead of the layer itself. So a tuple that holds ``None`` (``nn.MultiheadAttention`` without
weights) is resolved before Captum, which cannot clone a None, sees it; and Captum's clone is taken the moment the
layer fires, before an in-place ReLU behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from captum.attr import LayerActivation
from jaxtyping import Float
from torch import Tensor, nn

from interp.core.capture import describe, hooked, quiet, tensor_of
from interp.core.memory import by_parts
from interp.core.model import Model
from interp.errors import InterpError, UnknownName, Unsupported

_SHOWN = 36  # channels in the notebook's picture


class Rank(Enum):
    """What one channel's map is summed up by: its mean over places, or its largest value."""

    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, eq=False)
class Activations:
    """What one layer answered: read-only ``maps`` (n, channels, rows, cols) float32, signed, in the layer's own unit.

    ``label`` is the layer's name and, where its module is called several times in a forward, which call this is
    (the last). ``kind`` is the module's class. A layer of transformer tokens is seen as the maps of its patches; the
    class token and registers have no place and are left out. A vector is maps of one place.
    """

    layer: str
    label: str
    kind: str
    maps: Float[np.ndarray, "n c rows cols"]

    def __repr__(self) -> str:
        return f"Activations('{self.layer}', {self.kind}, {' x '.join(map(str, self.maps.shape))})"

    @property
    def channels(self) -> int:
        return int(self.maps.shape[1])

    def mean_map(self, image: int) -> Float[np.ndarray, "rows cols"]:
        """Mean over the channels for one image, (rows, cols); raises UnknownName where there is no such image."""
        mean: np.ndarray = self.maps[self._image(image)].mean(axis=0)
        return mean

    @cached_property
    def zeros(self) -> Float[np.ndarray, " c"]:
        """Share of values that are exactly zero, per channel over all images and places, (channels,) in [0, 1].

        Behind a ReLU, 1 is a channel that answered to none of these images.
        """
        shares: np.ndarray = (self.maps == 0).mean(axis=(0, 2, 3))
        return shares

    def strength(self, by: Rank) -> Float[np.ndarray, "n c"]:
        """How strongly each channel answers to each image, (n, channels), signed."""
        if not isinstance(by, Rank):
            raise InterpError(f"`by` is {by!r}: give Rank.MEAN or Rank.MAX")
        values: np.ndarray = self.maps.mean(axis=(2, 3)) if by is Rank.MEAN else self.maps.max(axis=(2, 3))
        return values

    def top(self, k: int, by: Rank, image: int | None = None) -> tuple[int, ...]:
        """The ``k`` strongest channels, strongest first, for one image, or over all.

        Over all images, strengths are summed up as ``by`` sums up places: the mean of means or the maximum of
        maxima. Equal channels keep their order; NaN comes last. Raises InterpError where the layer has fewer channels.
        """
        if not 1 <= k <= self.channels:
            raise InterpError(f"`k` is {k}: layer '{self.layer}' has {self.channels} channels, so ask for 1 to {self.channels}")
        strength = self.strength(by)
        over_all = strength.mean(axis=0) if by is Rank.MEAN else strength.max(axis=0)
        values = over_all if image is None else strength[self._image(image)]
        return tuple(int(c) for c in np.argsort(-values, kind="stable")[:k])

    def _image(self, image: int) -> int:
        if not 0 <= image < len(self.maps):
            raise UnknownName(f"no image {image}: there are {len(self.maps)}, 0 to {len(self.maps) - 1}")
        return image

    def _repr_png_(self) -> bytes:
        from interp import figures

        shown = self.top(min(_SHOWN, self.channels), Rank.MAX, image=0)
        tiles = self.maps[0, list(shown)]
        make = figures.Scale.positive if tiles.min() >= 0 else figures.Scale.symmetric
        scale, note = make([tiles], label="activation"), f"{len(shown)} of {self.channels} channels"
        return figures.picture(figures.TilePanel(tiles, scale, label=self.label, sublabel=note))


def of(model: Model, images: Float[Tensor, "n c h w"], layers: Sequence[str]) -> dict[str, Activations]:
    """What ``layers`` answer to [0, 1] RGB ``images``: {name: `Activations`}, in the order asked for.

    One forward in evaluation mode under ``no_grad`` (several, where a memory limit asks for it); the model is left as it
    was. Of a module called several times this is the last call. The maps of all layers are held in memory: 4 bytes x n x
    channels x rows x cols each.

    Raises UnknownName where a layer does not exist or never fires, Unsupported where its output cannot be shown as
    maps, InterpError where the images are no [0, 1] batch.
    """
    images = model.checked(images)
    if isinstance(layers, str) or not layers:
        raise InterpError(f"`layers` is {layers!r}: give a sequence of layer names, at least one")
    names = {name: model.layer(name) for name in layers}
    for layer in names.values():
        _ = layer.map_shape  # refused before the forward, not behind it
    probes: dict[str, nn.Module] = {name: nn.Identity() for name in names}
    fired: set[str] = set()

    def probe(name: str, output: Any) -> None:
        tensor = tensor_of(output)
        if tensor is None:
            raise Unsupported(f"layer '{name}' returns {describe(output)}, not one tensor: choose a layer inside or behind it")
        fired.add(name)
        probes[name](tensor)

    def forward(batch: Tensor) -> Tensor:
        result = model.forward(batch)
        for name in names.keys() - fired:
            raise Unsupported(f"layer '{name}' did not fire for these images, though it did when the model was loaded")
        return result

    modules = {name: model.module.get_submodule(name) for name in names}

    def maps(start: int, stop: int) -> list[np.ndarray]:
        fired.clear()
        with quiet(model.module), hooked(modules, probe):
            outputs = LayerActivation(forward, list(probes.values())).attribute(images[start:stop])
        return [model.maps(name, output).float().cpu().numpy() for name, output in zip(names, outputs, strict=True)]

    parts = by_parts(model, len(images), maps, ("activations", tuple(names), tuple(images.shape[1:])))
    return {name: _value(model, name, [part[k] for part in parts]) for k, name in enumerate(names)}


def _value(model: Model, name: str, parts: Sequence[Float[np.ndarray, "n c rows cols"]]) -> Activations:
    layer = model.layer(name)
    maps = np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))
    maps.flags.writeable = False
    return Activations(name, layer.label, layer.kind, maps)
