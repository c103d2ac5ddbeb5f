"""``Budget``: what the recorder takes of a training's time, and whether another record fits into its share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from interp.errors import InterpError


class Budget:
    """Counts the seconds of ``clock`` that are spent here, beside all that have passed since it was made.

    ``share``: the largest share of the time that records may take; None for no limit.
    """

    def __init__(self, share: float | int | None, clock: Callable[[], float]) -> None:
        if share is not None and not 0 < share <= 1:
            raise InterpError(f"`budget` is {share}: give a share of the training's time, such as 0.02 for 2%, or None for no limit")
        self.share, self.clock = share, clock
        self.spent = 0.0
        self.typical = 0.0
        self._begun = clock()
        self._inside = False

    @property
    def elapsed(self) -> float:
        return self.clock() - self._begun

    @contextmanager
    def spending(self) -> Iterator[None]:
        """What passes inside is the recorder's; one within another counts once."""
        if self._inside:
            yield
            return
        self._inside, start = True, self.clock()
        try:
            yield
        finally:
            self.spent += self.clock() - start
            self._inside = False

    @property
    def affords(self) -> bool:
        """Whether one more record, and after it the last, would stay within the share of the time that has passed by now.

        A record is taken to cost what the latest one did.
        """
        return self.share is None or self.spent + 2 * self.typical <= self.share * self.elapsed
