"""Completeness: attributions that share out a difference of scores should add up to it."""

from __future__ import annotations

from interp.core.method import Degeneration, Fault

MEASURE = "completeness gap"

# A map that loses or invents more than a twentieth of what it shares out says so.
_TOLERATED = 0.05

# Below this a difference of scores is no difference, and only attributions of zero are complete.
_LEAST = 1e-12


def gap(shared: float, difference: float) -> float:
    """|shared - difference| / |difference|: 0 where all attributions add up to the difference of the scores."""
    return abs(shared - difference) / max(abs(difference), _LEAST)


def measures(found: float) -> tuple[tuple[str, float], ...]:
    """The gap as a Heatmap's measure."""
    return ((MEASURE, found),)


def doubts(found: float, cause: str) -> tuple[Degeneration, ...]:
    """`Fault.INCOMPLETE` for a gap above 5% (or not finite); ``cause`` says in words what makes it and what to do."""
    if found <= _TOLERATED:
        return ()
    size = f"{found:.0%}" if found < 10 else f"{found:.2g} times its size"
    sentence = f"the attributions miss the difference of the scores that they share out by {size}: {cause}"
    return (Degeneration(Fault.INCOMPLETE, f"completeness gap {found:.0%}" if found < 10 else "completeness gap > 1000%", sentence),)
