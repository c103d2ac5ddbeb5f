"""The numbers of every filter of a convolution at one moment of a training, and since the moment before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from interp.core.depth import evenly
from interp.kernels import Kernels, noise, ranks
from interp.kernels.noise import LEVEL, discoveries

Columns = dict[str, np.ndarray]

# Of a filter that is one of a sample: the price of the test is that of its kernels.
_KERNELS = 8


def measured(kernels: Kernels, before: Float[np.ndarray, "out in rows cols"] | None, tested: int, seed: int) -> Columns:
    """Per filter, (out,) float32, NaN where a number is not defined:

    ``norm``: L2; ``change``: L2 of the difference from ``before``, relative to the norm that it had; ``stable_rank`` and
    ``effective_rank`` of the filter as a matrix of inputs by places; ``noise_p``: the p-value against noise
    (`interp.kernels.noise`), of ``tested`` filters evenly over the layer, NaN for the others and for kernels without neighbours. Where
    not all are tested, it is by 8 kernels of each, evenly over its inputs.
    """
    weights = kernels.weights
    found = {"norm": ranks.l2(weights), "change": _change(weights, before)}
    finite = bool(np.isfinite(weights).all())
    values = ranks.singular_values(weights) if finite else np.full((len(kernels), 1), np.nan)
    found |= {"stable_rank": ranks.stable_rank(values), "effective_rank": ranks.effective_rank(values)}
    found["noise_p"] = _noise(kernels, tested, seed)
    return {name: column.astype(np.float32) for name, column in found.items()}


def _change(weights: np.ndarray, before: np.ndarray | None) -> Float[np.ndarray, " out"]:
    if before is None:
        return np.full(len(weights), np.nan)
    norm = ranks.l2(before)
    moved: np.ndarray = ranks.l2(weights - before)
    result: np.ndarray = np.divide(moved, norm, out=np.full_like(norm, np.nan), where=norm > 0)
    return result


def _noise(kernels: Kernels, tested: int, seed: int) -> Float[np.ndarray, " out"]:
    found = np.full(len(kernels), np.nan)
    if tested and not noise.reason_against(kernels):
        chosen, weights = evenly(range(len(kernels)), tested), kernels.weights
        if len(chosen) < len(kernels):
            weights = weights[chosen][:, evenly(range(weights.shape[1]), _KERNELS)]
        found[chosen] = noise.of(replace(kernels, weights=weights), seed).p
    return found


def summed_up(columns: Mapping[str, np.ndarray]) -> dict[str, float]:
    """A layer in a few numbers: means over the filters, the share that is ``dead``, the share of those tested that is ``structured``.

    Structured are those that Benjamini-Hochberg accepts at the level of `interp.kernels.noise`. The dead are counted among the filters
    that are not ``unknown`` (see `interp.watching.seeing`), where that column is given. What is defined for no filter is left out.
    """
    means = {name: column[np.isfinite(column)] for name, column in columns.items() if name not in ("noise_p", "dead", "unknown")}
    found = {name: float(values.mean(dtype=np.float64)) for name, values in means.items() if len(values)}
    if "dead" in columns:
        known = columns["dead"][~columns["unknown"]] if "unknown" in columns else columns["dead"]
        found |= {"dead": float(known.mean())} if len(known) else {}
    asked = columns["noise_p"][np.isfinite(columns["noise_p"])] if "noise_p" in columns else np.empty(0)
    if len(asked):
        found["structured"] = float(discoveries(asked, LEVEL).mean())
    return found
