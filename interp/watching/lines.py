"""``scalars.jsonl``: the numbers of every step and what happened on the way, a line of JSON each, read while it is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from interp.errors import BadFile

NAME = "scalars.jsonl"
BEGUN, PASSED_OVER, CLOSED = "begun", "passed over", "closed"
"""Events: a session begins; a record that was due is left out for the budget's sake (the first of several in a row); the end."""


class Numbers(NamedTuple):
    """What the user gave at a ``step``, ``seconds`` into the training; ``epoch``: how many are over, where this is the end of one."""

    step: int
    seconds: float
    values: Mapping[str, float]
    epoch: int | None = None


@dataclass(frozen=True)
class Event:
    """One of `BEGUN`, `PASSED_OVER`, `CLOSED`, with what else its line says."""

    kind: str
    step: int
    seconds: float
    said: Mapping[str, object]


@dataclass(frozen=True)
class Lines:
    """All lines that were not superseded, in order; ``starts``: the step that each session began at, the first session first."""

    numbers: tuple[Numbers, ...] = ()
    events: tuple[Event, ...] = ()
    starts: tuple[int, ...] = ()

    def superseded(self, step: int, session: int) -> bool:
        """Whether a later session (counted from 1) began before this step of that session, and so made it again."""
        return any(start < step for start in self.starts[session:])


_encoded = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def text_of(event: Mapping[str, Any]) -> str:
    """The line of an event, with the newline."""
    return _encoded(event) + "\n"


def text_of_numbers(given: Numbers) -> str:
    """Their line, with the newline; numbers that are not finite become null."""
    line: dict[str, Any] = {"step": given.step, "seconds": round(given.seconds, 6)}
    if given.epoch is not None:
        line["epoch"] = given.epoch
    line["numbers"] = {name: value if math.isfinite(value) else None for name, value in given.values.items()}
    return _encoded(line) + "\n"


def read(folder: Path) -> Lines:
    """The lines of a recording. A last line without its newline is being written, and passed over; BadFile where another is damaged."""
    path = folder / NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Lines()
    except OSError as error:
        raise BadFile(f"`{path}` cannot be read: {error.strerror}") from None
    numbers: list[tuple[int, Numbers]] = []
    events: list[Event] = []
    starts: list[int] = []
    for place, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            found = _of(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(f"`{path}`, line {place}, is damaged: {type(error).__name__}: {' '.join(str(error).split())[:100]}") from None
        if isinstance(found, Event):
            events.append(found)
            starts += [found.step] if found.kind == BEGUN else []
        else:
            numbers.append((len(starts), found))
    lines = Lines((), tuple(events), tuple(starts))
    return Lines(tuple(one for session, one in numbers if not lines.superseded(one.step, session)), lines.events, lines.starts)


def _of(found: dict[str, Any]) -> Numbers | Event:
    kind, step, seconds = found.pop("event", None), int(found.pop("step")), float(found.pop("seconds"))
    if kind is not None:
        return Event(str(kind), step, seconds, found)
    values = {str(name): math.nan if value is None else float(value) for name, value in found.get("numbers", {}).items()}
    return Numbers(step, seconds, values, found.get("epoch"))


def whole_bytes(folder: Path) -> int:
    """How many bytes of the file are whole lines; 0 where there is none."""
    path = folder / NAME
    return path.read_bytes().rfind(b"\n") + 1 if path.is_file() else 0
