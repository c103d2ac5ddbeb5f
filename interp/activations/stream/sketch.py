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
        """Merge ``part`` into this one."""
        exponents = torch.maximum(self.exponents, part.exponents)
        self.counts = coarser(self.counts, exponents - self.exponents) + coarser(part.counts, exponents - part.exponents)
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


def coarser(counts: Int[Tensor, "c bins"], by: Int[Tensor, " c"]) -> Int[Tensor, "c bins"]:
    """The counts in bins 2^by times as wide."""
    if not bool(by.any()):
        return counts
    bins = torch.arange(-HALF, HALF, device=counts.device)
    found = torch.zeros_like(counts)
    places = (bins[None] >> by.clamp(max=HALF.bit_length())[:, None]) + HALF
    return found.scatter_add_(1, places, counts)


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
    found = np.empty((len(counts), len(levels)))
    for place, level in enumerate(levels):
        rank = level * (total - 1)
        below, share = int(rank), rank - int(rank)
        one = _ordered(counts, behind, width, zeros, low, high, below)
        other = _ordered(counts, behind, width, zeros, low, high, min(below + 1, total - 1)) if share else one
        found[:, place] = one + share * (other - one)
    return found


def _ordered(
    counts: np.ndarray, behind: np.ndarray, width: np.ndarray, zeros: np.ndarray, low: np.ndarray, high: np.ndarray, rank: int
) -> np.ndarray:
    """About the value of that rank, 0 the least, as if the values of a bin lay evenly in it."""
    total = int(behind[0, -1])
    if rank in (0, total - 1):
        return np.asarray(low if rank == 0 else high, dtype=np.float64)
    bins = (behind <= rank).sum(axis=1)
    channel = np.arange(len(counts))
    held = counts[channel, bins]
    within = rank - (behind[channel, bins] - held)
    # The zeros are the first in their bin.
    zeros = np.where(bins == HALF, zeros, 0)
    share = np.where(within < zeros, 0.0, (within - zeros + 0.5) / np.maximum(1, held - zeros))
    found: np.ndarray = np.clip((bins - HALF + share) * width, low, high)
    return found


def histogram(
    counts: Int[np.ndarray, "c bins"], width: Float[np.ndarray, " c"], most: int
) -> tuple[Float[np.ndarray, "c e"], Int[np.ndarray, "c b"]]:
    """``most`` bins per channel (a power of two) from the first that holds a value on: edges (channels, most + 1) and counts.

    Bins of a channel have one width, the smallest with which they reach its last value.
    """
    held = counts > 0
    first = held.argmax(axis=1) - HALF
    last = HALF - 1 - held[:, ::-1].argmax(axis=1)
    shift = np.zeros(len(counts), dtype=np.int64)
    while (wide := (last >> shift) - (first >> shift) >= most).any():
        shift += wide
    start = first >> shift
    edges = (start[:, None] + np.arange(most + 1)) * (width * 2.0**shift)[:, None]
    places = (np.arange(-HALF, HALF)[None] >> shift[:, None]) - start[:, None]
    found = np.zeros((len(counts), most), dtype=np.int64)
    rows = np.broadcast_to(np.arange(len(counts))[:, None], places.shape)
    np.add.at(found, (rows[held], places[held]), counts[held])
    return edges, found
