"""Numbers that change over a run: rates, weights of penalties, widths of blurs. A plain number stays as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from interp.errors import InterpError


@dataclass(frozen=True)
class Linear:
    """From ``start`` at the first step to ``end`` at the last, evenly; both before and after as at the ends."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        return self.start + (self.end - self.start) * progress


@dataclass(frozen=True)
class Cosine:
    """From ``start`` to ``end`` by half a cosine wave (Loshchilov & Hutter 2017); ``warmup``: share of the run with a linear rise."""

    start: float
    end: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise InterpError(f"the `warmup` of Cosine is {self.warmup}: give a share of the run, from 0 to below 1")

    def at(self, progress: float) -> float:
        if progress < self.warmup:
            return self.start * progress / self.warmup
        left = (progress - self.warmup) / (1 - self.warmup)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * left)) / 2


Schedule = float | Linear | Cosine


def value(schedule: Schedule, progress: float) -> float:
    """The number at ``progress`` (0 at the first step, 1 at the last)."""
    return schedule.at(progress) if isinstance(schedule, Linear | Cosine) else schedule


def ends(schedule: Schedule) -> tuple[float, float]:
    """The first and the last number."""
    return (schedule.start, schedule.end) if isinstance(schedule, Linear | Cosine) else (schedule, schedule)


def check(schedule: Schedule, name: str, meaning: str, *, positive: bool = False) -> None:
    """Raise InterpError where a number is not finite or negative (or zero at the start, with ``positive``)."""
    first, last = ends(schedule)
    if not (math.isfinite(first) and math.isfinite(last)) or min(first, last) < 0 or (positive and first <= 0):
        raise InterpError(f"`{name}` is {schedule}: give {meaning}")
