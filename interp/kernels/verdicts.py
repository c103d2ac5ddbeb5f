"""Which filters of a layer deserve a second look, and by which test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float

from interp.kernels.noise import LEVEL, Statistic
from interp.kernels.statistics import KernelStatistics

FAINT = 0.01
"""A filter (or the factor of the BatchNorm behind it) is dead below this share of its layer's median."""
SENSITIVE = 5.0
"""An over-sensitive filter is so many robust standard deviations (1.4826 MAD) above the median of its layer, on a log scale."""


class Fault(Enum):
    """What may be wrong with a filter."""

    DEAD = "dead"
    RARE = "rare"
    DUPLICATE = "duplicate"
    NOISE = "noise"
    SENSITIVE = "over-sensitive"


@dataclass(frozen=True)
class Verdict:
    """One filter and one fault: the test, its statistic and the threshold that was passed, its p-value where it has one (NaN: none)."""

    layer: str
    channel: int
    fault: Fault
    test: str
    statistic: float
    threshold: float
    p: float
    detail: str = ""


def by_weights(found: KernelStatistics, factors: Float[np.ndarray, " out"] | None = None) -> list[Verdict]:
    """Dead, duplicate and noisy filters of a layer, by its weights; ``factors``: gamma of the BatchNorm behind it, where there is one."""
    faults = _dead(found.layer, found.l2, "L2 norm / median of the layer")
    if factors is not None:
        known = {verdict.channel for verdict in faults}
        faults += [v for v in _dead(found.layer, np.abs(factors), "|BatchNorm gamma| / median of the layer") if v.channel not in known]
    dead = {verdict.channel for verdict in faults}
    copies = found.copies
    for channel in np.flatnonzero(copies.cluster_of >= 0).tolist():
        if channel not in dead:
            faults.append(_duplicate(found, channel))
    if found.structure is not None:
        noise = found.structure
        # The largest p that is accepted, or what the first would have to be below.
        accepted = float(noise.p[noise.structured].max()) if noise.structured.any() else LEVEL / len(noise.p)
        for channel in np.flatnonzero(~noise.structured).tolist():
            if channel not in dead:
                told = ", ".join(f"{one.value} {noise.values[one][channel]:.2f}" for one in Statistic)
                p = float(noise.p[channel])
                faults.append(Verdict(found.layer, channel, Fault.NOISE, "p against two nulls, FDR 5 %", p, accepted, p, told))
    return faults


def _duplicate(found: KernelStatistics, channel: int) -> Verdict:
    copies = found.copies
    cosine = float(copies.nearest[channel])
    # Behind a ReLU the opposite filter is no spare one; it is said which it is.
    detail = f"{'opposite' if cosine < 0 else 'copy'} of {copies.nearest_of[channel]}, cluster {copies.cluster_of[channel]}"
    return Verdict(found.layer, channel, Fault.DUPLICATE, "|cosine|", abs(cosine), copies.threshold, float(copies.p[channel]), detail)


def by_activations(
    layer: str, dead: Bool[np.ndarray, " c"], rare: Bool[np.ndarray, " c"], active: Float[np.ndarray, " c"]
) -> list[Verdict]:
    """Filters that no picture, or hardly one, excites: the share of pictures in which any place is above 0."""
    test = "share of pictures with a place above 0"
    some = [Verdict(layer, int(c), Fault.DEAD, test, float(active[c]), 0.0, float("nan")) for c in np.flatnonzero(dead)]
    return some + [Verdict(layer, int(c), Fault.RARE, test, float(active[c]), 0.01, float("nan")) for c in np.flatnonzero(rare & ~dead)]


def by_sensitivity(layer: str, gains: Float[np.ndarray, " c"]) -> list[Verdict]:
    """Filters whose gain, noise against natural spread, is far above the layer's: log gain > median + `SENSITIVE` x 1.4826 MAD.

    A definition of this package. Channels without natural spread have no gain (NaN), and no verdict; nor has a layer of fewer than
    four channels with one.
    """
    told = np.isfinite(gains) & (gains > 0)
    if told.sum() < 4:
        return []
    logs = np.log(gains[told])
    middle = float(np.median(logs))
    # Where most channels are equal, rounding is no deviation.
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), 1e-3)
    threshold = float(np.exp(middle + SENSITIVE * spread))
    over = np.flatnonzero(told & (np.where(told, gains, 0) > threshold)).tolist()
    test = "noise gain, log median + 5 MAD"
    return [Verdict(layer, c, Fault.SENSITIVE, test, float(gains[c]), threshold, float("nan")) for c in over]


def counts(verdicts: list[Verdict]) -> Mapping[Fault, int]:
    """How many filters have each fault."""
    return {fault: len({(v.layer, v.channel) for v in verdicts if v.fault is fault}) for fault in Fault}


def _dead(layer: str, sizes: Float[np.ndarray, " out"], test: str) -> list[Verdict]:
    middle = float(np.median(sizes))
    shares = sizes / middle if middle > 0 else np.where(sizes > 0, np.inf, 0.0)
    return [Verdict(layer, int(c), Fault.DEAD, test, float(shares[c]), FAINT, float("nan")) for c in np.flatnonzero(shares < FAINT)]
