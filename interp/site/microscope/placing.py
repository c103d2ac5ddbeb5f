"""Folders that others see as they were or as they will be."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interp.errors import BadFile
from interp.runs.partial import partial_of, write_whole

# So old a folder without a change is nobody's work any more.
_ABANDONED = 3600.0


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` to write into, which takes its name and its place at the end; on errors nothing has changed.

    What processes that were killed left beside it, and have not touched for an hour, goes. BadFile where the disk says no.
    """
    try:
        sweep(folder)
        inside = partial_of(folder)
        inside.mkdir(parents=True)
        try:
            yield inside
            _take_place(inside, folder)
        finally:
            shutil.rmtree(inside, ignore_errors=True)
    except OSError as error:
        raise BadFile(f"`{folder}` cannot be written: {error.strerror or error}") from None


def write(path: Path, text: str) -> None:
    """Write a file whole, in UTF-8, where it is not so already; BadFile where the disk says no."""
    data = text.encode("utf-8")
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise BadFile(f"`{path}` cannot be written: {error.strerror or error}") from None


def sweep(folder: Path) -> None:
    """Remove abandoned folders beside ``folder`` that were made to take its place."""
    left = re.compile(re.escape(f".{folder.name}.") + r"[0-9a-f]{8}\.partial")
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder.parent):
            if left.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False) and _age(Path(entry.path)) > _ABANDONED:
                shutil.rmtree(entry.path, ignore_errors=True)


def _age(folder: Path) -> float:
    return time.time() - folder.stat().st_mtime


def _take_place(inside: Path, folder: Path) -> None:
    """Two renames where there is one already: a folder that is not empty cannot be replaced in one."""
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    while True:
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, old)
        try:
            os.rename(inside, folder)
            break
        except OSError:
            # Another process wrote the same layer in between: its pages give way as any would.
            if not folder.is_dir() or old.exists():
                raise
    shutil.rmtree(old, ignore_errors=True)
