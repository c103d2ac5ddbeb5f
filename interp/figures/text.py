"""Text that fits: measured, shrunk, wrapped, and only then shortened in its middle.

Layer names grow to `features.denseblock4.denselayer16.conv2`; a panel does not. All texts of one
role (say, the column headers) are fitted together and get one size, as in a typeset figure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font, LoadFlags

FAMILY = "DejaVu Sans"
LEADING = 1.25  # line height over font size
BASELINE = 0.97  # baseline under the line's top, over font size
SLACK = 1.04  # hinting may widen text a little beyond its measured width
_STEP = 0.5  # points by which a size shrinks

_PIECES = re.compile(r"[^\s.:/_,-]*[\s.:/_,-]+|[^\s.:/_,-]+")


@dataclass(frozen=True)
class Block:
    """Lines of one size, in points; extents in inches."""

    lines: tuple[str, ...]
    size: float
    bold: bool = False

    @property
    def height(self) -> float:
        return len(self.lines) * line_height(self.size)

    @property
    def width(self) -> float:
        return max((measure(line, self.size, self.bold) for line in self.lines), default=0.0)


@dataclass(frozen=True)
class Role:
    """How a text may be set: the wished and the least size in points, and how many lines."""

    size: float
    least: float
    lines: int
    bold: bool = False


def line_height(size: float) -> float:
    """Inches from one line to the next, for a size in points."""
    return size * LEADING / 72


def measure(text: str, size: float, bold: bool = False) -> float:
    """Width in inches, from the font's unhinted advances."""
    return sum(_advance(character, bold) for character in text) * size / 72 * SLACK


def fit(texts: list[str], width: float, role: Role, height: float = 100.0) -> list[Block]:
    """One block per text, all of one size, none wider than `width` or higher than `height`.

    Fewer lines are preferred to larger letters; what does not fit at the least size and with the
    most lines loses its middle, because both ends of a layer's name tell it apart. A text's own line
    breaks stay where the role has as many lines.
    """
    cleaned = [clean(text, role.bold, role.lines) for text in texts]
    steps = int((role.size - role.least) / _STEP)
    sizes = [*(role.size - _STEP * step for step in range(steps + 1)), role.least]
    for count in range(1, role.lines + 1):
        for size in sizes:
            # A grid repeats its labels: each is wrapped once.
            wrapped = {text: _wrap(text, width, size, role.bold) for text in dict.fromkeys(cleaned)}
            fits = all(lines is not None and len(lines) <= count for lines in wrapped.values())
            if fits and (count == 1 or count * line_height(size) <= height):
                return [Block(wrapped[text] or (), size, role.bold) for text in cleaned]
    allowed = max(1, min(role.lines, int(height / line_height(role.least) + 1e-9)))
    short = {text: _shorten(text, width, allowed, role) for text in dict.fromkeys(cleaned)}
    return [Block(short[text], role.least, role.bold) for text in cleaned]


def flow(text: str, width: float, size: float, bold: bool = False) -> Block:
    """As many lines as the text needs: for titles and captions, which must not lose a word."""
    cleaned = clean(text, bold, len(text))
    lines = _wrap(cleaned, width, size, bold, re.compile(r"\S+\s*"))
    if lines is None:  # one word alone is too long: let it break anywhere
        lines = _wrap(cleaned, width, size, bold, re.compile(r"\s+|."))
    return Block(lines or (cleaned,), size, bold)


@cache
def _font(bold: bool) -> FT2Font:
    font = FT2Font(findfont(FontProperties(family=FAMILY, weight="bold" if bold else "normal")))
    font.set_size(100, 72)  # so that a pixel is a hundredth of the font size
    return font


@cache
def _advance(character: str, bold: bool) -> float:
    return _font(bold).load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100


def clean(text: str, bold: bool = False, most: int = 1) -> str:
    """Characters that the font has, as matplotlib would warn about each other one; one line, or up to `most` of its own."""
    rows = [" ".join(row.split()) for row in text.splitlines() if row.strip()]
    return "\n".join(_known(row, bold) for row in (rows if len(rows) <= most else [" ".join(rows)]))


def _known(row: str, bold: bool) -> str:
    return "".join(c if _font(bold).get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in row)


def _wrap(text: str, width: float, size: float, bold: bool, pieces: re.Pattern[str] = _PIECES) -> tuple[str, ...] | None:
    """Lines broken where the text breaks them, and after a space or a separator; None if a piece alone is too wide."""
    lines: list[str] = []
    for row in text.split("\n"):
        begun = len(lines)
        for piece in pieces.findall(row):
            if len(lines) > begun and measure((lines[-1] + piece).rstrip(), size, bold) <= width:
                lines[-1] += piece
            elif measure(piece.rstrip(), size, bold) <= width:
                lines.append(piece)
            else:
                return None
    return tuple(line.strip() for line in lines)


def _shorten(text: str, width: float, count: int, role: Role) -> tuple[str, ...]:
    """The text in `count` lines; what does not fit is cut from each of its own lines, so that none is lost."""
    rows = text.split("\n")
    if len(rows) > count:
        rows = [" ".join(rows)]
    shown: dict[int, tuple[str, ...]] = {}
    for place in sorted(range(len(rows)), key=lambda row: measure(rows[row], 1.0)):  # the widest gets what the others leave
        shown[place] = _cut(rows[place], width, count // (len(rows) - len(shown)), role)
        count -= len(shown[place])
    return tuple(line for place in range(len(rows)) for line in shown[place])


def _cut(text: str, width: float, count: int, role: Role) -> tuple[str, ...]:
    """The text whole if it fits, else as much of both its ends as fits around an ellipsis."""

    def attempt(kept: int) -> tuple[str, ...] | None:
        head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :]
        short = text if kept == len(text) else f"{head.rstrip()}…{tail.lstrip()}"
        lines = _wrap(short, width, role.least, role.bold)
        return lines if lines is not None and len(lines) <= count else None

    low, high = 0, len(text)
    best = attempt(high)
    if best is not None:
        return best
    best = ("…",)
    while low < high - 1:
        middle = (low + high) // 2
        lines = attempt(middle)
        low, high, best = (middle, high, lines) if lines is not None else (low, middle, best)
    return best
