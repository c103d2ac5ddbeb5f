"""Small charts as inline SVG: a histogram and a tuning curve, with axes that carry numbers and units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from interp.site.microscope.content import Curve, Histogram
from interp.site.microscope.wording import number

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 22, 36


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, at a place in pixels of the chart."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """``line`` and ``area`` are SVG paths ("" for none), ``dots`` places of measured points; ``alt`` says what is seen in words."""

    alt: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    across_label: str
    up_label: str
    line: str = ""
    area: str = ""
    dots: tuple[tuple[float, float], ...] = ()
    zero: float | None = None

    @property
    def left(self) -> int:
        return _LEFT

    @property
    def right(self) -> int:
        return WIDTH - _RIGHT

    @property
    def top(self) -> int:
        return _TOP

    @property
    def bottom(self) -> int:
        return HEIGHT - _BOTTOM


def of_curve(curve: Curve) -> Chart:
    """Answers over positions. Answers that are no numbers are left out of the line."""
    points = [(p, v) for p, v in zip(curve.positions, curve.values, strict=True) if math.isfinite(p) and math.isfinite(v)]
    if not points:
        return Chart(f"Tuning to {curve.family}: no answer is a number", (), (), f"{curve.family} ({curve.unit})", "activation")
    low, high = min(min(v for _, v in points), 0.0), max(max(v for _, v in points), 0.0)
    up, across = _Scale(low, high, HEIGHT - _BOTTOM, _TOP), _Scale(points[0][0], points[-1][0], _LEFT + 6, WIDTH - _RIGHT - 6)
    dots = tuple((_round(across(p)), _round(up(v))) for p, v in points)
    best, worst = max(points, key=lambda point: point[1]), min(points, key=lambda point: point[1])
    alt = (
        f"Tuning to {curve.family}: strongest at {number(best[0])} {curve.unit} ({number(best[1])}), "
        f"weakest at {number(worst[0])} {curve.unit} ({number(worst[1])})"
    )
    line = "M" + "L".join(f"{left:g} {top:g}" for left, top in dots)
    return Chart(
        alt,
        _ticks(points[0][0], points[-1][0], 5, across),
        _ticks(low, high, 4, up),
        f"{curve.family} ({curve.unit})" if curve.unit else curve.family,
        "activation",
        line=line,
        dots=dots if len(dots) <= 40 else (),
        zero=_round(up(0.0)) if low < 0 < high else None,
    )


def of_histogram(histogram: Histogram) -> Chart:
    """Counts as bars on a logarithmic scale: one bin with nearly all values, as behind a ReLU, leaves the others to be seen."""
    edges, counts = histogram.edges, histogram.counts
    most = max(*counts, 1)
    decades = math.log10(most) + 0.3  # one count is seen too
    across = _Scale(edges[0], edges[-1], _LEFT, WIDTH - _RIGHT)

    def up(count: int) -> float:
        share = (math.log10(count) + 0.3) / decades if count > 0 else 0.0
        return _round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP))

    base = HEIGHT - _BOTTOM
    steps = "".join(f"V{up(count):g}H{_round(across(edge)):g}" for count, edge in zip(counts, edges[1:], strict=True))
    area = f"M{_LEFT} {base}{steps}"
    fullest = max(range(len(counts)), key=lambda index: counts[index])
    total = sum(counts)
    alt = (
        f"Histogram of {total:,} activations from {number(edges[0])} to {number(edges[-1])}, counts on a logarithmic scale; "
        f"the fullest bin, from {number(edges[fullest])} to {number(edges[fullest + 1])}, holds {counts[fullest] / max(total, 1):.1%}"
    )
    powers = range(int(math.log10(most)) + 1)
    step = max(1, math.ceil(len(powers) / 4))
    return Chart(
        alt,
        _ticks(edges[0], edges[-1], 5, across),
        tuple(Tick(up(10**power), _short(10**power)) for power in powers if power % step == 0),
        "activation",
        "count (log)",
        area=f"{area}V{base}z",
    )


def _ticks(low: float, high: float, most: int, scale: _Scale) -> tuple[Tick, ...]:
    """Marks at round numbers, all with as many decimals as the finest of them needs."""
    values = ticks(low, high, most)
    decimals = max((len(f"{value:.6g}".partition(".")[2]) for value in values if "e" not in f"{value:.6g}"), default=0)
    return tuple(Tick(_round(scale(value)), f"{value:.{decimals}f}" if "e" not in f"{value:.6g}" else f"{value:.2g}") for value in values)


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` round numbers from ``low`` to ``high``: multiples of 1, 2, 2.5, 5 times a power of ten, of 15, 30, 45 degrees."""
    if not high > low:
        return [low]
    if high - low >= 90 and high - low <= 360:
        steps: Sequence[float] = (15.0, 30.0, 45.0, 60.0, 90.0, 120.0)
    else:
        scale = 10.0 ** math.floor(math.log10((high - low) / most))
        steps = [step * scale for step in (1, 2, 2.5, 5, 10, 20)]
    for step in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [round(float(index * step), 12) for index in range(first, last + 1)]
    return [low, high]


class _Scale:
    """From values to pixels; a range without extent lies in the middle."""

    def __init__(self, low: float, high: float, start: int, end: int) -> None:
        self._low, self._extent, self._start, self._length = low, high - low, start, end - start

    def __call__(self, value: float) -> float:
        share = (value - self._low) / self._extent if self._extent else 0.5
        return self._start + share * self._length


def _round(value: float) -> float:
    return round(value, 1)


def _short(value: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value // size}{letter}"
    return str(value)
