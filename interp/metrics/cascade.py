"""A method's maps while the weights of a network turn random, group of layers by group of layers (Adebayo et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.core.method import Heatmap
from interp.core.model import Model
from interp.core.randomize import Redraw, randomized_weights, weighted_layers
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.metrics.agreement import Similarity, similarity

Ask = Callable[[Model, Tensor, Sequence[Unit]], list[Heatmap]]
"""A `Method`, or anything that gives maps as one does."""


class Order(StrEnum):
    """``TOP_DOWN``: from the classes to the image, each step on top of those before; ``BOTTOM_UP``: the other way round.

    ``INDEPENDENT``: one group at a time, all others trained; listed from the top.
    """

    TOP_DOWN = "top-down"
    BOTTOM_UP = "bottom-up"
    INDEPENDENT = "independent"


@dataclass(frozen=True, eq=False)
class Step:
    """The maps of all images once ``layers`` have been randomized too (or, for ``INDEPENDENT``, alone)."""

    layers: tuple[str, ...]
    heatmaps: tuple[Heatmap, ...]


@dataclass(frozen=True, eq=False)
class RandomizationCurve:
    """Likeness to the trained maps (steps, n): ``similarity[0]`` after ``steps[0]`` was randomized; NaN where a map is constant."""

    steps: tuple[tuple[str, ...], ...]
    similarity: Float[np.ndarray, "steps n"]


def layer_groups(layers: Sequence[str], n_steps: int) -> list[tuple[str, ...]]:
    """``layers`` in at most ``n_steps`` groups of neighbours, as equal as they can be, none empty; the first ones are the larger."""
    if n_steps < 1:
        raise InterpError(f"`n_steps` is {n_steps}: give at least 1")
    count = min(n_steps, len(layers))
    ends = [0, *accumulate(len(layers) // count + (i < len(layers) % count) for i in range(count))]
    return [tuple(layers[start:end]) for start, end in pairwise(ends)]


def cascade(
    method: Ask,
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    *,
    order: Order = Order.TOP_DOWN,
    n_steps: int = 6,
    redraw: Redraw = Redraw.RESET,
    seed: int = 0,
    batch_size: int = 32,
) -> list[Step]:
    """The maps after each of at most ``n_steps`` groups of layers has been randomized; the model is left as it was, on errors too.

    All weights are random after the last step, except for ``INDEPENDENT``. A layer gets the same random weights at each step and
    in each order. The method is asked about ``batch_size`` images at once. Raises Unsupported for a network without weights, and
    InterpError where ``n_steps`` or ``batch_size`` is below 1.
    """
    layers = weighted_layers(model)
    if not layers:
        raise Unsupported(f"'{model.spec.reference}' has no weights that its forward uses, so none can be randomized")
    from_the_top = order is not Order.BOTTOM_UP
    steps: list[Step] = []
    random: tuple[str, ...] = ()
    for group in layer_groups(layers[::-1] if from_the_top else layers, n_steps):
        random = group if order is Order.INDEPENDENT else (*random, *group)
        with randomized_weights(model, random, seed, redraw):
            steps.append(Step(group, tuple(in_batches(method, model, images, units, batch_size))))
    return steps


def in_batches(method: Ask, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], batch_size: int) -> list[Heatmap]:
    """``method``'s maps, ``batch_size`` images at a time; raises InterpError where that is below 1."""
    if batch_size < 1:
        raise InterpError(f"`batch_size` is {batch_size}: give at least 1")
    starts = range(0, len(images), batch_size)
    parts = [method(model, images[start : start + batch_size], units[start : start + batch_size]) for start in starts]
    return [heatmap for part in parts for heatmap in part]


def likeness(trained: Sequence[Heatmap], steps: Sequence[Step], kind: Similarity) -> Float[np.ndarray, "steps n"]:
    """How alike the maps of each step are to the trained ones, at the maps' own size; NaN where one of two is constant."""
    rows = [[similarity(a.values, b.values, kind) for a, b in zip(trained, step.heatmaps, strict=True)] for step in steps]
    return np.array(rows, dtype=np.float64).reshape(len(steps), len(trained))


def randomization_curve(
    method: Ask,
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    order: Order = Order.TOP_DOWN,
    *,
    similarity: Similarity = Similarity.ABSOLUTE_SPEARMAN,
    n_steps: int = 6,
    redraw: Redraw = Redraw.RESET,
    seed: int = 0,
    batch_size: int = 32,
) -> RandomizationCurve:
    """`cascade` and `likeness` in one: for several similarities of one cascade, call these."""
    trained = in_batches(method, model, images, units, batch_size)
    steps = cascade(method, model, images, units, order=order, n_steps=n_steps, redraw=redraw, seed=seed, batch_size=batch_size)
    return RandomizationCurve(tuple(step.layers for step in steps), likeness(trained, steps, similarity))
