"""One reading of a batch of maps: while a piece lies in the processor's cache, everything about its values is taken from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.activations.stream.sketch import BINS, HALF, Sketch, coarser, fitting

# Values at once: these and what is made of them fit a processor core's cache.
_AT_ONCE = 1 << 17
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
    low, high, sums, norms, zeros = (maps.new_empty(count, channels) for _ in range(5))
    exponents = known.exponents.clone() if known.counts.any() else fitting(maps.amin(2).amin(0), maps.amax(2).amax(0))
    sketch = Sketch(torch.zeros_like(known.counts), exponents)
    # Few channels of many images: their bins stay in the cache, and there are more values than bins.
    step = max(1, min(channels, _AT_ONCE // (count * places)))
    images = max(1, min(count, _AT_ONCE // (step * places)))
    room, places_of = maps.new_empty(images, step, places), torch.empty(images, step, places, dtype=torch.int32, device=maps.device)
    first = (torch.arange(step, device=maps.device, dtype=torch.int32) * BINS + HALF)[:, None]
    for start in range(0, channels, step):
        block = slice(start, min(start + step, channels))
        size = block.stop - start
        scale, limit = _scale(sketch.exponents[block])
        for image in range(0, count, images):
            piece = slice(image, min(image + images, count))
            part, spare, bins = maps[piece, block], room[: piece.stop - image, :size], places_of[: piece.stop - image, :size]
            least = torch.amin(part, 2, out=low[piece, block])
            most = torch.amax(part, 2, out=high[piece, block])
            torch.sum(part, 2, out=sums[piece, block])
            torch.linalg.vector_norm(part, dim=2, out=norms[piece, block])
            # As floats, which count exactly so far, and several times as fast as booleans.
            torch.sum(torch.eq(part, 0, out=spare), 2, out=zeros[piece, block])
            if not bool(((least >= -limit) & (most < limit)).all()):
                if not bool((torch.isfinite(least) & torch.isfinite(most)).all()):
                    continue
                _grow(sketch, block, least.amin(0), most.amax(0))
                scale, limit = _scale(sketch.exponents[block])
            # By a power of two, so that no value is rounded into another bin.
            bins.copy_(torch.mul(part, scale[:, None], out=spare).floor_()).add_(first[:size])
            sketch.counts[block] += torch.bincount(bins.reshape(-1), minlength=size * BINS).view(size, BINS)
    means = sums.double() / places
    squares = norms.double().square() - places * means.square()
    _again_where_cancelled(maps.view(-1, places), means.view(-1), squares.view(-1))
    return Rows(places, low, high, means, squares.clamp_(min=0), zeros.long().sum(0)), sketch


def _scale(exponents: Int[Tensor, " c"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """What values are multiplied by to count in bins, and below which magnitude they fit."""
    ones = torch.ones_like(exponents, dtype=torch.float32)
    return torch.ldexp(ones, -exponents), torch.ldexp(HALF * ones, exponents)


def _grow(sketch: Sketch, block: slice, low: Float[Tensor, " c"], high: Float[Tensor, " c"]) -> None:
    """Make the bins of a block of channels so wide that these values fit."""
    before = sketch.exponents[block]
    after = torch.maximum(before, fitting(low, high))
    sketch.counts[block] = coarser(sketch.counts[block], after - before)
    sketch.exponents[block] = after


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
