"""How far a value is from the recorded one, and whether another machine may be that far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """``holds``: within the tolerance of another machine. ``share``: found / allowed, None where there is no number.

    ``similar``: the structural similarity of pictures that are not judged by it.
    """

    holds: bool
    share: float | None = None
    detail: str = ""
    similar: float | None = None

    @property
    def none(self) -> bool:
        """Nothing differs at all."""
        return self.holds and self.share is None and not self.detail


SAME = Gap(True)


def measured(found: float, allowed: float, detail: str) -> Gap:
    """Of a difference ``found`` where ``allowed`` is: no share where nothing is allowed."""
    return Gap(found <= allowed, found / allowed if allowed > 0 else None, detail)


def number(value: float) -> str:
    """Three digits, as they are read best."""
    return f"{value:.3g}"
