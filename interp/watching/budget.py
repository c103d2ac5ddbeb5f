"""``Budget``: what the recorder takes of a training's time, and whether another record fits into its share."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from types import TracebackType

from interp.errors import InterpError

# Of the share: what records may take even where numbers and writers have used it up; and what numbers may cost with the writers.
_RECORDS, _WRITERS = 0.5, 0.25


class Budget:
    """Counts the seconds of ``clock`` that are spent in its ``with`` blocks, beside all that have passed since it was made.

    ``share``: the largest share of the time that may be taken; None for no limit. Half of it is for records: they are left out where
    they do not fit in what the rest leaves of the share, or in that half. Of a ``with`` within another the time counts once.
    """

    def __init__(self, share: object, clock: Callable[[], float]) -> None:
        self.share = None if share is None else _share(share)
        self.clock = clock
        self.spent = self.recording = 0.0
        self.typical = 0.0
        self._begun = self._entered = clock()
        self._depth = 0

    @property
    def elapsed(self) -> float:
        return self.clock() - self._begun

    @property
    def entered(self) -> float:
        """The ``elapsed`` at which the present ``with`` began."""
        return self._entered - self._begun

    def __enter__(self) -> None:
        if self._depth == 0:
            self._entered = self.clock()
        self._depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.spent += self.clock() - self._entered

    def recorded(self, cost: float) -> None:
        """A record took ``cost`` seconds; the next is taken to cost as much."""
        self.recording += cost
        self.typical = cost

    @property
    def affords(self) -> bool:
        """Whether one more record, and after it the last, would stay within the share of the time that has passed by now."""
        if self.share is None:
            return True
        allowed = self.share * self.elapsed
        others = max(0.0, self.spent - self.recording)
        return self.recording + 2 * self.typical <= max(allowed - others, _RECORDS * allowed)

    @property
    def for_writers(self) -> float:
        """How many seconds the numbers of the time until now may have cost with writers: a quarter of the share."""
        return math.inf if self.share is None else _WRITERS * self.share * self.elapsed


def _share(given: object) -> float:
    found = float(given) if isinstance(given, Real) and not isinstance(given, bool) else math.nan
    if not 0 < found <= 1:
        said = repr(given) if isinstance(given, str) else given
        raise InterpError(f"`budget` is {said}: give a share of the training's time, such as 0.02 for 2%, or None for no limit")
    return found
