"""Options of one pass over a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass

from interp.errors import InterpError

LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class ScanConfig:
    """What is kept of every channel, and how the pass goes.

    ``top``: how many images at either end. ``levels``: of the quantiles, in [0, 1]. ``bins``: of the histogram, at most, a power of
    two. ``seed``: of the places of large maps that quantiles and histogram count. ``correlations``: whether channels of a layer are
    compared with one another, and ``nearest``: how many neighbours are listed. ``batch``: images that go through the network at once.
    A checkpoint is written after so many ``seconds``, or ``batches`` where that is not None.
    """

    top: int = 9
    levels: tuple[float, ...] = LEVELS
    bins: int = 64
    seed: int = 0
    correlations: bool = True
    nearest: int = 8
    batch: int = 32
    seconds: float = 30.0
    batches: int | None = None

    def __post_init__(self) -> None:
        """Raises InterpError where the values cannot be used."""
        for name, value in (("top", self.top), ("nearest", self.nearest), ("batch", self.batch), ("batches", self.batches)):
            if value is not None and value < 1:
                raise InterpError(f"`{name}` is {value}: give at least 1")
        if self.bins < 4 or self.bins & (self.bins - 1) or self.bins > 512:
            raise InterpError(f"`bins` is {self.bins}: give a power of two from 4 to 512")
        wrong = next((level for level in self.levels if not 0 <= level <= 1), None)
        if wrong is not None:
            raise InterpError(f"`levels` holds {wrong}: give shares from 0 to 1, such as 0.5 for the median")
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise InterpError(f"`seconds` is {self.seconds}: give a positive number of seconds between checkpoints")
