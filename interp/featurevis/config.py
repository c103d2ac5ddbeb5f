"""How an image is optimized, as one frozen value: what the manifest records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from interp.errors import InterpError
from interp.featurevis.objective import Objective
from interp.featurevis.optimizer import BRISK, Optimizer
from interp.featurevis.param import FOURIER, ImageParam
from interp.featurevis.schedule import Cosine, Schedule, check
from interp.featurevis.transform import STANDARD, Transform


class Precision(StrEnum):
    """In what the network computes. ``AUTO``: half the bits where the hardware has it and the score holds, else float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclass(frozen=True)
class Weighted:
    """A regularizer (any objective) and its weight, in units of the objective that is optimized."""

    objective: Objective
    weight: Schedule

    def __post_init__(self) -> None:
        check(self.weight, f"the weight of {type(self.objective).__name__}", "the weight of a penalty, 0 or more")


@dataclass(frozen=True)
class Convergence:
    """Stop an image once the mean score of the last ``window`` steps is less than ``gain`` (a share) above that of the window before."""

    window: int = 50
    gain: float = 0.01

    def __post_init__(self) -> None:
        if self.window < 1:
            raise InterpError(f"the `window` of Convergence is {self.window}: give at least 1 step, such as 50")
        if not 0 <= self.gain < math.inf:
            raise InterpError(f"the `gain` of Convergence is {self.gain}: give a share, 0 or more, such as 0.01")


# Measured: 128 steps at this rate, ebbing away so that the image comes to rest, score as 512 of lucid's at 0.05 do.
RATE = Cosine(0.2)


@dataclass(frozen=True)
class AscentConfig:
    """How an image is optimized.

    ``steps`` of ``optimizer`` with step width ``rate`` (in the parametrization's own unit); ``size`` (rows, cols) in
    pixels, None for the model's own; ``param``: what is optimized; ``transform``: how the image is moved before each
    step, drawn anew for each of its ``views``, whose scores are averaged; ``regularizers``: penalties;
    ``smoothing``: standard deviation, in pixels, of a Gaussian blur of the image's gradient; ``precision`` of the
    network; ``converged``: when an image is left as it is before ``steps`` are over, None for never; ``films``: how
    many moments of each image are kept, 0 for none; ``best``: keep the best moment of the last third of the steps
    (by the score without transforms), not simply the last; ``batch``: images per forward, None for a size that suits
    the device and the ``memory`` (GiB) that a step may take, None for 2 on a CPU and most of what is free elsewhere.
    """

    steps: int = 128
    size: tuple[int, int] | None = None
    rate: Schedule = RATE
    param: ImageParam = FOURIER
    transform: Transform = STANDARD
    views: int = 1
    optimizer: Optimizer = BRISK
    regularizers: tuple[Weighted, ...] = ()
    smoothing: Schedule = 0.0
    precision: Precision = Precision.AUTO
    converged: Convergence | None = None
    films: int = 0
    best: bool = True
    batch: int | None = None
    memory: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InterpError(f"`steps` is {self.steps}: give at least 1, such as 128")
        if self.size is not None and min(self.size) < 1:
            raise InterpError(f"`size` is {self.size}: give (rows, cols) in pixels, such as (224, 224)")
        if self.batch is not None and self.batch < 1:
            raise InterpError(f"`batch` is {self.batch}: give at least 1 image per forward, or None")
        if self.views < 1:
            raise InterpError(f"`views` is {self.views}: give at least 1 transformed view of each image per step")
        if self.films < 0:
            raise InterpError(f"`films` is {self.films}: give how many moments of each image to keep, 0 for none")
        if self.memory is not None and not 0 < self.memory < math.inf:
            raise InterpError(f"`memory` is {self.memory}: give how many GiB a step may take, such as 2.0")
        check(self.rate, "rate", "a positive step width, such as 0.05", positive=True)
        check(self.smoothing, "smoothing", "the standard deviation of a blur in pixels, 0 for none")
