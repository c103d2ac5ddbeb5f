"""How lines are told apart: by colour, then by dashes; controls are grey and always dashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interp.figures.palette import LINES

QUIET = "#777777"
_DASHES = ((), (4.5, 1.6))  # in line widths; the first colours come whole, then again dashed
_MARKS = ("o", "s")
_CONTROL_DASHES = ((1.2, 1.2), (4.0, 2.0), (6.0, 1.5, 1.2, 1.5), (9.0, 2.5), (3.0, 1.2, 1.2, 1.2, 1.2, 1.2))


@dataclass(frozen=True)
class Stroke:
    """A line's colour, its dashes (none: whole) in line widths, and the mark of its points."""

    color: str
    dashes: tuple[float, ...]
    mark: str


def strokes(count: int, controls: Sequence[bool]) -> tuple[Stroke, ...]:
    """One for each line; the methods' do not depend on where the controls stand among them."""
    found: list[Stroke] = []
    methods = marked = 0
    for index in range(count):
        if controls and controls[index]:
            found.append(Stroke(QUIET, _CONTROL_DASHES[marked % len(_CONTROL_DASHES)], ""))
            marked += 1
        else:
            turn = methods // len(LINES) % len(_DASHES)
            found.append(Stroke(LINES[methods % len(LINES)], _DASHES[turn], _MARKS[turn]))
            methods += 1
    return tuple(found)
