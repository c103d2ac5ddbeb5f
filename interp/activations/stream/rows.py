"""One reading of a batch of maps: while a piece lies in the processor's cache, everything about its values is taken from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Values at once: they stay in the caches, and the calls for a piece cost little beside the work.
_AT_ONCE = 1 << 17
# Below this share of the squared mean, float32 sums of squares leave too few digits of a variance: then deviations are summed.
_CANCELS = 0.03


@dataclass(frozen=True, eq=False)
class Rows:
    """Of each image and channel of ``places`` values the least, the largest (float32), mean and sum of squared deviations (float64).

    ``zeros`` are counted per channel. Where a value is not finite, ``low`` or ``high`` is not either.
    """

    places: int
    low: Float[Tensor, "n c"]
    high: Float[Tensor, "n c"]
    mean: Float[Tensor, "n c"]
    squares: Float[Tensor, "n c"]
    zeros: Int[Tensor, " c"]


def swept(maps: Float[Tensor, "n c p"]) -> Rows:
    """Sums over the places of contiguous float32 maps."""
    count, channels, places = maps.shape
    rows = maps.view(-1, places)
    low, high, sums, norms, zeros = (maps.new_zeros(len(rows)) for _ in range(5))
    step = max(1, _AT_ONCE // places)
    mask = np.empty((step, places) if maps.device.type == "cpu" else (0, 0), dtype=bool)
    for start in range(0, len(rows), step):
        part, here = rows[start : start + step], slice(start, start + step)
        torch.amin(part, 1, out=low[here])
        torch.amax(part, 1, out=high[here])
        torch.sum(part, 1, out=sums[here])
        torch.linalg.vector_norm(part, dim=1, out=norms[here])
        if _any_zero(part, mask):
            # As floats, which count exactly so far, and several times as fast as booleans.
            torch.sum((part == 0).float(), 1, out=zeros[here])
    means = sums.double() / places
    squares = norms.double().square() - places * means.square()
    _again_where_cancelled(rows, means, squares)
    low, high, means, squares, zeros = (tensor.view(count, channels) for tensor in (low, high, means, squares.clamp_(min=0), zeros))
    return Rows(places, low, high, means, squares, zeros.sum(0, dtype=torch.float64).long())


def _any_zero(part: Float[Tensor, "r p"], mask: Bool[np.ndarray, "s k"]) -> bool:
    """NumPy finds out in a fraction of the time that counting takes; on other devices it would take a copy."""
    return not len(mask) or bool(np.equal(part.numpy(), 0, out=mask[: len(part)]).any())


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
