"""The two things a laid-out figure is made of: boxes, and lines of text. All in inches.

`x` grows to the right and `y` downwards from the figure's top-left corner.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interp.figures.text import BASELINE, Block, line_height

INK, SOFT, WARNING = "#000000", "#555555", "#B3261E"


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """One line of text. `x` is its left, centre or right; `y` its baseline.

    An upright line reads from bottom to top: `x` is its left edge and `y` its middle. A boxed
    line stands on white, to be read over a picture.
    """

    text: str
    x: float
    y: float
    size: float
    align: str = "left"
    bold: bool = False
    color: str = INK
    upright: bool = False
    boxed: bool = False


def block_lines(block: Block, x: float, top: float, align: str = "left", color: str = INK, boxed: bool = False) -> Iterator[Line]:
    """A block's lines, the first starting at `top`."""
    for index, text in enumerate(block.lines):
        baseline = top + index * line_height(block.size) + BASELINE * block.size / 72
        yield Line(text, x, baseline, block.size, align, block.bold, color, boxed=boxed)


def upright_lines(block: Block, left: float, middle: float, color: str = INK) -> Iterator[Line]:
    """A block's lines turned by 90 degrees, the first one leftmost."""
    for index, text in enumerate(block.lines):
        yield Line(text, left + index * line_height(block.size), middle, block.size, color=color, upright=True)


def number(value: float) -> str:
    """Two significant digits (whole numbers below 10,000 in full), a true minus sign, no padded exponent."""
    if float(value).is_integer() and abs(value) < 10_000:
        return f"{value + 0.0:.0f}".replace("-", "\N{MINUS SIGN}")
    mantissa, _, exponent = f"{value:.2g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", "\N{MINUS SIGN}")


def marks(values: Sequence[float]) -> tuple[str, ...]:
    """The numbers of an axis, as `number` writes them; all with more decimals where that would say another place than the one meant."""
    said = tuple(map(number, values))
    step = min((abs(b - a) for a, b in itertools.pairwise(values)), default=0.0)
    if all(abs(float(text.replace("\N{MINUS SIGN}", "-")) - value) <= 0.01 * step for text, value in zip(said, values, strict=True)):
        return said
    decimals = next((n for n in range(7) if all(abs(round(value, n) - value) <= 0.01 * step for value in values)), None)
    if decimals is None:  # steps of millionths, far from zero: as many digits as tell them apart
        return tuple(f"{value:.9g}".replace("-", "\N{MINUS SIGN}") for value in values)
    return tuple(f"{value + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in values)
