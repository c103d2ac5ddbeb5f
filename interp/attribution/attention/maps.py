"""Attention maps: where each head looks, as plain values.

Attention shows where a layer looks, not what the score rests on (Jain & Wallace 2019): it knows no class, and its
values are probabilities rather than parts of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.attention.recording import probabilities
from interp.attribution.attention.survey import AttentionLayer, survey
from interp.attribution.degeneration import of_values
from interp.core.memory import by_parts
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units
from interp.core.unit import Unit
from interp.errors import InterpError

# Probabilities grow with the square of the tokens: images go through in batches of this many.
BATCH = 8


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Where each head of one attention layer looks in one image: ``values`` (heads, rows, cols), probabilities in [0, 1].

    ``prefix`` (heads, tokens) is what goes to class and register tokens. Of each head the two sum to one, less what
    goes to padding. ``query`` says who looks.
    """

    layer: str
    query: str
    values: Float[np.ndarray, "heads rows cols"]
    prefix: Float[np.ndarray, "heads tokens"]

    def __repr__(self) -> str:
        return f"AttentionMaps('{self.layer}', {self.heads} heads, {self.grid[0]} x {self.grid[1]}, of {self.query})"

    @property
    def heads(self) -> int:
        return len(self.values)

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, cols)"""
        return (self.values.shape[1], self.values.shape[2])


def layers(model: Model) -> list[str]:
    """The names of the attention layers that can be followed, in firing order; none in a convolutional network."""
    return [layer.name for layer in survey(model, model.preprocess.size).layers]


def of(model: Model, images: Float[Tensor, "n c h w"], layers: Sequence[str] | None = None) -> list[dict[str, AttentionMaps]]:
    """The attention maps of each head at each of ``layers`` (all by default): one {layer: AttentionMaps} per image.

    Where the classes are read from prefix tokens, such as the class token, the maps are those tokens' rows of the
    attention matrix. Otherwise (Swin, MaxViT, ViTs with mean pooling) they are the mean over the places' rows: the
    attention that each place receives. One forward that ends at the deepest layer; the model is left as it was.

    Raises Unsupported where a layer is no attention layer or cannot be followed, UnknownName where there is no such
    layer, InterpError where the images are no [0, 1] batch.
    """
    images = model.checked(images)
    found = survey(model, (images.shape[2], images.shape[3]))
    if isinstance(layers, str) or (layers is not None and not layers):
        raise InterpError(f"`layers` is {layers!r}: give a sequence of names of attention layers, at least one, or None for all")
    names = [layer.name for layer in found.some()] if layers is None else list(dict.fromkeys(layers))
    wanted = [found.layer(model.layer(name).name) for name in names]

    def some(start: int, stop: int) -> list[dict[str, AttentionMaps]]:
        matrices = probabilities(model, images[start:stop], names)
        received = {layer.name: _received(layer, matrices[layer.name], found.reads) for layer in wanted}
        return [{layer.name: _maps(layer, received[layer.name][i], found.reads) for layer in wanted} for i in range(stop - start)]

    parts = by_parts(model, len(images), some, ("attention", tuple(names), tuple(images.shape[1:])), BATCH)
    return [maps for part in parts for maps in part]


@dataclass(frozen=True)
class AttentionMap:
    """The attention of one layer, as a `Method`: the mean over its heads, or one ``head``. The same for each unit; see `of`."""

    name: ClassVar[str] = "attention"
    title: ClassVar[str] = "Attention"
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.ATTENTION
    source: ClassVar[str] = "Dosovitskiy et al. 2021"

    layer: str
    head: int | None = None

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the layer's grid: probabilities in [0, 1].

        Raises UnknownName where the layer has no such head; otherwise as `of`.
        """
        units = checked_units(model, units, len(images))
        if self.head is not None:
            survey(model, (images.shape[2], images.shape[3])).head(model.layer(self.layer).name, self.head)
        found = [maps[self.layer].values for maps in of(model, images, [self.layer])]
        chosen = [frozen(values.mean(axis=0) if self.head is None else values[self.head]) for values in found]
        return [
            Heatmap(values, unit, self.title, self.layer, degenerations=of_values(values))
            for values, unit in zip(chosen, units, strict=True)
        ]


def _received(
    layer: AttentionLayer, matrices: Float[Tensor, "n windows heads queries keys"], reads: tuple[int, ...]
) -> Float[Tensor, "n heads tokens"]:
    """What each token receives from the tokens that are read, or from the places, in equal parts."""
    partition = layer.partition
    by_head = matrices.float().transpose(1, 2)
    weights = torch.zeros(partition.count, device=matrices.device)
    weights[list(reads) if reads else slice(partition.prefix, None)] = 1
    return partition.pull((weights / weights.sum()).expand(*by_head.shape[:2], -1), by_head)


def _maps(layer: AttentionLayer, received: Float[Tensor, "heads tokens"], reads: tuple[int, ...]) -> AttentionMaps:
    prefix = layer.partition.prefix
    query = "all places" if not reads else "the class token" if reads == (0,) else "token " + " and ".join(map(str, reads))
    values = np.array(layer.partition.maps(received).cpu().numpy())
    return AttentionMaps(layer.name, query, values, np.array(received[:, :prefix].cpu().numpy()))
