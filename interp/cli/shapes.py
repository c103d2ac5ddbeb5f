"""Training on drawn shapes with a progress bar, and the level of difficulty as a word: for experiments."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from interp.core.model import Model
    from interp.report.product import Tick
    from interp.synthetic import Progress, ShapeOptions


class Level(StrEnum):
    """How hard the pictures are; see `interp.synthetic.Difficulty`."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"

    def shapes(self, correlation: float = 0.0) -> ShapeOptions:
        """What is drawn at this level; ``correlation``: how often the background tells the class."""
        from interp.synthetic import EASY, HARD, MEDIUM, ShapeOptions

        return ShapeOptions(correlation=correlation, difficulty={Level.EASY: EASY, Level.MEDIUM: MEDIUM, Level.HARD: HARD}[self])


Difficulty = Annotated[Level, tyro.conf.EnumChoicesFromValues]
"""A level as an option: `--difficulty easy`."""


def told(tick: Tick, stage: str) -> Callable[[Progress], None]:
    """What a training calls after each step, so that ``tick`` shows it as ``stage``."""
    return lambda progress: tick(stage, progress.done, progress.steps)


def watched(learn: Callable[[Callable[[Progress], None]], Model]) -> Model:
    """What ``learn`` gives, called with what shows its progress in a bar of its own."""
    from interp.cli.progress import bars

    with bars() as tick:
        return learn(told(tick, "training"))
