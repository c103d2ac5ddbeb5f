"""``Recorder``: stands beside a training loop, looks at the network now and then, and leaves everything as it was."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import SupportsFloat, SupportsIndex

from interp.errors import InterpError, a
from interp.watching import lines
from interp.watching.budget import Budget
from interp.watching.counts import whole
from interp.watching.folder import entries
from interp.watching.interval import Interval
from interp.watching.lines import Numbers
from interp.watching.looking import Look, Looker
from interp.watching.outlet import Outlet
from interp.watching.record import Entry
from interp.watching.surroundings import settled


class Recorder:
    """What `interp.watch` gives: call `step` after each step of the optimizer, and `close` at the end, or use it in ``with``.

    Between its calls nothing of it is in the network: no hook, no copy. A disk that refuses, or a writer that fails, ends the
    recording or the writer with a warning, and not the training.
    """

    def __init__(
        self,
        looker: Looker,
        outlet: Outlet,
        interval: Interval,
        budget: Budget,
        *,
        step: int = 0,
        epoch: int | None = None,
        session: int = 1,
        seconds: float = 0.0,
    ) -> None:
        self._looker, self._outlet, self._interval, self._budget = looker, outlet, interval, budget
        self._step, self._epoch, self._session, self._earlier = step, epoch, session, seconds
        self._recorded: int | None = None
        self._passed_over = 0
        self._closed = False
        # Where nobody closes it, what waits is written when it is let go of, or the process ends.
        self._left = weakref.finalize(self, _leave, outlet, os.getpid())
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._line(event=lines.BEGUN, session=session, at=at, every=interval.every, epochs=interval.epochs, budget=budget.share)

    def __repr__(self) -> str:
        return f"Recorder('{self._outlet.path.name}', step {self._step}, {'closed' if self._closed else f'{self.share:.1%} of the time'})"

    @property
    def last_step(self) -> int:
        """The number of the latest step."""
        return self._step

    @property
    def share(self) -> float:
        """What the recorder has taken so far of the time since it was made."""
        return self._budget.spent / max(self._budget.elapsed, 1e-9)

    def step(self, *, at: SupportsIndex | None = None, **numbers: SupportsFloat) -> None:
        """A step of the training is over. ``numbers`` such as ``loss=0.3`` are always written; a record is made where one is due.

        ``at`` is the number of the step, one more than the last by default. Raises InterpError where it is no later one, a number is
        no number, or the recorder was closed. With a budget, numbers may wait for others, half a second at most while steps go on, and
        are written together: see `flush`.
        """
        with self._budget:
            before = self._step
            now = before + 1 if at is None else self._later(at)
            values = self._checked(numbers)
            self._step = now
            if values:
                self._outlet.numbers(Numbers(now, self._entered, values))
            if self._interval.at_step(before, now):
                self._record_if_affordable()

    def epoch(self, **numbers: SupportsFloat) -> None:
        """An epoch is over: ``numbers`` as in `step`."""
        with self._budget:
            values = self._checked(numbers)
            self._epoch = (self._epoch or 0) + 1
            self._outlet.numbers(Numbers(self._step, self._entered, values, self._epoch))
            self._outlet.flush()
            if self._interval.at_epoch(self._epoch):
                self._record_if_affordable()

    def note(self, **numbers: SupportsFloat) -> None:
        """Numbers of the latest step that are known only now, such as those of an evaluation."""
        with self._budget:
            values = self._checked(numbers)
            if values:
                self._outlet.numbers(Numbers(self._step, self._entered, values))

    def flush(self) -> None:
        """Write the numbers that wait, for instance before a checkpoint is saved: where the process is killed, they are there."""
        with self._budget:
            self._outlet.flush()

    def close(self, error: BaseException | None = None) -> None:
        """Make the last record, unless the training ended with ``error``, and let go of the folder; again is no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._budget:
                if error is None and self._recorded != self._step and self._outlet.open:
                    self._record()
            said = None if error is None else type(error).__name__
            spent, over = self._budget.spent, self._passed_over
            self._line(event=lines.CLOSED, spent=spent, share=self.share, passed_over=over, error=said)
        finally:
            self._outlet.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(error)

    def made_before(self, step: int) -> None:
        """An earlier session made the record of this step."""
        self._recorded = step

    def keep(self, look: Look, cost: float) -> None:
        """Write the record of a ``look`` at the present step that took ``cost`` seconds."""
        begun = self._budget.elapsed
        entry = Entry(
            self._step,
            self._epoch,
            self._session,
            self._seconds,
            cost,
            self._budget.spent + cost,
            self._passed_over,
            look.targets,
            look.missing,
            look.summary,
            entries(look.arrays),
        )
        self._outlet.record(entry, look)
        self._recorded, self._passed_over = self._step, 0
        self._budget.recorded(cost + self._budget.elapsed - begun)

    def _record_if_affordable(self) -> None:
        if self._recorded == self._step or not self._outlet.open:
            return
        if self._budget.affords:
            self._record()
            return
        self._passed_over += 1
        if self._passed_over == 1:  # of several in a row one line says it: the next record tells how many there were
            self._line(event=lines.PASSED_OVER, cost=self._budget.typical, share=self.share)

    def _record(self) -> None:
        device = self._looker.model.device
        settled(device)
        start = self._budget.clock()
        look = self._looker.look(self._step)
        settled(device)
        self.keep(look, self._budget.clock() - start)

    def _line(self, **values: object) -> None:
        self._outlet.event(step=self._step, seconds=self._seconds, **values)

    @property
    def _seconds(self) -> float:
        return self._earlier + self._budget.elapsed

    @property
    def _entered(self) -> float:
        """As `_seconds`, when the user called."""
        return self._earlier + self._budget.entered

    def _later(self, at: object) -> int:
        now = whole("at", at, 0, "give the number of the step just done, such as `at=100`")
        if now <= self._step:
            raise InterpError(f"the step `at={now}` does not come after the last one, {self._step}: give the number of the step just done")
        return now

    def _checked(self, numbers: Mapping[str, SupportsFloat]) -> dict[str, float]:
        if self._closed:
            raise InterpError("the recorder is closed: make another with interp.watch(..., resume=True)")
        return {name: value if type(value) is float else _number(name, value) for name, value in numbers.items()}


def _leave(outlet: Outlet, process: int) -> None:
    if os.getpid() == process:  # one that was forked from it holds copies of what waits
        outlet.leave()


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last where a tensor holds several
        raise InterpError(f"`{name}` is {a(value)}: give a number for each step, such as `{name}=0.5`") from None
