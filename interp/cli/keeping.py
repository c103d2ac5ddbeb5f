"""Images finished before an interruption, kept so that the same command goes on from them."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.featurevis.store import FeatureStore


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a line on what is kept."""


@contextmanager
def keeping(parent: Path, command: object) -> Iterator[FeatureStore]:
    """A store in a hidden folder of ``parent``, found again by the same ``command`` (a frozen dataclass).

    It is removed when the work is complete, and where it fails; kept where it is interrupted (or the process is killed).
    """
    from interp.featurevis.store import FeatureStore
    from interp.runs import config_entry
    from interp.runs.plain import canonical

    digest = hashlib.sha256(canonical(config_entry(command)).encode("ascii")).hexdigest()[:16]
    store = FeatureStore(parent / f".{digest}.kept")
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    if len(store):
        sys.stderr.write(f"interp: going on with {_images(len(store))} that an interrupted run had finished\n")
    try:
        yield store
    except KeyboardInterrupt:
        if len(store):
            raise Interrupted(f"interrupted; {_images(len(store))} finished are kept, the same command goes on from there") from None
        _remove(store.folder, missing)
        raise
    except BaseException:
        _remove(store.folder, missing)
        raise
    _remove(store.folder, [])


def _remove(folder: Path, parents: list[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for parent in parents:
        try:
            parent.rmdir()
        except OSError:
            break


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
