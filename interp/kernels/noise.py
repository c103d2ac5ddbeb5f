"""Is a filter more than noise? Three statistics of each filter, each against two kinds of noise.

Statistics: spectral flatness, exp(mean log P) / mean P of the power spectrum averaged over the filter's kernels, 1 for white noise; Moran's
I (`interp.kernels.correlation`); and how much of the energy is concentrated on the same places in all kernels, by which a dot is told from
noise, which neither of the others does. None depends on the filter's size. Nulls: *re-drawn initialization*, independent normal weights of
the layer's fan-in (Kaiming; their spread does not matter), and *permutation*, the places of each kernel permuted independently. Permuting
all kernels of a filter alike would keep what they share, and has no power at 3x3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from interp.core.rng import generator
from interp.errors import Unsupported
from interp.kernels.correlation import neighbour_correlation
from interp.kernels.weights import Kernels

FRESH = 999
PERMUTED = 999
"""Draws from each null: the least p is 1/1000."""
MOST_INPUTS = 32
"""Kernels of a filter that are looked at, evenly over its inputs: enough to tell, and the price does not grow with the width."""
LEAST_PLACES = 3
LEVEL = 0.05
"""The share of false discoveries among filters called structured (Benjamini & Hochberg 1995)."""
_CHUNK = 4_000_000


class Null(Enum):
    """What a filter is held against."""

    INITIALIZATION = "initialization"
    PERMUTATION = "permutation"


class Statistic(Enum):
    """What is measured of a filter."""

    FLATNESS = "flatness"
    MORAN = "moran"
    CONCENTRATION = "concentration"


@dataclass(frozen=True, eq=False)
class Structure:
    """Per filter: the statistics, a p-value of each against each null, and whether the filter is structured.

    ``p`` is the larger, over the nulls, of three times the smallest p of the three statistics: a filter has to beat both kinds of noise,
    by any statistic. ``structured``: those that Benjamini-Hochberg accepts at `LEVEL` among the filters of the layer. A filter of zeros
    has no statistics (NaN) and p = 1.
    """

    values: Mapping[Statistic, Float[np.ndarray, " out"]]
    ps: Mapping[tuple[Statistic, Null], Float[np.ndarray, " out"]]

    @property
    def p(self) -> Float[np.ndarray, " out"]:
        each = [np.min([self.ps[one, null] for one in Statistic], axis=0) for null in Null]
        result: np.ndarray = np.minimum(1, len(Statistic) * np.maximum(*each))
        return result

    @property
    def structured(self) -> Bool[np.ndarray, " out"]:
        return discoveries(self.p, LEVEL)

    @property
    def share(self) -> float:
        """The share of the layer's filters that are structured."""
        return float(self.structured.mean())


def reason_against(kernels: Kernels) -> str:
    """Why the filters of a layer cannot be told from noise, or an empty text."""
    rows, cols = kernels.weights.shape[2:]
    if rows * cols < LEAST_PLACES:
        return f"kernels of {rows}x{cols} have no neighbouring places"
    if not np.isfinite(kernels.weights).all():
        return "the weights hold NaN or infinite values"
    return ""


def of(kernels: Kernels, seed: int = 0) -> Structure:
    """The `Structure` of a layer's filters; raises Unsupported where kernels have no neighbouring places (1x1)."""
    reason = reason_against(kernels)
    if reason:
        raise Unsupported(f"the filters of '{kernels.layer}' cannot be told from noise: {reason}; choose a layer with wider kernels")
    inputs = kernels.weights.shape[1]
    chosen = np.linspace(0, inputs - 1, min(inputs, MOST_INPUTS)).round().astype(int)
    # Only ratios are looked at, so the weights may be brought to a size that nothing overflows at.
    weights = kernels.weights[:, chosen] / max(kernels.limit, np.finfo(np.float32).tiny)
    own = _measured(weights)
    told = ~np.isnan(own[Statistic.FLATNESS])
    own = {one: np.where(told, values, np.nan) for one, values in own.items()}
    redrawn, rng = _redrawn(seed, kernels.layer, weights.shape[1:])
    nulls = {Null.INITIALIZATION: {one: draws[:, None] for one, draws in redrawn.items()}, Null.PERMUTATION: _permuted(weights, rng)}
    places = weights.shape[2] * weights.shape[3]
    ps = {(one, null): rank(distance(one, own[one], places), distance(one, nulls[null][one], places)) for one in Statistic for null in Null}
    return Structure(own, ps)


def _redrawn(seed: int, layer: str, shape: tuple[int, ...]) -> tuple[dict[Statistic, np.ndarray], np.random.Generator]:
    """The statistics of freshly drawn filters of a layer, and the generator for the draws after them."""
    drawn, state = _drawn(seed, layer, shape)
    rng = np.random.default_rng()
    rng.bit_generator.state = state
    return drawn, rng


@lru_cache(maxsize=128)
def _drawn(seed: int, layer: str, shape: tuple[int, ...]) -> tuple[dict[Statistic, np.ndarray], dict[str, Any]]:
    # Kept, because a training is asked about again and again, and of its weights these draws know nothing.
    rng = np.random.default_rng(generator(seed, "noise", layer).initial_seed())
    found = _measured(rng.standard_normal((FRESH, *shape), dtype=np.float32))
    return found, dict(rng.bit_generator.state)


def distance(statistic: Statistic, values: Float[np.ndarray, "*n"], places: int) -> Float[np.ndarray, "*n"]:
    """How far from noise a value is: a flat spectrum is noise, and Moran's I of -1/(places - 1), its mean over permutations."""
    match statistic:
        case Statistic.FLATNESS:
            return -values
        case Statistic.MORAN:
            # Neighbours that are as unlike as can be (a spot in its surround) are structure too.
            return np.abs(values + 1 / (places - 1))
        case Statistic.CONCENTRATION:
            return values


def _measured(weights: Float[np.ndarray, "out in rows cols"]) -> dict[Statistic, np.ndarray]:
    return {
        Statistic.FLATNESS: flatness(weights),
        Statistic.MORAN: neighbour_correlation(weights),
        Statistic.CONCENTRATION: concentration(weights),
    }


def concentration(weights: Float[np.ndarray, "out in rows cols"]) -> Float[np.ndarray, " out"]:
    """places x sum of squared shares of each place in the energy over all kernels: 1 where even, their number for one place alone."""
    energy = np.square(weights).sum(axis=1).reshape(len(weights), -1)
    total = energy.sum(axis=1, keepdims=True)
    shares = np.divide(energy, total, out=np.full_like(energy, np.nan), where=total > 0)
    result: np.ndarray = energy.shape[1] * np.square(shares).sum(axis=1)
    return result


def flatness(weights: Float[np.ndarray, "out in rows cols"]) -> Float[np.ndarray, " out"]:
    """exp(mean log P) / mean P of each filter's spectrum P, averaged over its kernels; NaN for a filter of zeros."""
    waves, often = _waves(*weights.shape[2:])
    flat = weights.reshape(-1, waves.shape[0])
    power = np.square(flat @ waves).reshape(*weights.shape[:2], 2, -1).sum(axis=2).mean(axis=1)
    mean = power @ often
    shares = np.divide(power, mean[:, None], out=np.full_like(power, np.nan), where=mean[:, None] > 0)
    # An empty frequency makes a spectrum as uneven as it can be; what is below this is rounding.
    result: np.ndarray = np.exp(np.log(np.maximum(shares, 1e-12)) @ often)
    return result


@lru_cache(maxsize=32)
def _waves(rows: int, cols: int) -> tuple[Float32[np.ndarray, "places waves"], Float32[np.ndarray, " frequencies"]]:
    """Cosines, then sines, of the frequencies of a real plane, each pair of mirrored ones once; and the share of all that each is.

    For planes of a few places a product with these is many times as fast as a Fourier transform of each.
    """
    row, col = np.divmod(np.arange(rows * cols), cols)
    mirrored = (-row % rows) * cols + (-col % cols)
    once = np.flatnonzero(np.arange(rows * cols) <= mirrored)
    angles = 2 * np.pi * (np.outer(row, row[once]) / rows + np.outer(col, col[once]) / cols)
    often = np.where(once == mirrored[once], 1.0, 2.0) / (rows * cols)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32), often.astype(np.float32)


def rank(
    own: Float[np.ndarray, " out"],
    null: Float[
        np.ndarray,
        (
            draws  # out
        ),
    ],
) -> Float[np.ndarray, " out"]:
    """p = (b + 1) / (n + 1), b of n draws of the null being as large or larger (Davison & Hinkley 1997); 1 for NaN."""
    larger = np.array([(null[:, min(k, null.shape[1] - 1)] >= value).sum() for k, value in enumerate(own)])
    result: np.ndarray = np.where(np.isnan(own), 1.0, (larger + 1) / (len(null) + 1))
    return result


def discoveries(p: Float[np.ndarray, " n"], level: float) -> Bool[np.ndarray, " n"]:
    """Which of several p-values are accepted at a false discovery rate of ``level`` (Benjamini & Hochberg 1995)."""
    order = np.argsort(p, kind="stable")
    below = np.flatnonzero(p[order] <= level * np.arange(1, len(p) + 1) / len(p))
    accepted = np.zeros(len(p), dtype=bool)
    accepted[order[: below[-1] + 1 if len(below) else 0]] = True
    return accepted


def _permuted(weights: Float[np.ndarray, "out in rows cols"], rng: np.random.Generator) -> dict[Statistic, np.ndarray]:
    """The statistics of filters whose kernels are permuted, (draws, out) each. Each draw's permutations serve all filters."""
    flat = weights.reshape(*weights.shape[:2], -1)
    share = max(1, _CHUNK // flat.size)
    found: dict[Statistic, list[np.ndarray]] = {one: [] for one in Statistic}
    for start in range(0, PERMUTED, share):
        count = min(share, PERMUTED - start)
        places = rng.random((count, 1, *flat.shape[1:]), dtype=np.float32).argsort(axis=-1)
        mixed = np.take_along_axis(flat[None], places, axis=-1).reshape(-1, *weights.shape[1:])
        for one, values in _measured(mixed).items():
            found[one].append(values.reshape(count, -1))
    return {one: np.concatenate(parts) for one, parts in found.items()}
