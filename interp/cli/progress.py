"""Progress bars with time left, on stderr, for work that takes more than a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from interp.report.product import Tick

PICTURES = "pictures"
"""The stage whose bar says how many are done in a second."""


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
            return Text(f"{task.speed:.1f} a second," if task.speed and task.description == PICTURES else "")

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
    progress = Progress(*columns, console=Console(stderr=True))
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
