"""Which places of large maps are counted: drawn anew for each picture, the same however the pass goes.

Of maps of more than `PLACES` places so many are counted: the map is cut, in raster order, into as many pieces of one size, and a place is
drawn evenly from each. So every place of every picture is as likely to be counted as any other, which makes the histogram of the sample
unbiased, and the share of the sample below a value has a standard error of at most sqrt(q (1 - q) / n), n the values counted: that of
independent draws, less what the pieces spare (the variance of stratified draws; Cochran 1977, chapter 5).

Draws hang on the seed, the layer's name and the number of the picture alone: SplitMix64 (Steele, Lea & Flood 2014) gives the k-th number
of a stream without those before it, so neither batches nor an interruption change them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor

from interp.core.rng import generator

PLACES = 64
"""Of each picture and channel at most so many values are counted."""

# Draws have so many bits: a place's chance is even up to 2^-24 of a piece.
_BITS = 24


def stream_of(seed: int, layer: str) -> int:
    """The number from which a layer's draws are made."""
    return int(torch.randint(1 << 62, (), generator=generator(seed, "places", layer)))


def drawn(stream: int, first: int, pictures: int, places: int) -> Int[np.ndarray, "n k"]:
    """The places that count in the pictures ``first``, ``first`` + 1 ...: `PLACES` of ``places``, in raster order.

    A place that lies in two pieces may be drawn from both.
    """
    pieces = np.arange(PLACES, dtype=np.uint64)
    steps = np.arange(first, first + pictures, dtype=np.uint64)[:, None] * np.uint64(PLACES) + pieces
    at = (pieces << np.uint64(_BITS)) + (_mixed(stream, steps) >> np.uint64(64 - _BITS))
    found: np.ndarray = (at * np.uint64(places) // np.uint64(PLACES << _BITS)).astype(np.int64)
    return found


def _mixed(stream: int, steps: UInt64[np.ndarray, "n k"]) -> UInt64[np.ndarray, "n k"]:
    """SplitMix64's numbers ``steps`` of the stream, 64 bits each; products wrap."""
    z = np.uint64(stream) + (steps + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def counted(maps: Float[Tensor, "n c p"], stream: int, first: int) -> Float[Tensor, "n c k"]:
    """The values of the maps of pictures ``first``, ``first`` + 1 ... that are counted: all of small maps."""
    pictures, channels, places = maps.shape
    if places <= PLACES:
        return maps
    where = torch.from_numpy(drawn(stream, first, pictures, places)).to(maps.device)
    return maps.gather(2, where[:, None].expand(-1, channels, -1))
