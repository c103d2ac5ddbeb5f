"""Whether a living process works in a folder: a lock on a file in it, which the system lets go of however the process ends.

Some systems have no such locks (Windows, some network drives). There nobody can be told to be dead, so nobody's folder is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
_CANNOT = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EROFS}


class Lock:
    """A lock that is held on a folder, until it is released or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def take(cls, folder: Path, *, shared: bool = False, wait: bool = False, make: bool = True) -> Lock | None:
        """Hold the existing `folder`, alone or shared; None where it cannot be told whether another holds it.

        BlockingIOError where another does, unless `wait`; FileNotFoundError where the folder (or, without `make`, the file `LOCK`
        in it) is not there or was removed meanwhile.
        """
        if fcntl is None:
            return None
        path = folder / LOCK
        try:
            flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
            lock = cls(os.open(path, flags, 0o666))
        except OSError as error:
            if error.errno in _CANNOT:
                return None
            raise
        try:
            fcntl.flock(lock._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            if not os.path.samestat(os.fstat(lock._descriptor), os.stat(path)):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        except OSError as error:
            lock._close()
            if error.errno in _CANNOT:
                return None
            raise
        return lock

    def alone(self) -> bool:
        """Turn a shared lock into one that nobody shares; False, and nothing is held any more, where another does.

        Of several that try at once at least one succeeds: the last to try.
        """
        assert fcntl is not None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let go of it, also in the name of children that were forked meanwhile."""
        if self._close.alive:
            assert fcntl is not None
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()
