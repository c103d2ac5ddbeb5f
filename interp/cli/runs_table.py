"""Lists and comparisons of runs, as tables on the terminal and as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from interp.runs.contrast import Absent, Contrast, Pair, Part, stems
from interp.runs.listing import SHORT, Listed, Listing
from interp.runs.words import machine_name, model_of, said, size_of, time_taken, visible

if TYPE_CHECKING:
    from interp.proof.verdict import Compared, Item

# Rows of a table at most; all of them are in the JSON.
MOST_ROWS = 40
# A value longer than this is cut in a table.
LONGEST = 60


def list_table(runs: Sequence[Listed], found: Listing) -> None:
    """Print ``runs``, and below them each folder of ``found`` that cannot be read."""
    console = _console()
    if runs:
        table = _table("run", "experiment", "model", "created", "time", "machine", "figures", "size", right=("time", "figures", "size"))
        parents = any(run.manifest.parent for run in runs)
        if parents:
            table.add_column("parent")
        known = {run.manifest.identity: str(run.folder) for run in found.runs}
        for run in runs:
            manifest = run.manifest
            parent = known.get(manifest.parent or "", (manifest.parent or "")[:SHORT])
            created = datetime.fromisoformat(manifest.created).strftime("%Y-%m-%d %H:%M")
            row = [str(run.folder), manifest.experiment, model_of(manifest), created, time_taken(manifest.seconds)]
            row += [machine_name(manifest.machine), str(len(stems(manifest))), size_of(run.size), *([parent] if parents else [])]
            table.add_row(*map(visible, row))
        console.print(table)
    total = size_of(sum(run.size for run in runs))
    left = len(found.runs) - len(runs)
    tail = f"; {left} more do not match" if left else ""
    console.print(f"{_count(len(runs), 'run')}, {total}{tail}", soft_wrap=True)
    for bad in found.unreadable:
        console.print(visible(f"not listed: {bad.folder}: {bad.reason}"), soft_wrap=True)


def list_json(runs: Sequence[Listed], found: Listing) -> None:
    """Write ``runs`` and what cannot be read as JSON."""
    listed = [
        {
            "folder": run.folder.as_posix(),
            "identity": run.manifest.identity,
            "experiment": run.manifest.experiment,
            "model": model_of(run.manifest) or None,
            "created": run.manifest.created,
            "seconds": run.manifest.seconds,
            "machine": asdict(run.manifest.machine),
            "figures": list(stems(run.manifest)),
            "bytes": run.size,
            "parent": run.manifest.parent,
            "config": run.manifest.config,
        }
        for run in runs
    ]
    unreadable = [{"folder": bad.folder.as_posix(), "reason": bad.reason} for bad in found.unreadable]
    _write({"runs": listed, "unreadable": unreadable})


def compare_table(first: Listed, second: Listed, found: Contrast, compared: Compared) -> None:
    """Print what differs between two runs, part by part."""
    console = _console()
    for letter, run in (("A", first), ("B", second)):
        manifest = run.manifest
        console.print(
            visible(f"{letter}  {run.folder}  {manifest.experiment}, made {manifest.created}, {manifest.identity[:SHORT]}"), soft_wrap=True
        )
    for title, part in (("option", found.config), ("what went in", found.origin), ("machine", found.machine), ("version", found.versions)):
        _values(console, title, part)
    _metrics(console, found.metrics)
    _arrays(console, first, second, compared)
    for letter, only in (("A", found.figures_first), ("B", found.figures_second)):
        if only:
            console.print(visible(f"figures only in {letter}: {', '.join(only)}"), soft_wrap=True)


def compare_json(first: Listed, second: Listed, found: Contrast, compared: Compared) -> None:
    """Write what differs between two runs as JSON."""

    def values(part: Part, steps: bool = False) -> dict[str, object]:
        pairs = [_plain(pair) | ({"difference": pair.difference, "ratio": pair.ratio} if steps else {}) for pair in part.differing]
        return {"differing": pairs, "equal": part.equal}

    arrays = _of_arrays(first, second, compared)
    _write(
        {
            "first": {"folder": first.folder.as_posix(), "identity": first.manifest.identity},
            "second": {"folder": second.folder.as_posix(), "identity": second.manifest.identity},
            "config": values(found.config),
            "origin": values(found.origin),
            "machine": values(found.machine),
            "versions": values(found.versions),
            "metrics": values(found.metrics, steps=True),
            "arrays": {item.name: {"verdict": item.verdict.value, "detail": item.detail} for item in arrays},
            "figures": {"only_first": found.figures_first, "only_second": found.figures_second},
        }
    )


def _plain(pair: Pair) -> dict[str, object]:
    """The pair as JSON: what is absent has no key."""
    sides = {"first": pair.first, "second": pair.second}
    return {"name": pair.name} | {side: value for side, value in sides.items() if value is not Absent.ABSENT}


def _values(console: Console, title: str, part: Part) -> None:
    """The values of one part that differ, as a table; how many are equal."""
    if part.differing:
        table = _table(title, "A", "B")
        for pair in part.differing[:MOST_ROWS]:
            table.add_row(visible(pair.name), _short(pair.first), _short(pair.second))
        console.print(table)
    console.print(_summary(title, part), soft_wrap=True)


def _metrics(console: Console, part: Part) -> None:
    """The numbers that both runs have and that differ; how many stand in one only."""
    both = [pair for pair in part.differing if pair.both]
    if both:
        table = _table("metric", "A", "B", "B - A", "B / A", right=("A", "B", "B - A", "B / A"))
        for pair in both[:MOST_ROWS]:
            table.add_row(visible(pair.name), _short(pair.first), _short(pair.second), *_step(pair))
        console.print(table)
    console.print(_summary("metric", Part(tuple(both), part.equal)) + _alone(part), soft_wrap=True)


def _alone(part: Part) -> str:
    first = sum(pair.second is Absent.ABSENT for pair in part.differing)
    second = sum(pair.first is Absent.ABSENT for pair in part.differing)
    return "".join(f", {count} only in {letter}" for letter, count in (("A", first), ("B", second)) if count)


def _step(pair: Pair) -> tuple[str, str]:
    difference, ratio = pair.difference, pair.ratio
    return "" if difference is None else f"{difference:+.4g}", "" if ratio is None else f"{ratio:.4g}"


def _arrays(console: Console, first: Listed, second: Listed, compared: Compared) -> None:
    """How many arrays are identical, within tolerance, different or in one run only; the ones that differ, each in a line."""
    items = _of_arrays(first, second, compared)
    both = first.manifest.arrays.keys() & second.manifest.arrays.keys()
    counts: dict[str, int] = {}
    for item in items:
        if item.name in both:
            counts[item.verdict.value] = counts.get(item.verdict.value, 0) + 1
    for letter, own in (("A", first.manifest.arrays), ("B", second.manifest.arrays)):
        if len(own) > len(both):
            counts[f"only in {letter}"] = len(own) - len(both)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "none"
    console.print(f"arrays: {told}", soft_wrap=True)
    differing = [item for item in items if item.name in both and item.verdict.value != "identical"]
    for item in differing[:MOST_ROWS]:
        console.print(visible(f"    {item.name}: {item.verdict.value}{f': {item.detail}' if item.detail else ''}"), soft_wrap=True)
    _more(console, len(differing))


def _of_arrays(first: Listed, second: Listed, compared: Compared) -> list[Item]:
    names = first.manifest.arrays.keys() | second.manifest.arrays.keys()
    return [item for item in compared.items if item.name in names]


def _summary(title: str, part: Part) -> str:
    more = f" ({len(part.differing) - MOST_ROWS} of them not shown; --json has all)" if len(part.differing) > MOST_ROWS else ""
    plural = title if title == "what went in" or title == "machine" else f"{title}s"
    return f"{plural}: {len(part.differing) or 'none'} differ{'s' if len(part.differing) == 1 else ''}{more}, {part.equal} equal"


def _more(console: Console, count: int) -> None:
    if count > MOST_ROWS:
        console.print(f"    and {count - MOST_ROWS} more; --json has all", soft_wrap=True)


def _table(*columns: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def _console() -> Console:
    # Nothing in a name is markup.
    return Console(width=None if Console().is_terminal else 160, highlight=False, markup=False, emoji=False)


def _short(value: object) -> str:
    """A value in a cell: an absent one is a dash, a hash its first letters."""
    if value is Absent.ABSENT:
        return "\u2013"
    if value in ("", [], {}):
        return json.dumps(value)
    text = visible(f"{value:.6g}" if isinstance(value, float) else said(value))
    text = re.sub(rf"\b([0-9a-f]{{{SHORT}}})(?:[0-9a-f]{{28}}|[0-9a-f]{{52}})\b", r"\1", text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _write(value: object) -> None:
    # ASCII: a manifest may come from anyone, and hold what a terminal obeys or UTF-8 does not know.
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n")
