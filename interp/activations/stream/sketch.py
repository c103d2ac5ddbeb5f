"""A histogram per channel that grows with its values: what quantiles and drawn histograms are made of.

Bins are [k w, (k + 1) w) for k from -256 to 255, with w a power of two that each channel has of its own: the smallest with which all of
its values fit. When a value does not fit, w doubles and bins 2k and 2k + 1 become one, which loses nothing but resolution. So w
depends on the largest magnitude alone: it is more than 1/512 and at most 1/128 of it. The order of the images, how they are batched, and
which parts are merged first make no difference: counts are exact.

A quantile of the values that were counted is off by at most w, its `resolution`; zeros are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

HALF = 256
BINS = 2 * HALF
# Values at once, which stay in the caches, and channels at once: bins are numbered by 16 bits, which are counted faster than 64.
_AT_ONCE, _CHANNELS = 1 << 17, (1 << 15) // BINS
# Exponents of w: what is smaller is counted as if it were of this size.
_LEAST, _MOST = -40, 120


@dataclass(eq=False)
class Sketch:
    """``counts`` (channels, 512) and ``exponents`` (channels,): bin k of channel c is [k 2^e, (k + 1) 2^e), at column k + 256.

    ``zeros`` of a channel's ``total`` values are exactly 0.
    """

    total: int
    counts: Int[Tensor, "c bins"]
    zeros: Int[Tensor, " c"]
    exponents: Int[Tensor, " c"]

    @classmethod
    def empty(cls, channels: int, device: torch.device) -> Sketch:
        none = torch.zeros(channels, dtype=torch.int64, device=device)
        return cls(0, none.new_zeros(channels, BINS), none, torch.full_like(none, _LEAST))

    @classmethod
    def of(cls, values: Float[Tensor, "n c k"], exponents: Int[Tensor, " c"], zeros: bool = True) -> Sketch:
        """Of finite float32 values that fit into bins of the widths 2^``exponents``; without ``zeros`` none is exactly 0."""
        count, channels, each = values.shape
        found = cls.empty(channels, values.device)
        found.total, found.exponents = count * each, exponents
        scale = torch.ldexp(torch.ones_like(exponents, dtype=torch.float32), -exponents)[:, None]
        step = max(1, min(channels, _CHANNELS, _AT_ONCE // (count * each)))
        first = (torch.arange(step, device=values.device) * BINS + HALF).to(torch.int16)[:, None]
        for start in range(0, channels, step):
            here = slice(start, start + step)
            part = values[:, here]
            # By a power of two, so that no value is rounded into another bin.
            bins = torch.mul(part, scale[here]).floor_().to(torch.int16).add_(first[: part.shape[1]]).view(-1)
            found.counts[here] = torch.bincount(bins, minlength=part.shape[1] * BINS).view(-1, BINS)
        if zeros:
            # As floats, which count exactly so far, and several times as fast as booleans.
            found.zeros = torch.sum((values == 0).float(), 2).sum(0, dtype=torch.float64).long()
        return found

    def add(self, part: Sketch) -> None:
        """Merge ``part`` into this one; it is used up."""
        exponents = torch.maximum(self.exponents, part.exponents)
        coarsen(part.counts, exponents - part.exponents)
        if self.total:
            coarsen(self.counts, exponents - self.exponents)
            self.counts += part.counts
        else:
            self.counts = part.counts
        self.total += part.total
        self.zeros = self.zeros + part.zeros
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

    ``zeros`` of the values of each channel are exactly 0. ``low`` and ``high`` are the ends of all values, of which those counted may be
    a sample: the levels 0 and 1 give them.
    """
    behind = np.cumsum(counts, axis=1)
    total = int(behind[0, -1])
    ends = np.array(levels)
    ranks = ends * (total - 1)
    below = ranks.astype(np.int64)
    one, other = np.split(_ordered(counts, behind, width, zeros, np.append(below, np.minimum(below + 1, total - 1))), 2, axis=1)
    found: np.ndarray = np.clip(one + (ranks - below) * (other - one), low[:, None], high[:, None])
    return np.where(ends == 0, low[:, None], np.where(ends == 1, high[:, None], found))


def _ordered(
    counts: Int[np.ndarray, "c bins"],
    behind: Int[np.ndarray, "c bins"],
    width: Float[np.ndarray, " c"],
    zeros: Int[np.ndarray, " c"],
    ranks: Int[np.ndarray, " q"],
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
    found: np.ndarray = (bins - HALF + share) * width[:, None]
    return found


def histogram(
    counts: Int[np.ndarray, "c bins"], width: Float[np.ndarray, " c"], most: int
) -> tuple[Float[np.ndarray, "c e"], Int[np.ndarray, "c b"]]:
    """``most`` bins per channel (a power of two) from the first that holds a value on: edges (channels, most + 1) and counts.

    Bins of a channel have one width, the smallest with which they reach its last value.
    """
    there = counts > 0
    first, last = there.argmax(axis=1) - HALF, BINS - 1 - there[:, ::-1].argmax(axis=1) - HALF
    shift = np.zeros(len(counts), dtype=np.int64)
    while (wide := (last >> shift) - (first >> shift) >= most).any():
        shift += wide
    marks = (first >> shift)[:, None] + np.arange(most + 1)
    behind = np.zeros((len(counts), BINS + 1), dtype=np.int64)
    np.cumsum(counts, axis=1, out=behind[:, 1:])
    below = np.take_along_axis(behind, np.clip((marks << shift[:, None]) + HALF, 0, BINS), axis=1)
    return marks * (width * 2.0**shift)[:, None], np.diff(below, axis=1)
