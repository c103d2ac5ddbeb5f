"""Training on drawn shapes with a progress bar, and the level of difficulty as a word: for experiments."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import tyro

if TYPE_CHECKING:
    from interp.report.product import Tick
    from interp.synthetic import Progress, ShapeOptions

Made = TypeVar("Made")


class Level(StrEnum):
    """How hard the pictures are; see `interp.synthetic.Difficulty`."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"

    def shapes(self, side: int = 64, correlation: float = 0.0) -> ShapeOptions:
        """What is drawn at this level, on squares of ``side`` px; ``correlation``: how often the background tells the class."""
        from interp.synthetic import EASY, HARD, MEDIUM, ShapeOptions

        difficulty = {Level.EASY: EASY, Level.MEDIUM: MEDIUM, Level.HARD: HARD}[self]
        return ShapeOptions(size=(side, side), correlation=correlation, difficulty=difficulty)


Difficulty = Annotated[Level, tyro.conf.EnumChoicesFromValues]
"""A level as an option: `--difficulty easy`."""


def told(tick: Tick, stage: str) -> Callable[[Progress], None]:
    """What a training calls after each step, so that ``tick`` shows it as ``stage``."""
    return lambda progress: tick(stage, progress.done, progress.steps)


def watched(learn: Callable[[Callable[[Progress], None]], Made]) -> Made:
    """What ``learn`` gives, called with what shows its progress in a bar of its own."""
    from interp.cli.progress import bars

    with bars() as tick:
        return learn(told(tick, "training"))
