"""A file that others see as it was or as it will be, and what killed processes left of such writing."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# So old a file is nobody's work any more: whole files are written in seconds.
_ABANDONED = 3600.0
_WINDOWS = os.name == "nt"


def partial_of(path: Path) -> Path:
    """A new name beside `path` for what is not whole yet."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, replaced as a whole or not at all, and safe once this returns; OSError where it cannot be."""
    sweep(path)
    with replacing(path) as partial, partial.open("xb") as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write a file under, which takes the place of `path` at the end, safe on the disk; on errors nothing has changed."""
    partial = partial_of(path)
    try:
        yield partial
        sync(partial)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the disk has the file or folder at `path`; of a folder on Windows, which opens none, nobody can."""
    if _WINDOWS and path.is_dir():
        return
    # Windows confirms only what is open for writing.
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(path: Path) -> None:
    """Remove what a process that was killed left beside `path` while it wrote it: plain files of such a name, an hour old."""
    left = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{8}\.partial")
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if left.fullmatch(name):
                _remove(path.with_name(name))


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        known = file.lstat()
        if stat.S_ISREG(known.st_mode) and time.time() - known.st_mtime > _ABANDONED:
            file.unlink()
