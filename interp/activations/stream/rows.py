"""One reading of a batch of maps: while a piece lies in the processor's cache, everything about its values is taken from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.activations.stream.sketch import BINS, HALF, Sketch, coarsen, fitting

# Values at once: what is made of them stays in the caches, and the calls for a block cost little beside the work.
_AT_ONCE = 1 << 18
# Channels at once: their bins are numbered by 16 bits, for they are counted twice as fast as by 64.
_CHANNELS = (1 << 15) // BINS
# Below this share of the squared mean, float32 sums of squares leave too few digits of a variance: then deviations are summed.
_CANCELS = 0.03


@dataclass(frozen=True, eq=False)
class Rows:
    """Of each image and channel of ``places`` values the least, the largest (float32), mean and sum of squared deviations (float64).

    ``zeros`` are counted per channel.
    """

    places: int
    low: Float[Tensor, "n c"]
    high: Float[Tensor, "n c"]
    mean: Float[Tensor, "n c"]
    squares: Float[Tensor, "n c"]
    zeros: Int[Tensor, " c"]


def swept(maps: Float[Tensor, "n c p"], known: Sketch) -> tuple[Rows, Sketch]:
    """Sums over the places of contiguous float32 maps, and a `Sketch` of their values, no finer than ``known``.

    Where a value is not finite, ``low`` or ``high`` is not either, and the sketch means nothing.
    """
    count, channels, places = maps.shape
    # Few channels of many images: their bins stay in the cache, and there are more values than bins.
    step = max(1, min(channels, _AT_ONCE // (count * places), _CHANNELS))
    pieces = min(count, -(-count * step * places // _AT_ONCE))
    room = _Room(maps, -(-count // pieces), step)
    sketch = Sketch(torch.zeros_like(known.counts), known.exponents.clone())
    zeros = torch.zeros_like(sketch.exponents)
    by_channel = (tensor.split(step) for tensor in (sketch.counts, sketch.exponents, *_scale(sketch.exponents)))
    found = [
        _block(values, room, _Bins(*bins), none)
        for values, none, *bins in zip(maps.split(step, 1), zeros.split(step), *by_channel, strict=True)
    ]
    low, high, sums, norms = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    means = sums.double() / places
    squares = norms.double().square() - places * means.square()
    _again_where_cancelled(maps.view(-1, places), means.view(-1), squares.view(-1))
    return Rows(places, low, high, means, squares.clamp_(min=0), zeros), sketch


class _Room:
    """Memory for what is made of ``images`` images of at most ``step`` channels, the same for one block after the other."""

    def __init__(self, maps: Float[Tensor, "n c p"], images: int, step: int) -> None:
        self.images = images
        size = images * step * maps.shape[2]
        self._first = (torch.arange(step, device=maps.device) * BINS + HALF).to(torch.int16)[:, None]
        self._numbers, self._bins = maps.new_empty(size), self._first.new_empty(size)
        self._mask = np.empty(size if maps.device.type == "cpu" else 0, dtype=bool)
        self._cut: dict[torch.Size, tuple[Tensor, Tensor, Tensor, np.ndarray]] = {}

    def of(self, shape: torch.Size) -> tuple[Float[Tensor, "n c p"], Int[Tensor, "n c p"], Int[Tensor, "c 1"], Bool[np.ndarray, "n c p"]]:
        """Numbers, bins and booleans of that shape, and the bin of zero of each of its channels."""
        if shape not in self._cut:
            size = shape.numel()
            mask = self._mask[:size].reshape(shape) if len(self._mask) else self._mask.reshape(0, 0, 0)
            self._cut[shape] = (self._numbers[:size].view(shape), self._bins[:size].view(shape), self._first[: shape[1]], mask)
        return self._cut[shape]


@dataclass(eq=False)
class _Bins:
    """A part of a `Sketch`; values times ``scale`` count in bins, and below the magnitude ``limit`` they fit."""

    counts: Int[Tensor, "c bins"]
    exponents: Int[Tensor, " c"]
    scale: Float[Tensor, "c 1"]
    limit: Float[Tensor, " c"]
    filled: bool = False

    def fit(self, low: Float[Tensor, "n c"], high: Float[Tensor, "n c"]) -> bool:
        """Make the bins so wide that such values fit; False where that cannot be."""
        if bool(((low >= -self.limit) & (high < self.limit)).all()):
            return True
        if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
            return False
        after = torch.maximum(self.exponents, fitting(low.amin(0), high.amax(0)))
        if self.filled:
            coarsen(self.counts, after - self.exponents)
        self.exponents.copy_(after)
        self.scale, self.limit = _scale(after)
        return True

    def count(self, bins: Int[Tensor, " v"]) -> None:
        """Count values by their bins, of channel 0 first."""
        self.counts += torch.bincount(bins, minlength=self.counts.numel()).view(self.counts.shape)
        self.filled = True


def _block(values: Float[Tensor, "n c p"], room: _Room, bins: _Bins, zeros: Int[Tensor, " c"]) -> tuple[Float[Tensor, "n c"], ...]:
    """Least and largest values, sums and norms of some channels of all images; ``bins`` and ``zeros`` are added to."""
    found = []
    for part in values.split(room.images):
        spare, places, first, mask = room.of(part.shape)
        low, high = torch.amin(part, 2), torch.amax(part, 2)
        found.append((low, high, torch.sum(part, 2), torch.linalg.vector_norm(part, dim=2)))
        # NumPy finds out in a fraction of the time whether there is a zero to count.
        if not mask.size or np.equal(part.numpy(), 0, out=mask).any():
            # As floats, which count exactly so far, and several times as fast as booleans.
            zeros += torch.sum(torch.eq(part, 0, out=spare), 2).sum(0).long()
        if bins.fit(low, high):
            # By a power of two, so that no value is rounded into another bin.
            torch.mul(part, bins.scale, out=spare).floor_()
            bins.count(places.copy_(spare).add_(first).view(-1))
    return found[0] if len(found) == 1 else tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def _scale(exponents: Int[Tensor, " c"]) -> tuple[Float[Tensor, "c 1"], Float[Tensor, " c"]]:
    """What values are multiplied by to count in bins, and below which magnitude they fit."""
    ones = torch.ones_like(exponents, dtype=torch.float32)
    return torch.ldexp(ones, -exponents)[:, None], torch.ldexp(HALF * ones, exponents)


def _again_where_cancelled(rows: Float[Tensor, "r p"], means: Float[Tensor, " r"], squares: Float[Tensor, " r"]) -> None:
    """Sum squared deviations anew for the rows whose mean is far from zero."""
    places = rows.shape[1]
    unsure = (squares < _CANCELS * places * means.square()).nonzero()[:, 0]
    step = max(1, _AT_ONCE // places)
    for start in range(0, len(unsure), step):
        some = unsure[start : start + step]
        apart = rows[some] - means[some, None].float()
        # The mean was rounded to float32: what is left of it is taken out.
        left = apart.sum(1).double()
        squares[some] = torch.linalg.vector_norm(apart, dim=1).double().square() - left.square() / places
