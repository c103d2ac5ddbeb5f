"""What two runs say of themselves side by side: title, question and lead, and of each figure caption, alt text and place.

A text may quote numbers, which another machine makes a little different: there it holds where nothing else differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict

from interp.proof.gap import SAME, Gap, measured
from interp.proof.pair import Pair
from interp.proof.verdict import Item
from interp.runs.manifest import MANIFEST, Manifest
from interp.runs.tolerance import Tolerance, limit_of

_NUMBER = re.compile(r"[-\u2212]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")


def text_items(pair: Pair) -> Iterator[Item]:
    """Of each text that differs, as ``manifest.json/about/lead``, and of each place of a figure; figures of one run only are missed."""
    first, second = _told(pair.first), _told(pair.second)
    for name in sorted(first.keys() & second.keys()):
        gap = text_gap(first[name], second[name], _tolerance(pair, name))
        if gap is not SAME:
            yield pair.judged(name, gap, default=Tolerance.DERIVED)


def _tolerance(pair: Pair, name: str) -> Tolerance:
    """Numbers quoted of a figure may be as far as the figure's own where those are optimized; its place is no such number."""
    _, kind, told = name.split("/", 2)
    figure = pair.tolerance(f"figures/{told.rpartition('/')[0]}") if kind == "figures" else Tolerance.DERIVED
    if told.endswith("/place"):
        return Tolerance.EXACT
    optimized = figure in (Tolerance.OPTIMIZED, Tolerance.TOLD)
    return pair.tolerance(name, figure if optimized else Tolerance.DERIVED)


def text_gap(first: str, second: str, tolerance: Tolerance = Tolerance.DERIVED) -> Gap:
    """Of two texts, ``first`` the recorded one: numbers may be a share of themselves away, or one of the last digit after a point.

    That digit is rounded, so that it may turn where the number hardly does.
    """
    if first == second:
        return SAME
    at = next((k for k, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), min(len(first), len(second)))
    words = f"{_part(second, at)}, {_part(first, at)} was recorded"
    ones, others = _NUMBER.findall(first), _NUMBER.findall(second)
    if tolerance is Tolerance.EXACT or _NUMBER.sub("0", first) != _NUMBER.sub("0", second) or len(ones) != len(others):
        return Gap(False, None, words)
    if tolerance is Tolerance.TOLD:
        return Gap(True, None, f"{words}; not judged")
    gaps = [_number_gap(one, other, limit_of(tolerance)) for one, other in zip(ones, others, strict=True) if one != other]
    holds = all(gap.holds for gap in gaps)
    return Gap(holds, max((gap.share for gap in gaps if gap.share is not None), default=None), words)


def _number_gap(one: str, other: str, limit: float) -> Gap:
    digit = 10.0 ** -len(one.partition(".")[2]) if "." in one and "e" not in one.lower() else 0.0
    away = abs(_value(other) - _value(one))
    # 0.3 - 0.2 is a little more than 0.1 in binary.
    return measured(away, max(limit * abs(_value(one)), digit) * (1 + 1e-9), "")


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-"))


def _part(text: str, at: int) -> str:
    """What stands around the place ``at``, in quotes."""
    begin = max(0, at - 20)
    return repr(f"{'...' if begin else ''}{text[begin : at + 30]}{'...' if len(text) > at + 30 else ''}")


def _told(manifest: Manifest) -> dict[str, str]:
    found = {f"{MANIFEST}/about/{key}": text for key, text in asdict(manifest.about).items()}
    for stem, entry in manifest.figures.items():
        told = {"alt": entry.alt, "caption": entry.caption, "place": str(entry.place)}
        found |= {f"{MANIFEST}/figures/{stem}/{key}": text for key, text in told.items()}
    return found
