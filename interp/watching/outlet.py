"""``Outlet``: where records and numbers go: the folder of the recording, and the writers beside it. What fails ends, with a warning."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from interp.watching.folder import Folder
from interp.watching.looking import Look
from interp.watching.record import Entry
from interp.watching.surroundings import apart
from interp.watching.writers import Writer


class Outlet:
    """Passes on what the recorder has, for as long as the disk and each writer take it: no training ends because one does not."""

    def __init__(self, folder: Folder, writers: Sequence[Writer], device: torch.device) -> None:
        self.path = folder.path
        self._folder, self._writers, self._device = folder, list(writers), device
        self._warned: set[str] = set()
        self.open = True

    def line(self, **values: Any) -> None:
        """A line of ``scalars.jsonl``."""
        self._written(lambda: self._folder.line(**values))

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """The user's numbers, for the writers."""
        self._tell(lambda writer: writer.numbers(step, values))

    def record(self, entry: Entry, look: Look) -> None:
        """A record, for all; warns the first time that a part is missing."""
        for part, reason in look.missing.items():
            if part not in self._warned:
                self._warned.add(part)
                _warn(f"records in `{self.path}` are without their {part}: {reason}")
        self._written(lambda: self._folder.record(entry, look.arrays))
        self._tell(lambda writer: writer.record(entry.step, look))

    def close(self) -> None:
        """Let go of all; again is no harm."""
        self.open = False
        self._tell(lambda writer: writer.close())
        self._writers = []
        self._folder.close()

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
