"""Whole numbers that users give: of any library's kind, and nothing that only looks like one."""

from __future__ import annotations

import operator

from interp.errors import InterpError


def whole(name: str, value: object, least: int, advice: str) -> int:
    """``value`` as an int: one of Python's, NumPy's, or a tensor that holds a single whole number.

    Raises InterpError, which names it ``name`` and ends with ``advice``, where it is none or below ``least``.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        found = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # as NumPy's arrays and tensors of several values say it
        raise InterpError(f"`{name}` is {' '.join(repr(value).split())[:60]}: {advice}") from None
    if found < least:
        raise InterpError(f"`{name}` is {found}: {advice}")
    return found
