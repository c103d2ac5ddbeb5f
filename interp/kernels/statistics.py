"""What can be said of every filter of a layer in numbers, and of the layer as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interp.core.model import Model
from interp.kernels import duplicates, noise, ranks
from interp.kernels.duplicates import Duplicates
from interp.kernels.neighbours import cosines_of
from interp.kernels.noise import Structure
from interp.kernels.weights import Kernels
from interp.kernels.weights import of as kernels_of


@dataclass(frozen=True, eq=False)
class KernelStatistics:
    """Of one layer. Per filter, in the order of the layer:

    ``l1``, ``l2``; ``stable_rank`` and ``effective_rank`` of the filter as a matrix of inputs by places; ``variance_entropy`` of
    its kernels (NaN with one input or one place); ``sparsity``, the share of its kernels that are as good as zero;
    ``orthogonality``, 1 less the mean |cosine| to the other filters of its group (NaN where there is none). ``copies``:
    `Duplicates`. ``structure``: `Structure`, None where ``no_structure`` says why. ``layer_numbers``: the layer as a whole.
    """

    layer: str
    l1: Float[np.ndarray, " out"]
    l2: Float[np.ndarray, " out"]
    stable_rank: Float[np.ndarray, " out"]
    effective_rank: Float[np.ndarray, " out"]
    variance_entropy: Float[np.ndarray, " out"]
    sparsity: Float[np.ndarray, " out"]
    orthogonality: Float[np.ndarray, " out"]
    copies: Duplicates
    structure: Structure | None
    no_structure: str
    layer_numbers: Mapping[str, float]

    @property
    def noisy(self) -> Bool[np.ndarray, " out"] | None:
        """Filters that cannot be told from noise; None where that cannot be asked."""
        return None if self.structure is None else ~self.structure.structured

    def columns(self) -> dict[str, np.ndarray]:
        """Every number per filter by its name; those of noise are left out where it cannot be asked."""
        found = {
            name: getattr(self, name)
            for name in ("l1", "l2", "stable_rank", "effective_rank", "variance_entropy", "sparsity", "orthogonality")
        }
        found |= {"nearest_cosine": self.copies.nearest, "nearest": self.copies.nearest_of, "nearest_p": self.copies.p}
        found |= {"duplicate_of": self.copies.cluster_of}
        if self.structure is not None:
            found |= {one.value: values for one, values in self.structure.values.items()}
            found |= {f"{one.value}_p_{null.value}": p for (one, null), p in self.structure.ps.items()}
            found |= {"noise_p": self.structure.p, "noise": ~self.structure.structured}
        return found


def of(model: Model, layer: str, seed: int = 0) -> KernelStatistics:
    """The `KernelStatistics` of a convolution or Linear layer; raises as `interp.kernels.of` does."""
    return measured(kernels_of(model, layer), seed)


def measured(kernels: Kernels, seed: int = 0) -> KernelStatistics:
    """The same of weights already read; ``seed``: of the draws that stand for noise."""
    weights = kernels.weights
    values = ranks.singular_values(weights)
    flat = weights.reshape(*weights.shape[:2], -1)
    several = weights.shape[1] > 1 and flat.shape[2] > 1
    zero = ranks.almost_zero(weights)
    reason = noise.reason_against(kernels)
    structure = None if reason else noise.of(kernels, seed)
    overlap, copies = _overlap(kernels), duplicates.of(kernels)
    whole = np.linalg.svd(weights.reshape(len(kernels), -1).astype(np.float64), compute_uv=False)
    numbers = {
        "stable_rank": float(ranks.stable_rank(whole)),
        "effective_rank": float(ranks.effective_rank(whole)),
        "variance_entropy": float(ranks.variance_entropy(flat.reshape(-1, flat.shape[2]))),
        "sparsity": float(zero.mean()),
        "orthogonality": float(1 - np.nanmean(overlap)) if not np.isnan(overlap).all() else float("nan"),
        "chance_cosine": copies.chance,
    }
    if structure is not None:
        numbers["structured"] = structure.share
    return KernelStatistics(
        kernels.layer,
        ranks.l1(weights),
        ranks.l2(weights),
        ranks.stable_rank(values),
        ranks.effective_rank(values),
        ranks.variance_entropy(flat) if several else np.full(len(kernels), np.nan),
        zero.mean(axis=1),
        1 - overlap,
        copies,
        structure,
        reason,
        numbers,
    )


def _overlap(kernels: Kernels) -> Float[np.ndarray, " out"]:
    """Mean |cosine| of each filter to the others of its group: the off-diagonal part of |W W^T - I|, filters normalized."""
    count = len(kernels)
    group = np.arange(count) // (count // kernels.groups)
    size = np.abs(cosines_of(kernels))
    counted = (group[:, None] == group[None]) & ~np.eye(count, dtype=bool) & ~np.isnan(size)
    total = np.where(counted, size, 0).sum(axis=1)
    number = counted.sum(axis=1)
    result: np.ndarray = np.divide(total, number, out=np.full(count, np.nan), where=number > 0)
    return result
