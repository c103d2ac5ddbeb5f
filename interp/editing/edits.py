"""What an edit is: a unit, and what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError


class Kind(StrEnum):
    """The kinds of edits, as they are written."""

    ABLATE = "ablate"
    SCALE = "scale"
    REPLACE = "replace"


@dataclass(frozen=True)
class Ablate:
    """The unit gives ``value`` for every picture at every place.

    0 is zero ablation (Morcos et al. 2018, "On the importance of single directions for generalization"; Bau et al. 2020, "Understanding
    the role of individual units in a deep neural network"). The unit's mean over pictures is mean ablation, which Morcos et al. have
    too: it takes away what the unit tells of a picture, and leaves what the next layer is used to. `mean_ablations` makes such edits.
    """

    unit: Unit
    value: float | int = 0.0

    def __post_init__(self) -> None:
        _refuse_place(self.unit)
        if not math.isfinite(self.value):
            raise InterpError(f"'{self.unit}' cannot be ablated to {self.value}: give a finite number")

    def __str__(self) -> str:
        return f"{self.unit} ablated" if self.value == 0 else f"{self.unit} ablated to {self.value:.3g}"


@dataclass(frozen=True)
class Scale:
    """What the unit gives, bias included, times ``factor``: 0 silences it, -1 turns its sign, 1 changes nothing."""

    unit: Unit
    factor: float | int

    def __post_init__(self) -> None:
        _refuse_place(self.unit)
        if not math.isfinite(self.factor):
            raise InterpError(f"'{self.unit}' cannot be scaled by {self.factor}: give a finite factor")

    def __str__(self) -> str:
        return f"{self.unit} times {self.factor:g}"


@dataclass(frozen=True)
class Fresh:
    """Weights as the layer's own initializer draws them before any training; the draw depends on the seed, the layer and the channel."""

    seed: int = 0


@dataclass(frozen=True)
class Replace:
    """The unit has the weights and bias of the unit ``by`` of the same layer, or a fresh draw.

    Only the named layer's weights: a BatchNorm behind it keeps its own factors and statistics of the channel (its own weights are
    replaced where it is named, its running statistics never). In a grouped convolution the weights come over, and look at the inputs
    of the unit's own group.
    """

    unit: Unit
    by: Unit | Fresh

    def __post_init__(self) -> None:
        _refuse_place(self.unit)
        if isinstance(self.by, Fresh):
            return
        _refuse_place(self.by)
        if self.by.layer != self.unit.layer:
            raise InterpError(f"'{self.unit}' cannot be replaced by '{self.by}': name a unit of the same layer, '{self.unit.layer}'")
        if self.by == self.unit:
            raise InterpError(f"'{self.unit}' cannot be replaced by itself: name another unit of '{self.unit.layer}'")

    def __str__(self) -> str:
        return f"{self.unit} replaced by {'a fresh draw' if isinstance(self.by, Fresh) else self.by}"


Edit = Ablate | Scale | Replace


def checked(model: Model, edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """``edits`` with units that exist, each once; raises InterpError where there are none, or two change one unit in different ways."""
    found: dict[Unit, Edit] = {}
    for edit in edits:
        model.unit(edit.unit)
        if isinstance(edit, Replace) and isinstance(edit.by, Unit):
            model.unit(edit.by)
        if found.setdefault(edit.unit, edit) != edit:
            raise InterpError(f"two edits of one unit contradict: {found[edit.unit]}, and {edit}: give one edit for each unit")
    if not found:
        raise InterpError("no edit is given: name at least one unit, such as 'layer:3'")
    return tuple(found.values())


def _refuse_place(unit: Unit) -> None:
    if unit.at is not None:
        raise InterpError(f"'{unit}' names one place, but units are edited whole: write '{unit.layer}:{unit.channel}'")
