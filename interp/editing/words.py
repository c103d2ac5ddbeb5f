"""Edits as they are typed, parsed once: ``layer:3``, ``layer:7=0.5``, ``layer:3=layer:5``, ``layer:3=new``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from interp.core.model import Model, Strengths
from interp.core.unit import Unit, UnitPattern
from interp.editing.edits import Ablate, Edit, Fresh, Kind, Replace, Scale
from interp.errors import InterpError, Unsupported

FRESH = "new"
_FORMS = {Kind.SCALE: "'layer:7=0.5'", Kind.REPLACE: f"'layer:3=layer:5', or 'layer:3={FRESH}' for a fresh draw"}


@dataclass(frozen=True)
class Wanted:
    """An edit before the model is there: ``units`` is a pattern (``layer:0-7``, ``layer:top4``), ``factor`` and ``by`` what follows ``=``.

    ``by`` of None stands for a fresh draw, where the kind is `Kind.REPLACE`.
    """

    kind: Kind
    units: str
    factor: float = 0.0
    by: Unit | None = None

    @classmethod
    def parse(cls, text: str, kind: Kind) -> Wanted:
        """``text`` as that kind of edit is written; raises InterpError where it is not."""
        units, equals, value = (part.strip() for part in text.partition("="))
        if re.search(r":head\d*(-\d+)?$", units):
            raise Unsupported(
                f"'{units}' names an attention head, which is no unit of a layer: name channels, such as '{units.partition(':')[0]}:0-7'"
            )
        if kind is Kind.ABLATE:
            if equals:
                raise InterpError(f"'{text}' is no unit to ablate: write '{units}'; factors go with scale, other units with replace")
            UnitPattern.parse(units)
            return cls(kind, units)
        if not equals or not value:
            raise InterpError(f"'{text}' does not say what to {kind} {'it by' if kind is Kind.REPLACE else 'by'}: write {_FORMS[kind]}")
        UnitPattern.parse(units)
        if kind is Kind.SCALE:
            return cls(kind, units, _factor(value, text))
        return cls(kind, units, by=None if value == FRESH else _source(value, text))

    def edits(self, model: Model, seed: int, strengths: Strengths | None = None, means: Mapping[Unit, float] | None = None) -> list[Edit]:
        """An edit of each unit named; ``strengths`` ranks channels for ``top4``. Units to ablate go to their ``means`` where given."""
        units = model.units(self.units, strengths)
        match self.kind:
            case Kind.ABLATE:
                return [Ablate(unit, 0.0 if means is None else means[unit]) for unit in units]
            case Kind.SCALE:
                return [Scale(unit, self.factor) for unit in units]
            case Kind.REPLACE:
                return [Replace(unit, self.by or Fresh(seed)) for unit in units]


def _factor(value: str, text: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        raise InterpError(f"'{value}' in '{text}' is no factor: write {_FORMS[Kind.SCALE]}") from None
    if not math.isfinite(factor):
        raise InterpError(f"the factor '{value}' in '{text}' is not finite: write a number, as in {_FORMS[Kind.SCALE]}")
    return factor


def _source(value: str, text: str) -> Unit:
    try:
        return Unit.parse(value)
    except InterpError:
        raise InterpError(f"'{value}' in '{text}' is no unit to replace by: write {_FORMS[Kind.REPLACE]}") from None
