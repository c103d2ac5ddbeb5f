"""Numbers as a page shows them."""

from __future__ import annotations

import math
import re


def number(value: float | int | str | None, decimals: int | None = None) -> str:
    """A number in four significant digits, or with so many ``decimals``; whole ones with commas; words as they are."""
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "none"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if decimals is not None:
        return f"{value:.{decimals}f}" if abs(value) < 1e6 else f"{value:.3g}"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.1f}" if abs(value) >= 10_000 else f"{value:.4g}"


def pieces(text: str) -> tuple[tuple[bool, str], ...]:
    """The parts of a sentence, each with whether it is code, which stands between a pair of backticks; no part is empty."""
    found = re.split(r"`([^`]+)`", text)
    return tuple((place % 2 == 1, part) for place, part in enumerate(found) if part)


def extent(channels: int, total: int | None) -> str:
    """``512 channels``, or ``16 of 512 channels`` where not all of them have pages."""
    return counted(channels, "channel") if total in (None, channels) else f"{channels:,} of {counted(total or channels, 'channel')}"


def counted(count: int, word: str) -> str:
    """``1 unit``, ``2,048 units``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
