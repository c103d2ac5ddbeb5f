"""What is finished before an interruption or an error, kept so that the same command goes on from it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.featurevis.store import FeatureStore


GOES_ON = "the same command goes on from there"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a line on what is ``kept``."""

    def __init__(self, kept: str) -> None:
        super().__init__(f"interrupted; {kept}")


def place_of(parent: Path, command: object, suffix: str) -> Path:
    """The hidden file or folder of ``parent`` in which the same ``command`` (a frozen dataclass) finds what is kept for it."""
    from interp.runs import config_entry
    from interp.runs.plain import canonical

    digest = hashlib.sha256(canonical(config_entry(command)).encode("ascii")).hexdigest()[:16]
    return parent / f".{digest}.{suffix}"


@contextmanager
def telling(kept: Callable[[], str]) -> Iterator[None]:
    """Where the work inside is interrupted or fails, say what is ``kept`` ("": nothing): that of an InterpError in the same line, any
    other in a line before it."""
    try:
        yield
    except BaseException as error:
        said = kept()
        if not said:
            raise
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(said) from None
        if isinstance(error, InterpError):
            raise type(error)(f"{error}; {said}") from error
        sys.stderr.write(f"interp: {said}\n")
        raise


@dataclass
class Kept:
    """Where finished images are kept, and how many there will be (``planned``, None until that is known)."""

    store: FeatureStore
    planned: int | None = None

    def __str__(self) -> str:
        count = len(self.store)
        said = _images(count) if self.planned is None else f"{count} of {_images(self.planned)}"
        return f"{said} finished are kept, {GOES_ON}"


@contextmanager
def keeping(parent: Path, command: object) -> Iterator[Kept]:
    """A store in a hidden folder of ``parent``, found again by the same ``command`` (a frozen dataclass).

    It is removed when the work is complete. Where the work is interrupted or fails (or the process is killed) it stays if it
    holds a finished image, and the message says so: that of an InterpError in the same line, any other in a line before it.
    Of two processes with the same command each finds what the other has finished, and the last one removes the folder.
    """
    from interp.featurevis.store import FeatureStore

    store = FeatureStore(place_of(parent, command, "kept"))
    kept = Kept(store)
    store.hold()
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    if len(store):
        sys.stderr.write(f"interp: going on with {_images(len(store))} that an earlier run had finished\n")

    def left() -> str:
        if len(store):
            store.release()
            return str(kept)
        store.remove()
        _remove_empty(missing)
        return ""

    with telling(left):
        yield kept
    store.remove()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            break


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
