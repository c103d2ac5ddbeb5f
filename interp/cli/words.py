"""Texts of the command line into values, once, at the edge. No torch: what is mistyped is told before anything loads."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.core.unit import UnitPattern
from interp.errors import InterpError, UnknownName, nearest

if TYPE_CHECKING:
    from interp.featurevis.schedule import Schedule

LEAST_SIDE, MOST_SIDE = 8, 4096
EMBEDDED = "embedded"
_SIZE = re.compile(r"(?P<rows>\d{1,9})(?:[x\u00d7](?P<cols>\d{1,9}))?")


@dataclass(frozen=True)
class Asked:
    """The model that was named, and the words that say what to look at in it."""

    model: str
    targets: tuple[str, ...]


def asked(words: Sequence[str], model: str | None, example: str) -> Asked:
    """Tell the model among the positionals from what to look at.

    With ``--model`` all words are targets. Without, the first is the model unless it has the form of units
    (`UnitPattern.looks_like`: ``layer:3``, ``layer:0-15``, ``layer:*``, ``layer:top8``), and then it is the embedded one.
    Raises InterpError where nothing is left to look at; ``example`` is such a target.
    """
    if model is not None:
        found = Asked(model, tuple(words))
    elif words and not UnitPattern.looks_like(words[0]):
        _check_first(words[0])
        found = Asked(words[0], tuple(words[1:]))
    else:
        found = Asked(EMBEDDED, tuple(words))
    if not found.targets:
        taken = f": '{found.model}' is taken for the model" if words else ""
        raise InterpError(
            f"no unit is named{taken}; write for example `interp visualize {EMBEDDED} {example}` (`interp layers MODEL` lists the layers)"
        )
    return found


def check_units(found: Asked, words: Sequence[str]) -> None:
    """Raise InterpError where a target has not the form of units, or the model was not written first."""
    for target in found.targets:
        if UnitPattern.looks_like(target):
            UnitPattern.parse(target)
            continue
        if words and words[0] != found.model and ":" not in target:
            others = " ".join(word for word in words if word != target)
            raise InterpError(f"'{target}' is no unit, such as '{target}:0-7'; if it is the model, write it first: {target} {others}")
        UnitPattern.parse(target)


def check_layers(found: Asked, objective: str) -> None:
    """Raise InterpError where a target names channels, but ``objective`` looks at whole layers."""
    for target in found.targets:
        if UnitPattern.looks_like(target):
            layer = target.rpartition(":")[0]
            raise InterpError(f"--objective {objective} looks at a whole layer: write '{layer}' for '{target}', after the model")


def choice(option: str, text: str, choices: Iterable[str]) -> str:
    """``text`` as one of ``choices`` writes it, in whatever case it was typed; raises UnknownName with the nearest."""
    known = list(choices)
    found = next((c for c in known if c.lower() == text.strip().lower()), None)
    if found is None:
        raise UnknownName(f"{option} has no choice '{text}': {nearest(text, known) or 'there are ' + ', '.join(known)}")
    return found


def size_of(text: str, option: str = "--size") -> tuple[int, int]:
    """``128`` or ``96x128`` -> (rows, cols) in pixels, 8 to 4096 each."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InterpError(f"{option} '{text}' is no size: write pixels as 128, or ROWSxCOLS as 96x128")
    size = (int(match["rows"]), int(match["cols"] or match["rows"]))
    if min(size) < LEAST_SIDE:
        raise InterpError(f"{option} {text} is too small: give at least {LEAST_SIDE} px")
    if max(size) > MOST_SIDE:
        raise InterpError(f"{option} {text} is too large: give at most {MOST_SIDE} px")
    return size


def schedule_of(text: str, option: str, what: str) -> Schedule:
    """``0.5``, or ``0.5:0.1`` for a number that goes evenly from the first to the last step; 0 or more."""
    from interp.featurevis.schedule import Linear

    numbers = [_number(part, option, text) for part in text.split(":")]
    if len(numbers) > 2 or not all(0 <= n < math.inf for n in numbers):
        raise InterpError(f"{option} {text} is no {what}: give 0 or more, or FROM:TO such as 0.1:0.01")
    return numbers[0] if len(numbers) == 1 else Linear(numbers[0], numbers[1])


def at_least(least: int, value: int, option: str) -> int:
    """``value``; raises InterpError where it is too small."""
    if value < least:
        raise InterpError(f"{option} {value} is too small: give {least} or more")
    return value


def _number(part: str, option: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise InterpError(f"{option} '{text}' is no number: write 0.1, or 0.1:0.01 from the first step to the last") from None


def _check_first(word: str) -> None:
    """Raise InterpError where the first word has a colon but is neither units nor a file's function."""
    before, colon, _ = word.rpartition(":")
    if colon and not before.endswith(".py"):
        UnitPattern.parse(word)
