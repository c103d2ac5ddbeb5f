"""``Tail``: ``scalars.jsonl`` of a recording, of which each look reads only what has come since the last."""

from __future__ import annotations

import bisect
import json
import math
import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interp.errors import BadFile
from interp.watching import lines


@dataclass(eq=False)
class Column:
    """A number that the user gave: its ``steps``, none before the one ahead of it, and ``values``, NaN where it was not finite."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def cut(self, step: int) -> None:
        """Without what came after ``step``."""
        kept = bisect.bisect_right(self.steps, step)
        del self.steps[kept:], self.values[kept:]


class Tail:
    """The lines so far, by column: what `interp.watching.lines.read` gives, for a file that grows by millions of them.

    ``starts``: the step that each session began at, and ``began`` how many seconds into the training the last one did; ``closed``: what
    the last line says where it is that of an end, None where the training goes on. ``step``, ``epoch`` (None where none are counted) and
    ``seconds`` are the latest. ``read``: bytes that were taken; ``changed``: when the file last was, in seconds since 1970, 0 never.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / lines.NAME
        self._forget()

    def _forget(self) -> None:
        self._file, self._count = 0, 0
        self.read = 0
        self.columns: dict[str, Column] = {}
        self.starts: list[int] = []
        self.closed: dict[str, Any] | None = None
        self.step, self.seconds, self.began = 0, 0.0, 0.0
        self.epoch: int | None = None
        self._epochs: dict[int, int] = {}
        self.changed = 0.0

    def read_on(self) -> bool:
        """Take the lines that are whole by now; whether there were any. BadFile where one is damaged, which is not passed over."""
        try:
            with self._path.open("rb") as file:
                known = os.fstat(file.fileno())
                if known.st_ino != self._file or known.st_size < self.read:
                    self._forget()
                    self._file = known.st_ino
                self.changed = known.st_mtime
                file.seek(self.read)
                text = file.read()
        except FileNotFoundError:
            self._forget()
            return False
        except OSError as error:
            raise BadFile(f"`{self._path}` cannot be read: {error.strerror}") from None
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.split(b"\n")[:-1]:
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                said = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
                raise BadFile(f"`{self._path}`, line {self._count + 1}, is damaged: {said}") from None
            self.read += len(line) + 1
            self._count += 1
        return bool(whole)

    def _take(self, line: dict[str, Any]) -> None:
        kind, step, seconds = line.get("event"), int(line["step"]), float(line["seconds"])
        values = {str(name): math.nan if value is None else float(value) for name, value in line.get("numbers", {}).items()}
        epoch = line.get("epoch") if kind is None else None
        if epoch is not None:
            self._epochs[step] = self.epoch = int(epoch)
        if kind == lines.BEGUN:
            self._begin(step, seconds)
        self.closed = line if kind == lines.CLOSED else None
        for name, value in values.items():
            column = self.columns.setdefault(name, Column())
            column.steps.append(step)
            column.values.append(value)
        self.step, self.seconds = step, seconds

    def _begin(self, step: int, seconds: float) -> None:
        """A session: it takes back what was said of later steps."""
        for column in self.columns.values():
            column.cut(step)
        self.columns = {name: column for name, column in self.columns.items() if len(column.steps)}
        self._epochs = {at: epoch for at, epoch in self._epochs.items() if at <= step}
        self.epoch = max(self._epochs.values(), default=None)
        self.starts.append(step)
        self.began = seconds
