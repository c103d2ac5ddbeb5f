"""What the page says in words: how the training is getting on, each record, each view. As JSON; it holds no markup."""

from __future__ import annotations

import json
import math
import time
from enum import StrEnum
from itertools import pairwise

import numpy as np

from interp.report.live import curves
from interp.report.live.following import Follower, Seen
from interp.report.live.views import View, probes_of
from interp.runs.words import time_taken, visible
from interp.watching import Header, Record
from interp.watching.looking import SCORES, SILENT, UNIT_SCORES

_SILENCE, _GAPS = 60.0, 5
"""Seconds without anything new, and how many of the last gaps between records, after which a training counts as silent."""


class State(StrEnum):
    """How a training is: no recording yet; it runs; nothing has come for long; closed as it should be; ended by an error; unreadable."""

    WAITING = "waiting"
    RUNNING = "running"
    SILENT = "silent"
    CLOSED = "closed"
    ENDED = "ended"
    DAMAGED = "damaged"


def state(follower: Follower, instance: str) -> str:
    """``/state.json``: in a few words how the training is, and the names of what may be asked for anew.

    ``records`` and ``numbers`` change when there are others, ``instance`` with every server. ``busy``: more is known in a moment.
    """
    seen, tail = follower.look(), follower.tail
    newest = follower.newest
    age = None if newest is None else max(0.0, time.time() - newest)
    kind, said = _how(follower, seen, age)
    return _text(
        {
            "folder": follower.folder.name or str(follower.folder),
            "state": kind.value,
            "said": said,
            "problem": follower.problem,
            "facts": _facts(follower, seen, age) if seen.header is not None else [],
            "records": f"{instance}-{seen.number}",
            "numbers": f"{instance}-{seen.identity}-{tail.read}-{len(tail.starts)}",
            "busy": seen.unread > 0,
        }
    )


def records(seen: Seen, instance: str) -> str:
    """``/records.json``: all moments of the slider, the views with their scales, and the statistics of the filters."""
    header = seen.header
    if header is None:
        return _text({"records": f"{instance}-{seen.number}", "identity": "", "moments": [], "views": [], "probes": [], "statistics": []})
    return _text(
        {
            "records": f"{instance}-{seen.number}",
            "identity": seen.identity,
            "moments": [_moment(seen, header, record) for record in seen.records],
            "views": [_view(seen, number, view) for number, view in enumerate(seen.views)],
            "probes": [{"number": probe, "name": header.probes[probe].name} for probe in probes_of(header)],
            "statistics": curves.of_filters(header, seen.records),
        }
    )


def numbers(follower: Follower) -> str:
    """``/numbers.json``: the curves of what the user gave at each step."""
    return _text({"charts": curves.of_numbers(follower.tail.columns)})


def _how(follower: Follower, seen: Seen, age: float | None) -> tuple[State, str]:
    if seen.header is None:
        if follower.problem:
            return State.DAMAGED, "What is in the folder cannot be read. The page tries again."
        return State.WAITING, f"Waits for a recording: {follower.waiting or 'the folder is being read'}."
    closed, step = follower.tail.closed, _step(follower, seen)
    if closed is not None and closed.get("error") is not None:
        return State.ENDED, f"Ended by {closed['error']} at step {step:,}."
    if closed is not None:
        return State.CLOSED, f"Closed at step {step:,}."
    first = "" if seen.records else " No record yet."
    if age is not None and age > max(_SILENCE, _GAPS * _gap(seen)):
        return State.SILENT, f"Not closed, and nothing new for {time_taken(age)}: a long step, or the process is gone.{first}"
    return State.RUNNING, f"Runs, step {step:,}.{first}"


def _gap(seen: Seen) -> float:
    """The longest time between two of the last few records."""
    times = [record.entry.seconds for record in seen.records[-_GAPS - 1 :]]
    return max((later - one for one, later in pairwise(times)), default=0.0)


def _step(follower: Follower, seen: Seen) -> int:
    return max(follower.tail.step, seen.records[-1].step if seen.records else 0)


def _facts(follower: Follower, seen: Seen, age: float | None) -> list[tuple[str, str]]:
    header, tail = seen.header, follower.tail
    assert header is not None
    latest = seen.records[-1].entry if seen.records else None
    seconds = max(tail.seconds, latest.seconds if latest else 0.0)
    found = [("Network", f"{header.network.reference}, {header.network.parameters:,} parameters"), ("Step", f"{_step(follower, seen):,}")]
    if tail.epoch is not None:
        found.append(("Epochs done", f"{tail.epoch:,}"))
    found.append(("Time", time_taken(seconds)))
    over = sum(record.entry.passed_over for record in seen.records)
    found.append(("Records", f"{len(seen.records):,}" + (f", {over:,} passed over for the budget" if over else "")))
    if latest is not None:
        share = _share(follower, latest.spent, seconds, latest.session)
        allowed = f" ({100 * header.budget:g}% allowed)" if header.budget is not None else ""
        found.append(("Recorder's share of the time", (f"{share:.1%}" if share is not None else "not known yet") + allowed))
    if len(tail.starts) > 1:
        found.append(("Sessions", f"{len(tail.starts)}, the last from step {tail.starts[-1]:,}"))
    if age is not None:
        found.append(("Newest entry", f"{time_taken(age)} ago"))
    return found


def _share(follower: Follower, spent: float, seconds: float, session: int) -> float | None:
    """What the end says of it, or else the latest record, of the time since its session began; None where that is not of this one."""
    tail = follower.tail
    if tail.closed is not None and isinstance(tail.closed.get("share"), float):
        return float(tail.closed["share"])
    passed = seconds - tail.began
    return min(1.0, spent / passed) if session == len(tail.starts) and passed > 0 else None


def _moment(seen: Seen, header: Header, record: Record) -> dict[str, object]:
    entry = record.entry
    found: dict[str, object] = {
        "id": entry.stem,
        "step": entry.step,
        "epoch": entry.epoch,
        "seconds": entry.seconds,
        "missing": dict(entry.missing),
        "explained": [_class(header, entry.targets[probe]) if probe < len(entry.targets) else "" for probe in probes_of(header)],
    }
    taken = seen.of(entry.stem)
    if taken is None:
        return found
    if taken.broken:
        found["missing"] = dict.fromkeys(("filters", "answers", "units"), taken.broken)
    if SCORES in taken.small:
        scores = taken.small[SCORES]
        found["scores"] = [_finite(scores[probe, entry.targets[probe]]) for probe in probes_of(header) if probe < len(entry.targets)]
    if UNIT_SCORES in taken.small:
        silent = taken.small.get(SILENT, np.zeros(len(header.plan.units), bool))
        found["units"] = [
            {"score": _finite(score), "silent": bool(mute)} for score, mute in zip(taken.small[UNIT_SCORES], silent, strict=False)
        ]
    return found


def _class(header: Header, target: int) -> str:
    classes = header.network.classes
    return f"{classes[target]} ({target})" if target < len(classes) else f"class {target}"


def _view(seen: Seen, number: int, view: View) -> dict[str, object]:
    step = seen.step(view)
    return {
        "number": number,
        "place": view.group.place,
        "part": view.group.part,
        "title": view.title,
        "alt": view.alt,
        "said": view.said,
        "probe": view.probe,
        "index": view.index,
        "scale": step.token,
        "limit": step.limit if view.scaled else None,
        "signed": step.signed,
    }


def _finite(value: float | np.generic) -> float | None:
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None


def _text(value: object) -> str:
    return json.dumps(_shown(value), separators=(",", ":"), allow_nan=False)


def _shown(value: object) -> object:
    """Without control characters, and marks that turn the direction of writing: names come from anyone's network."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): _shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(item) for item in value]
    return value
