"""``Outlet``: where records and numbers go: the folder of the recording, and the writers beside it. What fails ends, with a warning."""

from __future__ import annotations

import contextlib
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from interp.watching.budget import Budget
from interp.watching.folder import Folder
from interp.watching.lines import Numbers, text_of, text_of_numbers
from interp.watching.looking import Look
from interp.watching.record import Entry
from interp.watching.surroundings import apart
from interp.watching.writers import Writer

# Seconds and lines that may wait, at most; and the part of the budget's share that writing them may take.
_LONGEST, _MOST = 0.5, 1000
_WRITING = 0.1


class Outlet:
    """Passes on what the recorder has, for as long as the disk and each writer take it: no training ends because one does not."""

    def __init__(self, folder: Folder, writers: Sequence[Writer], device: torch.device, budget: Budget) -> None:
        self.path = folder.path
        self._folder, self._writers, self._device, self._budget = folder, list(writers), device, budget
        self._warned: set[str] = set()
        self._waiting: list[Numbers] = []
        self._untold: list[Numbers] = []
        self._due = self._tell_due = 0.0
        self._told = self._each = 0.0
        self._names: tuple[str, ...] | None = None
        self.open = True

    def event(self, **values: Any) -> None:
        """A line of ``scalars.jsonl`` that others wait for."""
        self.flush()
        self._written(lambda: self._folder.append(text_of(values)))

    def numbers(self, given: Numbers) -> None:
        """The user's numbers, which may wait for others, so that they are written together."""
        now = self._budget.entered
        self._waiting.append(given)
        if now >= self._due or len(self._waiting) >= _MOST:
            self._write()
        if self._writers:
            self._untold.append(given)
            if now >= self._tell_due or len(self._untold) >= _MOST:
                self._tell_numbers()

    def flush(self) -> None:
        """Write what waits, and hand it on to the writers."""
        self._write()
        self._tell_numbers()

    def _write(self) -> None:
        given, self._waiting = self._waiting, []
        if not given:
            return
        start = self._budget.elapsed
        text = "".join(map(text_of_numbers, given))
        self._written(lambda: self._folder.append(text))
        end = self._budget.elapsed
        if self._budget.share is not None:
            self._due = end + min(_LONGEST, (end - start) / (_WRITING * self._budget.share))

    def leave(self) -> None:
        """Write what waits and let go of the folder, without a word to the writers: nobody is there any more to be told."""
        with contextlib.suppress(OSError):
            if self.open and self._waiting:
                self._folder.append("".join(map(text_of_numbers, self._waiting)))
            self._folder.close()
        self._waiting, self.open = [], False

    def record(self, entry: Entry, look: Look) -> None:
        """A record, for all; warns the first time that a part is missing."""
        self.flush()
        for part, reason in look.missing.items():
            if part not in self._warned:
                self._warned.add(part)
                _warn(f"records in `{self.path}` are without their {part}: {reason}")
        self._written(lambda: self._folder.record(entry, look.arrays))
        self._tell(lambda writer: writer.record(entry.step, look))

    def close(self) -> None:
        """Let go of all; again is no harm."""
        if self.open:
            self.flush()
        self.open = False
        self._tell(lambda writer: writer.close())
        self._writers = []
        self._folder.close()

    def _tell_numbers(self) -> None:
        """Always several at once: each time that a writer is called, all random generators are put back."""
        given, self._untold = self._affordable(self._untold), []

        def say(writer: Writer) -> None:
            for one in given:
                writer.numbers(one.step, one.values)

        if not given:
            return
        start = self._budget.elapsed
        self._tell(say)
        cost = self._budget.elapsed - start
        self._told += cost
        self._tell_due = self._budget.elapsed + _LONGEST
        self._each = cost / len(given)

    def _affordable(self, given: Sequence[Numbers]) -> list[Numbers]:
        """Those that writers are told of: all, or of many alike every so many; the ends of epochs, and what is of other names, always."""
        left, price = self._budget.for_writers - self._told, len(given) * self._each
        stride = 1 if price <= left else math.ceil(price / left) if left > 0 else math.inf
        chosen = []
        for place, one in enumerate(given, 1 - len(given)):
            names = None if one.epoch is not None else tuple(one.values)
            if names is None or names != self._names or (stride <= len(given) and place % stride == 0):
                chosen.append(one)
            self._names = names
        return chosen

    def _written(self, write: Callable[[], None]) -> None:
        if not self.open:
            return
        try:
            write()
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            _warn(f"the recording in `{self.path}` ends here: {reason}; the training goes on")

    def _tell(self, say: Callable[[Writer], None]) -> None:
        """Other people's libraries draw random numbers, and fail for their own reasons."""
        for writer in list(self._writers):
            try:
                with apart(self._device):
                    say(writer)
            except Exception as error:
                self._writers.remove(writer)
                said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                _warn(f"{type(writer).__name__} takes no more of the recording `{self.path}`: {said}")


def _warn(said: str) -> None:
    """In the name of the user's line: the first one that is not of this package."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("interp."):
        frame, level = frame.f_back, level + 1
    warnings.warn(said, stacklevel=level)
