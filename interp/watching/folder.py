"""``Folder``: a recording on disk while it is made. It grows by whole files and whole lines, so that others may read it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interp.errors import BadFile
from interp.runs.arrayfile import save_arrays, storable
from interp.runs.entries import ArrayEntry
from interp.runs.lock import Lock
from interp.runs.partial import replacing, write_whole
from interp.runs.place import refuse
from interp.watching import header as heads
from interp.watching import lines as scalars
from interp.watching.header import Header
from interp.watching.record import FOLDER, Entry, unfinished
from interp.watching.recording import PROBES, Recording


class Folder:
    """Writes into the folder of one recording, which it holds locked until it is closed."""

    def __init__(self, path: Path, lock: Lock | None) -> None:
        self.path = path
        self._lock = lock
        self._file = (path / scalars.NAME).open("ab", buffering=0)

    @classmethod
    def begin(cls, path: Path, header: Header, probes: NDArray[np.float32]) -> Folder:
        """A new recording; BadFile where ``path`` holds something or cannot be made."""
        refuse_new(path)
        try:
            (path / FOLDER).mkdir(parents=True, exist_ok=True)
            lock = _locked(path)
            _save({"images": probes}, path / PROBES)
            heads.write(header, path)
            return cls(path, lock)
        except OSError as error:
            raise BadFile(f"`{path}` cannot be written: {error.strerror}; choose another folder") from None

    @classmethod
    def go_on(cls, path: Path) -> Folder:
        """A recording that others began: what a killed process left half written is taken away. BadFile where another writes there."""
        try:
            lock = _locked(path)
            for file in unfinished(path):
                file.unlink()
            whole = scalars.whole_bytes(path)
            if (path / scalars.NAME).is_file():
                os.truncate(path / scalars.NAME, whole)
            return cls(path, lock)
        except OSError as error:
            raise BadFile(f"`{path}` cannot be written: {error.strerror}") from None

    def append(self, lines: str) -> None:
        """Append whole lines to ``scalars.jsonl``, in one write; OSError where the disk refuses."""
        left = memoryview(lines.encode())
        while left:  # a disk that is nearly full may take a part
            left = left[self._file.write(left) or 0 :]

    def record(self, entry: Entry, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Write a record: the arrays first, and last its entry, by which it is one. OSError where the disk refuses."""
        place = self.path / FOLDER
        _save(arrays, place / f"{entry.stem}.safetensors")
        write_whole(place / f"{entry.stem}.json", entry.text.encode())

    def close(self) -> None:
        """Let go of the folder; again is no harm."""
        self._file.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def entries(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, ArrayEntry]:
    """What the entry of a record says of its arrays."""
    return {name: ArrayEntry.of(array) for name, array in arrays.items()}


def refuse_new(path: Path) -> None:
    """Raise BadFile where no new recording can be made at ``path``, and say how one that is there goes on."""
    if (path / heads.NAME).exists():
        count = len(Recording.read(path).records)
        raise BadFile(f"`{path}` already holds a recording of {count} records: go on in it with `resume=True`, or choose another folder")
    try:
        refuse(path)
    except BadFile as error:
        raise BadFile(str(error).replace(" (`--out`)", "")) from None


def _locked(path: Path) -> Lock | None:
    try:
        return Lock.take(path)
    except BlockingIOError:
        raise BadFile(f"`{path}` is being written by another recorder: close that one first, or choose another folder") from None


def _save(arrays: Mapping[str, NDArray[np.generic]], path: Path) -> None:
    """As a whole or not at all."""
    with replacing(path) as partial:
        save_arrays({name: storable(name, array) for name, array in arrays.items()}, partial)
