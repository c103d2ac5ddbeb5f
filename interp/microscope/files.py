"""Files of a site that are written where they are not so already, and those of earlier builds that go."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from interp.errors import BadFile
from interp.runs.partial import write_whole


def put(site: Path, path: str, data: bytes) -> None:
    """Write a file below ``site`` whole, where it is not so already; BadFile where the disk refuses."""
    target = site / path
    try:
        if target.is_file() and target.read_bytes() == data:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
    except OSError as error:
        raise BadFile(f"`{target}` cannot be written: {error.strerror or error}; make room, and the same command goes on") from None


def remove_others(folder: Path, pattern: str, names: Collection[str]) -> None:
    """Remove the files of ``folder`` that match ``pattern`` and are not among ``names``; BadFile where the disk refuses."""
    try:
        for path in folder.glob(pattern):
            if path.name not in names:
                path.unlink()
    except OSError as error:
        raise BadFile(f"`{folder}` cannot be cleared of an earlier build: {error.strerror or error}") from None
