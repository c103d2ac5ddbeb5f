"""What is said of a repeated run: of each array, number, figure and file, and of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """From best to worst."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    UNCHECKED = "cannot be checked"
    DIFFERENT = "different"

    @property
    def holds(self) -> bool:
        return self in (Verdict.IDENTICAL, Verdict.WITHIN)


@dataclass(frozen=True)
class Item:
    """One thing that was compared.

    ``name`` is that of an array, ``metrics/KEY/...``, ``figures/STEM`` or the path of a file. ``difference`` is the largest one
    found as a share of what its tolerance allows (1 is just allowed), None where there is no number; ``detail`` says it in words.
    """

    name: str
    verdict: Verdict
    difference: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Compared:
    """All that was compared of two runs; ``why`` says why bits may differ (see `interp.runs.machine.differences`), () where not."""

    items: tuple[Item, ...]
    why: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return worst([item.verdict for item in self.items])

    @property
    def largest(self) -> Item | None:
        """The item with the largest difference; where nothing differs by a number but all holds, the first that is not identical."""
        numbered = [item for item in self.items if item.difference is not None]
        told = self.of(Verdict.WITHIN) if self.verdict is Verdict.WITHIN else ()
        return max(numbered, key=lambda item: item.difference or 0.0, default=next(iter(told), None))

    def of(self, verdict: Verdict) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.verdict is verdict)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of them; `Verdict.IDENTICAL` of none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.IDENTICAL)
