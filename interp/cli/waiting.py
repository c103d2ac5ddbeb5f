"""A line on stderr for each piece of work that is waited for: what it is, how long it has taken, how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Line = Callable[[str, float | None], AbstractContextManager[Callable[[str], None]]]


@contextmanager
def waiting() -> Iterator[Line]:
    """Gives ``line(name, expected seconds)``, a context for one piece of work, which is told in a word how it ended."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from interp.runs.words import time_taken, visible

    # Names of folders are no markup.
    name, tail = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[tail]"))
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Progress(SpinnerColumn(finished_text=" "), name, TimeElapsedColumn(), tail, console=console) as progress:

        @contextmanager
        def line(named: str, expected: float | None) -> Iterator[Callable[[str], None]]:
            task = progress.add_task(visible(named), total=1, tail="" if expected is None else f"of about {time_taken(expected)}")
            yield lambda word: progress.update(task, completed=1, tail=word)

        yield line
