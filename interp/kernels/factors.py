"""Deep filters as colour pictures: inputs grouped into three colours (Voss et al. 2021, Visualizing Weights, distill.pub).

A filter of a deep layer has hundreds of input channels per place. They are written as three factors, the same for the whole layer, and how
much of each is at a place becomes red, green and blue around grey. PCA takes the three directions of most energy; one-sided NMF takes
factors that are not negative, so that a factor is a group of inputs that are used alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float

from interp.errors import Unsupported
from interp.kernels.weights import Kernels

COLOURS = 3
ITERATIONS = 200


class Factoring(Enum):
    """How inputs are grouped."""

    PCA = "pca"
    NMF = "nmf"


@dataclass(frozen=True, eq=False)
class Factors:
    """``parts``: how much of each factor is at each place of each filter, signed; ``channels``: what each is made of, of unit
    length; ``explained``: the share of the layer's energy that the three hold."""

    layer: str
    parts: Float[np.ndarray, "out rows cols 3"]
    channels: Float[np.ndarray, "3 in"]
    explained: float

    def rgb(self) -> Float[np.ndarray, "out rows cols 3"]:
        """Pictures in [0, 1]: 0.5 + part / (2 m), m the filter's largest |part|; a filter of zeros is grey."""
        limit = np.abs(self.parts).max(axis=(1, 2, 3), keepdims=True)
        return (0.5 + 0.5 * self.parts / np.where(limit > 0, limit, 1)).astype(np.float32)


def of(kernels: Kernels, by: Factoring = Factoring.PCA) -> Factors:
    """The `Factors` of a layer; with fewer than three inputs the other factors are zero. Raises Unsupported for several groups, where
    input k is not one channel, and for weights that are not finite."""
    if kernels.groups != 1:
        raise Unsupported(f"'{kernels.layer}' has {kernels.groups} groups, so that an input is not one channel: take `planes`")
    if not np.isfinite(kernels.weights).all():
        raise Unsupported(f"the weights of '{kernels.layer}' hold NaN or infinite values, which have no factors")
    places = np.moveaxis(kernels.weights, 1, 3).reshape(-1, kernels.weights.shape[1]).astype(np.float64)
    channels = _principal(places)
    if by is Factoring.NMF:
        channels = _not_negative(places, channels)
    parts = places @ np.linalg.pinv(channels)
    energy = float(np.square(places).sum())
    explained = 1 - float(np.square(places - parts @ channels).sum()) / energy if energy > 0 else 0.0
    rows, cols = kernels.weights.shape[2:]
    return Factors(kernels.layer, parts.reshape(len(kernels), rows, cols, COLOURS), channels, explained)


def _principal(places: Float[np.ndarray, "places in"]) -> Float[np.ndarray, "3 in"]:
    """The directions of most energy, each with the sign in which its channels sum to what is not negative."""
    _, vectors = np.linalg.eigh(places.T @ places)
    found = np.zeros((COLOURS, places.shape[1]))
    first = vectors[:, ::-1].T[:COLOURS]
    found[: len(first)] = first * np.where(first.sum(axis=1, keepdims=True) < 0, -1, 1)
    return found


def _not_negative(places: Float[np.ndarray, "places in"], start: Float[np.ndarray, "3 in"]) -> Float[np.ndarray, "3 in"]:
    """Semi-NMF, places = parts x channels with channels >= 0 (Ding, Li & Jordan 2010, eq. 10 and 11), from the principal directions.

    Only the Gram matrix of the inputs is needed, so the price does not grow with the number of filters.
    """
    gram = places.T @ places
    channels = np.maximum(start, 0).T + 0.2 * np.abs(start).mean()
    for _ in range(ITERATIONS):
        weights = channels @ np.linalg.pinv(channels.T @ channels)
        crossed, squared = gram @ weights, weights.T @ gram @ weights
        above = np.maximum(crossed, 0) + channels @ np.maximum(-squared, 0)
        below = np.maximum(-crossed, 0) + channels @ np.maximum(squared, 0)
        channels = channels * np.sqrt(above / np.maximum(below, np.finfo(float).tiny))
    lengths = np.linalg.norm(channels, axis=0)
    result: np.ndarray = (channels / np.where(lengths > 0, lengths, 1)).T
    return result
