"""Progress bars with the speed and the time left, on stderr, for work that takes more than a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from interp.report.product import Tick

# Of stages that count so many things, how many are done in a second is said.
_MANY = 20
# Seconds over which speed is taken: units are finished several at once.
_PERIOD = 120


@contextmanager
def bars() -> Iterator[Tick]:
    """A ``Tick`` that shows one bar per stage while inside."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(rate(task.finished_speed or task.speed, task.total))

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    progress = Progress(*columns, console=Console(stderr=True), speed_estimate_period=_PERIOD)
    tasks: dict[str, TaskID] = {}

    def finish() -> None:
        for task in tasks.values():
            progress.update(task, completed=progress.tasks[task].total)

    def tick(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            # Started with the first stage: what is refused before any work shows no bar.
            progress.start()
            finish()
            tasks[stage] = progress.add_task(stage, total=total)
        progress.update(tasks[stage], completed=done, total=total)

    try:
        yield tick
        finish()
    finally:
        if tasks:
            progress.stop()


def rate(speed: float | None, total: float | int | None) -> str:
    """How many of ``total`` things are done in a second; "" where it is not known, or there are few."""
    if not speed or (total or 0) < _MANY:
        return ""
    return f"{speed:.2g}/s," if speed < 10 else f"{speed:.0f}/s,"
