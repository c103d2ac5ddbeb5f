"""``Interval``: at which steps and epochs a record is due."""

from __future__ import annotations

from dataclasses import dataclass

from interp.watching.counts import whole

# Where nothing is said.
_STEPS = 100


@dataclass(frozen=True)
class Interval:
    """A record is due at every multiple of ``every`` steps and of ``epochs`` epochs; None: not by these."""

    every: int | None
    epochs: int | None

    @classmethod
    def of(cls, every: object, epochs: object) -> Interval:
        """100 steps where neither is given; raises InterpError where one is no count."""
        return cls(_STEPS if every is None and epochs is None else _count("every", every), _count("epochs", epochs))

    def at_step(self, before: int, now: int) -> bool:
        """Whether a multiple lies behind ``before`` and up to ``now``: steps may be counted in larger strides."""
        return self.every is not None and now // self.every > before // self.every

    def at_epoch(self, count: int) -> bool:
        return self.epochs is not None and count % self.epochs == 0


def _count(name: str, value: object) -> int | None:
    return None if value is None else whole(name, value, 1, "give how many there are from one record to the next, 1 or more")
