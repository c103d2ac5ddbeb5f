"""The strongest weights between two layers that follow one another: what excites a unit, and what a unit is used for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from interp.core.model import Model
from interp.errors import InterpError
from interp.kernels.routes import Route, route
from interp.kernels.weights import Kernels
from interp.kernels.weights import of as kernels_of


@dataclass(frozen=True, eq=False)
class Connections:
    """How strongly each unit of ``source`` speaks to each unit of ``target``.

    ``norms[t, s]``: L2 norm of the weights with which unit t sees channel s, over the kernel, or over the block of features that
    the channel was flattened into; ``sums[t, s]``: their sum, the answer to the channel being 1 everywhere. Both hold the
    factor gamma / sqrt(variance + eps) of a BatchNorm that every path between the two passes; other factors (the weights of a
    layer normalization, layer scale, gates) are not in them. 0 where unit t does not see channel s (other groups).

    ``incoming`` (target units, k): the channels of the source with the largest norm, strongest first, equal ones in order;
    ``outgoing`` (source units, k): the units of the target. -1 where fewer than k are connected. ``incoming_values`` and
    ``outgoing_values``: the norm with the sign of the sum (0 where there is none), so what is above 0 excites on the whole,
    what is below inhibits.
    """

    source: str
    target: str
    norms: Float[np.ndarray, "t s"]
    sums: Float[np.ndarray, "t s"]
    k: int

    @property
    def signed(self) -> Float[np.ndarray, "t s"]:
        """The norm with the sign of the sum; positive where the sum is 0."""
        result: np.ndarray = np.where(self.sums < 0, -self.norms, self.norms)
        return result

    @cached_property
    def incoming(self) -> Int[np.ndarray, "t k"]:
        return _strongest(self.norms, self.k)

    @cached_property
    def incoming_values(self) -> Float[np.ndarray, "t k"]:
        return _picked(self.signed, self.incoming)

    @cached_property
    def outgoing(self) -> Int[np.ndarray, "s k"]:
        return _strongest(self.norms.T, self.k)

    @cached_property
    def outgoing_values(self) -> Float[np.ndarray, "s k"]:
        return _picked(self.signed.T, self.outgoing)


def of(model: Model, source: str, target: str, k: int) -> Connections:
    """The `Connections` from ``source`` to ``target``, two convolutions or Linear layers with no other weights between them.

    Channels are followed through what lies between (activations, poolings, residual sums, concatenations, shuffles, flattening;
    a transposed convolution is one like any other), so a Linear layer behind a flattening sees blocks of features, and a
    convolution behind a concatenation only the channels that are the source's. Raises UnknownName where a layer does not fire,
    Unsupported where it has no kernels, fires more than once, or nothing of the source arrives by itself.
    """
    if k < 1:
        raise InterpError(f"`k` is {k}: give at least 1")
    kernels_of(model, source)
    kernels = kernels_of(model, target)
    norms, sums = _strengths(kernels, route(model, source, target), model.layer(source).channels)
    return Connections(source, target, norms, sums, k)


def _strengths(kernels: Kernels, way: Route, channels: int) -> tuple[Float[np.ndarray, "t s"], Float[np.ndarray, "t s"]]:
    outputs, inputs = kernels.weights.shape[:2]
    squares, sums = np.zeros((outputs, channels)), np.zeros((outputs, channels))
    share = outputs // kernels.groups
    for group in range(kernels.groups):
        own = kernels.weights[group * share : (group + 1) * share].astype(np.float64)
        seen = slice(group * inputs, (group + 1) * inputs)
        there = way.channels[seen] >= 0
        scale, columns = way.scale[seen][there], way.channels[seen][there]
        rows = slice(group * share, (group + 1) * share)
        # Several features may be of one channel, after a flattening.
        np.add.at(squares[rows].T, columns, ((own**2).sum(axis=(2, 3))[:, there] * scale**2).T)
        np.add.at(sums[rows].T, columns, (own.sum(axis=(2, 3))[:, there] * scale).T)
    return np.sqrt(squares), sums


def _strongest(norms: Float[np.ndarray, "units others"], k: int) -> Int[np.ndarray, "units k"]:
    order = np.argsort(-norms, axis=1, kind="stable")[:, :k]
    found = np.where(np.take_along_axis(norms, order, axis=1) > 0, order, -1)
    result: np.ndarray = np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=-1)
    return result


def _picked(values: Float[np.ndarray, "units others"], places: Int[np.ndarray, "units k"]) -> Float[np.ndarray, "units k"]:
    picked: np.ndarray = np.where(places >= 0, np.take_along_axis(values, np.maximum(places, 0), axis=1), 0.0)
    return picked
