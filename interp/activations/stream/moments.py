"""Mean, spread, extremes and zeros of every channel, merged from parts in float64.

Parts are merged by Chan, Golub & LeVeque (1983): no sum of squares over a data set is ever taken, so a mean far from zero costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.activations.stream.rows import Rows


@dataclass(eq=False)
class Moments:
    """Of ``count`` values per channel, in ``images`` images: mean, sum of squared deviations, least, largest, zeros, images above 0."""

    count: int
    images: int
    mean: Float[Tensor, " c"]
    squares: Float[Tensor, " c"]
    low: Float[Tensor, " c"]
    high: Float[Tensor, " c"]
    zeros: Int[Tensor, " c"]
    active: Int[Tensor, " c"]

    @classmethod
    def empty(cls, channels: int) -> Moments:
        nothing, none = torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.int64)
        return cls(
            0, 0, nothing, nothing.clone(), torch.full_like(nothing, torch.inf), torch.full_like(nothing, -torch.inf), none, none.clone()
        )

    @classmethod
    def of(cls, rows: Rows) -> Moments:
        """Of the sums over the places of each map."""
        images = len(rows.mean)
        mean = rows.mean.mean(0)
        squares = rows.squares.sum(0) + rows.places * (rows.mean - mean).square().sum(0)
        ends = rows.low.amin(0).double().cpu(), rows.high.amax(0).double().cpu()
        return cls(images * rows.places, images, mean.cpu(), squares.cpu(), *ends, rows.zeros.cpu(), (rows.high > 0).sum(0).cpu())

    def add(self, part: Moments) -> None:
        """Merge ``part`` into this one."""
        count = self.count + part.count
        apart = part.mean - self.mean
        self.mean = self.mean + apart * (part.count / count)
        self.squares = self.squares + part.squares + apart.square() * (self.count * part.count / count)
        self.low, self.high = torch.minimum(self.low, part.low), torch.maximum(self.high, part.high)
        self.zeros, self.active = self.zeros + part.zeros, self.active + part.active
        self.count, self.images = count, self.images + part.images
