"""A file that is made from others, written whole, and replaced only where it was made the same way before."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from interp.errors import BadFile
from interp.runs.partial import write_whole

# The mark of what we wrote stands near the start.
_HEAD = 4096


def refuse_foreign(path: Path, mark: str) -> None:
    """Raise BadFile where `path` is something that does not carry `mark`: nobody's own file is overwritten."""
    if not os.path.lexists(path):
        return
    if path.is_file() and not path.is_symlink():
        try:
            with path.open("rb") as file:
                ours = mark.encode("utf-8") in file.read(_HEAD)
        except OSError as error:
            raise BadFile(f"`{path}` cannot be read: {error.strerror}") from None
        if ours:
            return
    raise _foreign(path)


def refuse_other(picture: Path, new: Path, page: Path) -> None:
    """Raise BadFile where `picture` is something else than the bytes of `new`, or a picture that our own `page` shows."""
    if not os.path.lexists(picture):
        return
    if picture.is_file() and not picture.is_symlink():
        shown = f'src="{quote(picture.relative_to(page.parent).as_posix())}"'
        try:
            if picture.read_bytes() == new.read_bytes() or (page.is_file() and shown.encode("ascii") in page.read_bytes()):
                return
        except OSError as error:
            raise BadFile(f"`{picture}` cannot be read: {error.strerror}") from None
    raise _foreign(picture)


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path`, which others see as it was or as it will be; its folder is made where there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise BadFile(f"`{path}` cannot be written: {error.strerror}") from None


def _foreign(path: Path) -> BadFile:
    return BadFile(f"`{path}` is there and was not written by interp gallery; nothing is overwritten: move it, or choose another folder")
