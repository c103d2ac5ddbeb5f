"""Where a run comes to lie: a hidden folder beside the final one while it is made, renamed once it is whole.

The hidden folder of `x` is `.x.partial`. It is locked while its process lives, so that a second process learns at once that
`x` is being made, and the next one to work in the same place removes what a killed process left behind.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from interp.errors import BadFile, InterpError
from interp.runs.lock import LOCK, Lock
from interp.runs.manifest import Manifest
from interp.runs.partial import sync

_RUN = "interp-run"
"""The run inside its hidden folder. A hidden folder that holds anything but this and the lock is not ours."""
_TRIES, _PAUSE = 5, 0.05
_WINDOWS = os.name == "nt"
_MOST = 1000
"""So many names are tried for the next free one."""


class Place:
    """`with Place(folder) as place:` keeps `folder` for this process; what is written below `place.inside` goes there whole.

    With `or_next` the first of `folder`, `folder-2`, `folder-3` ... that is free is taken: `place.folder` says which, for good once
    it is published. An empty folder is filled where it was asked for by its name. BadFile on entering where nothing can be made
    there: it holds something, another process is making it, or it cannot be written.
    """

    def __init__(self, folder: Path, *, or_next: bool = False) -> None:
        self.folder = folder
        self._asked = folder
        self._or_next = or_next
        self._final = folder
        self._hidden: Path | None = None
        self._lock: Lock | None = None
        self._made: list[Path] = []
        self.since = 0.0
        """When it was entered, by `time.monotonic`; 0 before that."""

    @property
    def is_open(self) -> bool:
        return self._hidden is not None

    @property
    def inside(self) -> Path:
        """The folder to write into."""
        if self._hidden is None:
            raise InterpError(f"the run `{self.folder}` is not open; write inside `with Run.create(...) as run:`")
        return self._hidden / _RUN

    def check(self) -> None:
        """BadFile where the folder that was asked for cannot be made, as far as that can be told without making it."""
        if not self._or_next:
            refuse(self._asked)

    def __enter__(self) -> Place:
        self.since = time.monotonic()
        folders = itertools.islice(numbered(self._asked), _MOST if self._or_next else 1)
        try:
            for folder in folders:
                if not (self._or_next and os.path.lexists(folder)) and self._claim(folder):
                    return self
        except OSError as error:
            self.close()
            raise BadFile(f"`{self.folder}` cannot be made: {error.strerror}; choose another folder (`--out`)") from None
        except BaseException:
            self.close()
            raise
        raise BadFile(f"`{self._asked}` is being made by another process; wait for it, or choose another folder (`--out`)")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def publish(self) -> None:
        """Give what was written its name. A BadFile or an OSError where that cannot be; then nothing has changed."""
        self.check()
        while True:
            try:
                _rename(self.inside, self._final)
                break
            except OSError:
                if not (self._or_next and os.path.lexists(self._final)):
                    raise
                self.folder = next(path for path in numbered(self._asked) if not os.path.lexists(path))
                self._final = Path(os.path.realpath(self.folder))
        with contextlib.suppress(OSError):  # the run stands, whether or not the disk confirms its name
            sync(self._final.parent)
        self.close()

    def close(self) -> None:
        """Remove the hidden folder with what was not published, and parents made for it alone. Again is no harm."""
        if self._hidden is not None:
            _remove(self._hidden)
            self._hidden = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        for parent in reversed(self._made):
            try:
                parent.rmdir()
            except OSError:
                break
        self._made = []

    def _claim(self, folder: Path) -> bool:
        """Make the hidden folder of `folder`; False where another process has it."""
        refuse(folder)
        self.folder, self._final = folder, Path(os.path.realpath(folder))
        sweep(self._final.parent)
        if not self._hold():
            self.close()
            return False
        self.inside.mkdir()
        if self._or_next and os.path.lexists(folder):  # another process has finished it since it was looked at
            self.close()
            return False
        self.check()
        return True

    def _hold(self) -> bool:
        hidden = self._final.parent / f".{self._final.name}.partial"
        for last in (*(False,) * (_TRIES - 1), True):
            try:
                self._make_parents()
                with contextlib.suppress(FileExistsError):
                    hidden.mkdir()
                if hidden.is_symlink():
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(hidden))
                self._lock = self._locked(hidden)
            except BlockingIOError:
                if last:
                    return False
                time.sleep(_PAUSE)  # it may only be swept by another process at this moment
            except FileNotFoundError:  # the parents or the folder were, between two of the lines above
                if last:
                    raise
            else:
                if self._lock is None:
                    with contextlib.suppress(OSError):
                        hidden.rmdir()
                    hidden = hidden.with_name(f".{self._final.name}.{secrets.token_hex(4)}.partial")
                    hidden.mkdir()
                else:
                    shutil.rmtree(hidden / _RUN, ignore_errors=True)  # of a process that died since the sweep
                self._hidden = hidden
                return True
        raise AssertionError("unreachable")

    def _locked(self, hidden: Path) -> Lock | None:
        try:
            return Lock.take(hidden)
        except OSError as error:
            if not isinstance(error, BlockingIOError | FileNotFoundError):
                with contextlib.suppress(OSError):
                    hidden.rmdir()
            raise

    def _make_parents(self) -> None:
        missing = [parent for parent in self._final.parents if not parent.exists()]
        for parent in reversed(missing):
            with contextlib.suppress(FileExistsError):  # and gone again, perhaps: then what comes next says so, and all is tried again
                parent.mkdir()
            self._made.append(parent)


def _rename(inside: Path, final: Path) -> None:
    """Give a folder its name; OSError where a folder that is not empty has it: nothing is overwritten."""
    if _WINDOWS:  # where not even an empty folder is replaced
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(final)
    os.rename(inside, final)


def numbered(folder: Path) -> Iterator[Path]:
    """`x`, `x-2`, `x-3` ..."""
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))


def sweep(parent: Path) -> None:
    """Remove the hidden folders in `parent` whose processes are gone. What is not certainly such a folder stays."""
    for hidden in parent.glob(".*.partial"):
        with contextlib.suppress(OSError):
            _remove_dead(hidden)


def _remove_dead(hidden: Path) -> None:
    if hidden.is_symlink() or not hidden.is_dir():
        return
    names = set(os.listdir(hidden))
    if not names:
        hidden.rmdir()
    elif LOCK in names <= {LOCK, _RUN}:
        lock = Lock.take(hidden, make=False)
        if lock is not None:
            _remove(hidden)
            lock.release()


def _remove(hidden: Path) -> None:
    """In an order that another sweep can take up at any point."""
    shutil.rmtree(hidden / _RUN, ignore_errors=True)
    with contextlib.suppress(OSError):
        (hidden / LOCK).unlink(missing_ok=True)
        hidden.rmdir()


def refuse(folder: Path) -> None:
    """Raise a BadFile if a run cannot be made at `folder`: it holds something, or nothing can be made there."""
    remedy = "choose another folder (`--out`)"
    if folder.is_dir():
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise BadFile(f"`{folder}` cannot be read: {error.strerror}; {remedy}") from None
        if names:
            raise BadFile(f"`{folder}` already holds {_contents(folder, names)}; nothing is overwritten: {remedy}")
    elif os.path.lexists(folder) and not folder.is_symlink():
        raise BadFile(f"`{folder}` is a file, not a folder; {remedy}")
    final = Path(os.path.realpath(folder))
    base = next((parent for parent in final.parents if os.path.lexists(parent)), final)
    if not base.is_dir():
        raise BadFile(f"`{folder}` cannot be made: `{base}` is a file, not a folder; {remedy}")
    if not os.access(base, os.W_OK | os.X_OK):
        raise BadFile(f"`{folder}` cannot be made: no permission to write in `{base}`; {remedy}")


def _contents(folder: Path, names: list[str]) -> str:
    try:
        manifest = Manifest.read(folder)
    except InterpError:
        shown = ", ".join(f"`{name}`" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        return f"{len(names)} {'entry' if len(names) == 1 else 'entries'} ({shown})"
    return f"a run of `{manifest.experiment}` made at {manifest.created}"
