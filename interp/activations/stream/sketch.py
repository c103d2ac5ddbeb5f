"""A histogram per channel that grows with its values: what quantiles and drawn histograms are made of.

Bins are [k w, (k + 1) w) for k from -256 to 255, with w a power of two that each channel has of its own: the smallest with which all of
its values fit. When a value does not fit, w doubles and bins 2k and 2k + 1 become one, which loses nothing but resolution. So w
depends on the largest magnitude alone: it is more than 1/512 and at most 1/128 of it. The order of the images, how they are batched, and
which parts are merged first make no difference: counts are exact.

A quantile is off by at most w, its `resolution`; the least and the largest value are exact, and so are zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

HALF = 256
BINS = 2 * HALF
# Exponents of w: what is smaller is counted as if it were of this size.
_LEAST, _MOST = -40, 118


@dataclass(eq=False)
class Sketch:
    """``counts`` (channels, 512) and ``exponents`` (channels,): bin k of channel c is [k 2^e, (k + 1) 2^e), at column k + 256."""

    counts: Int[Tensor, "c bins"]
    exponents: Int[Tensor, " c"]

    @classmethod
    def empty(cls, channels: int, device: torch.device) -> Sketch:
        counts = torch.zeros(channels, BINS, dtype=torch.int64, device=device)
        return cls(counts, torch.full((channels,), _LEAST, dtype=torch.int64, device=device))

    def add(self, part: Sketch) -> None:
        """Merge ``part`` into this one; it is used up."""
        exponents = torch.maximum(self.exponents, part.exponents)
        coarsen(self.counts, exponents - self.exponents)
        coarsen(part.counts, exponents - part.exponents)
        self.counts += part.counts
        self.exponents = exponents

    @property
    def width(self) -> Float[np.ndarray, " c"]:
        """The width of a bin of each channel."""
        widths: np.ndarray = np.ldexp(1.0, self.exponents.cpu().numpy())
        return widths


def fitting(low: Float[Tensor, " c"], high: Float[Tensor, " c"]) -> Int[Tensor, " c"]:
    """The smallest exponent e for which [low, high] lies in [-256, 256) 2^e."""
    up_mantissa, up = torch.frexp(high.float().clamp(min=0))
    down_mantissa, down = torch.frexp((-low.float()).clamp(min=0))
    # The lower end belongs to the first bin, the upper end to none: -256 fits where 256 does not.
    down = torch.where(down_mantissa == 0.5, down - 1, down)
    up, down = (torch.where(m > 0, e, _LEAST + 8) for m, e in ((up_mantissa, up), (down_mantissa, down)))
    return (torch.maximum(up, down).long() - 8).clamp(_LEAST, _MOST)


def coarsen(counts: Int[Tensor, "c bins"], by: Int[Tensor, " c"]) -> None:
    """Count in bins 2^by times as wide, in place."""
    wider = by.nonzero()[:, 0]
    if len(wider):
        before = counts[wider]
        bins = torch.arange(-HALF, HALF, device=counts.device)
        places = (bins[None] >> by[wider].clamp(max=HALF.bit_length())[:, None]) + HALF
        counts[wider] = torch.zeros_like(before).scatter_add_(1, places, before)


def quantiles(
    counts: Int[np.ndarray, "c bins"],
    width: Float[np.ndarray, " c"],
    zeros: Int[np.ndarray, " c"],
    low: Float[np.ndarray, " c"],
    high: Float[np.ndarray, " c"],
    levels: tuple[float, ...],
) -> Float[np.ndarray, "c q"]:
    """Quantiles by linear interpolation between order statistics, as NumPy defines them; off by at most ``width``.

    ``zeros`` of the values of each channel are exactly 0, ``low`` and ``high`` are its least and its largest.
    """
    behind = np.cumsum(counts, axis=1)
    total = int(behind[0, -1])
    ranks = np.array(levels) * (total - 1)
    below = ranks.astype(np.int64)
    one, other = (_ordered(counts, behind, width, zeros, low, high, rank) for rank in (below, np.minimum(below + 1, total - 1)))
    found: np.ndarray = one + (ranks - below) * (other - one)
    return found


def _ordered(
    counts: np.ndarray, behind: np.ndarray, width: np.ndarray, zeros: np.ndarray, low: np.ndarray, high: np.ndarray, ranks: np.ndarray
) -> Float[np.ndarray, "c q"]:
    """About the values of those ranks, 0 the least, as if the values of a bin lay evenly in it."""
    total = int(behind[0, -1])
    channel = np.arange(len(counts))[:, None]
    # One search for all: the sums of each channel lie above those of the channel before.
    above = channel * (total + 1)
    bins = np.searchsorted((behind + above).ravel(), (ranks + above).ravel(), side="right").reshape(above.shape[0], -1) - channel * BINS
    held = counts[channel, bins]
    within = ranks - (behind[channel, bins] - held)
    # The zeros are the first in their bin.
    none = np.where(bins == HALF, zeros[:, None], 0)
    share = np.where(within < none, 0.0, (within - none + 0.5) / np.maximum(1, held - none))
    found = np.clip((bins - HALF + share) * width[:, None], low[:, None], high[:, None])
    found = np.where(ranks == total - 1, high[:, None], found)
    return np.where(ranks == 0, low[:, None], found)


def histogram(
    counts: Int[np.ndarray, "c bins"], width: Float[np.ndarray, " c"], most: int
) -> tuple[Float[np.ndarray, "c e"], Int[np.ndarray, "c b"]]:
    """``most`` bins per channel (a power of two) from the first that holds a value on: edges (channels, most + 1) and counts.

    Bins of a channel have one width, the smallest with which they reach its last value.
    """
    channels, bins = np.nonzero(counts)
    bins -= HALF
    starts = np.searchsorted(channels, np.arange(len(counts)))
    first, last = bins[starts], bins[np.append(starts[1:], len(bins)) - 1]
    shift = np.zeros(len(counts), dtype=np.int64)
    while (wide := (last >> shift) - (first >> shift) >= most).any():
        shift += wide
    start = first >> shift
    edges = (start[:, None] + np.arange(most + 1)) * (width * 2.0**shift)[:, None]
    found = np.zeros((len(counts), most), dtype=np.int64)
    np.add.at(found.reshape(-1), channels * most + (bins >> shift[channels]) - start[channels], counts[channels, bins + HALF])
    return edges, found
