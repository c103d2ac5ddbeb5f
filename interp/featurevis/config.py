"""How an image is optimized, as one frozen value: what the manifest records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType

from interp.errors import InterpError
from interp.featurevis.objective import Objective
from interp.featurevis.optimizer import BRISK, Optimizer
from interp.featurevis.param import FOURIER, ImageParam
from interp.featurevis.schedule import Cosine, Linear, Schedule, check
from interp.featurevis.transform import STANDARD, Transform


class Precision(StrEnum):
    """In what the network computes. ``AUTO``: half the bits where the hardware has it and the score holds, else float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


_Kind = tuple[tuple[type, ...], str]
"""The types a value may have, and what to give."""

_COUNT: _Kind = ((int,), "a whole number, such as 50")
_NUMBER: _Kind = ((int, float), "a number, such as 0.01")
_SCHEDULE: _Kind = ((int, float, Linear, Cosine), "a number, a Linear or a Cosine, such as Cosine(0.2)")


@dataclass(frozen=True)
class Weighted:
    """A regularizer (any objective) and its weight, in units of the objective that is optimized."""

    objective: Objective
    weight: Schedule

    def __post_init__(self) -> None:
        if not isinstance(self.objective, Objective):
            raise InterpError(f"the objective of Weighted is {self.objective!r}: give an Objective, such as L2()")
        _check_type("weight of Weighted", self.weight, *_SCHEDULE)
        check(self.weight, f"the weight of {type(self.objective).__name__}", "the weight of a penalty, 0 or more")


@dataclass(frozen=True)
class Convergence:
    """Stop an image once the mean score of the last ``window`` steps is less than ``gain`` (a share) above that of the window before."""

    window: int = 50
    gain: float = 0.01

    def __post_init__(self) -> None:
        _check_type("window of Convergence", self.window, *_COUNT)
        _check_type("gain of Convergence", self.gain, *_NUMBER)
        if self.window < 1:
            raise InterpError(f"the `window` of Convergence is {self.window}: give at least 1 step, such as 50")
        if not 0 <= self.gain < math.inf:
            raise InterpError(f"the `gain` of Convergence is {self.gain}: give a share, 0 or more, such as 0.01")


# Without these, a wrong type would end in the middle of the ascent, as an error about something else.
_KINDS: dict[str, _Kind] = {
    "steps": ((int,), "a whole number, such as 128"),
    "size": ((tuple, NoneType), "(rows, cols) in pixels, such as (224, 224), or None"),
    "rate": _SCHEDULE,
    "param": ((ImageParam,), "an ImageParam, such as Fourier()"),
    "transform": ((Transform,), "a Transform, such as preset('lucid')"),
    "views": ((int,), "a whole number, such as 1"),
    "optimizer": ((Optimizer,), "an Optimizer, such as Adam()"),
    "regularizers": ((tuple,), "a tuple of Weighted, such as (Weighted(L2(), 0.1),)"),
    "smoothing": _SCHEDULE,
    "precision": ((Precision,), "a Precision, such as Precision.AUTO"),
    "converged": ((Convergence, NoneType), "a Convergence, such as Convergence(window=50), or None"),
    "films": ((int,), "a whole number, 0 for none"),
    "best": ((bool,), "True or False"),
    "batch": ((int, NoneType), "a whole number, such as 8, or None"),
    "memory": ((int, float, NoneType), "a number of GiB, such as 2.0, or None"),
}

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
    the device and the ``memory`` (GiB) that a step may take, None for 2 on a CPU and half of all that an accelerator has.
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
        _check_types(self)
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


def _check_types(config: AscentConfig) -> None:
    for name, kind in _KINDS.items():
        _check_type(name, getattr(config, name), *kind)
    size, expected = config.size, _KINDS["size"][1]
    if size is not None and (len(size) != 2 or not all(_is(side, (int,)) for side in size)):
        raise InterpError(f"`size` is {size!r}: give {expected}")
    for item in config.regularizers:
        if not isinstance(item, Weighted):
            raise InterpError(f"`regularizers` has {item!r}: give {_KINDS['regularizers'][1]}")


def _check_type(name: str, value: object, types: tuple[type, ...], expected: str) -> None:
    if not _is(value, types):
        raise InterpError(f"`{name}` is {value!r}: give {expected}")


def _is(value: object, types: tuple[type, ...]) -> bool:
    # True and False are no counts.
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
