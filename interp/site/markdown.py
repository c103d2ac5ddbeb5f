"""Text from a run as Markdown that shows it as it is: no markup, no HTML, no link comes out of it."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]#|~$^])")
# What begins a list, a quote, a heading or a line at the start of a paragraph.
_OPENING = re.compile(r"^([-+=:]|\d+(?=[.)]))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def text(value: str) -> str:
    """`value` in one line, every character of it shown as itself; "" of nothing but space."""
    line = "".join(_ENTITIES.get(letter, letter) for letter in one_line(value))
    line = _MARKUP.sub(r"\\\1", line)
    return _OPENING.sub(_held, line)


def code(value: str) -> str:
    """`value` in one line as inline code of a table's cell; "" of nothing but space."""
    line = one_line(value).replace("|", "\\|")
    if not line:
        return ""
    fence = "`" * (_longest(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def block(value: str, language: str = "") -> str:
    """`value` in one line as a block of code."""
    fence = "`" * max(3, _longest(value) + 1)
    return f"{fence}{language}\n{one_line(value)}\n{fence}"


def one_line(value: str) -> str:
    """`value` with single spaces, without what cannot be seen, such as controls and marks that turn the direction of writing."""
    return " ".join("".join(letter if letter.isprintable() or letter.isspace() else "" for letter in value).split())


def _held(match: re.Match[str]) -> str:
    opening = match.group(1)
    return f"{opening}\\" if opening.isdigit() else f"\\{opening}"


def _longest(value: str) -> int:
    return max((len(run) for run in re.findall(r"`+", value)), default=0)
