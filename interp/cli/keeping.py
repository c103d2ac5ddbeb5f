"""Images finished before an interruption or an error, kept so that the same command goes on from them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.featurevis.store import FeatureStore


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a line on what is kept."""


@dataclass
class Kept:
    """Where finished images are kept, and how many there will be (``planned``, None until that is known)."""

    store: FeatureStore
    planned: int | None = None

    def __str__(self) -> str:
        count = len(self.store)
        said = _images(count) if self.planned is None else f"{count} of {_images(self.planned)}"
        return f"{said} finished are kept, the same command goes on from there"


@contextmanager
def keeping(parent: Path, command: object) -> Iterator[Kept]:
    """A store in a hidden folder of ``parent``, found again by the same ``command`` (a frozen dataclass).

    It is removed when the work is complete. Where the work is interrupted or fails (or the process is killed) it stays if it
    holds a finished image, and the message says so: that of an InterpError in the same line, any other in a line before it.
    Of two processes with the same command each finds what the other has finished, and the last one removes the folder.
    """
    from interp.featurevis.store import FeatureStore
    from interp.runs import config_entry
    from interp.runs.plain import canonical

    digest = hashlib.sha256(canonical(config_entry(command)).encode("ascii")).hexdigest()[:16]
    store = FeatureStore(parent / f".{digest}.kept")
    kept = Kept(store)
    store.hold()
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    if len(store):
        sys.stderr.write(f"interp: going on with {_images(len(store))} that an earlier run had finished\n")
    try:
        yield kept
    except BaseException as error:
        if not len(store):
            store.remove()
            _remove_empty(missing)
            raise
        store.release()
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"interrupted; {kept}") from None
        if isinstance(error, InterpError):
            raise type(error)(f"{error}; {kept}") from error
        sys.stderr.write(f"interp: {kept}\n")
        raise
    store.remove()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            break


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
