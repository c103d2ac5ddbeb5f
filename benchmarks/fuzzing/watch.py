"""A parser at work in a process of its own: what it does to files, memory, time and the process itself is seen from outside.

Inputs go to a forked child, many to one. Its address space is limited, an alarm ends an input that takes too long, and an audit hook
notes what touches files outside of its folder, starts a program or opens a connection. Where the child dies, the input that
killed it is known, and another goes on behind it.
"""

from __future__ import annotations

import collections
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing.seeds import generator
from fuzzing.targets import TARGETS, Target
from interp.errors import InterpError

CHUNK = 2000
"""Inputs to one child."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "shutil.rmtree")
_STARTING = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "socket.connect",
    "socket.bind",
    "pty.spawn",
)


@dataclass(frozen=True)
class Limits:
    """For one input: ``seconds`` of processor time; for a child: ``memory`` in GiB above what it begins with."""

    seconds: float = 20.0
    memory: float = 2.0


@dataclass
class Tally:
    """What became of the inputs: how many of each outcome, and of each kind of failure the first input, with its words."""

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    slowest: float = 0.0
    slowest_input: int = -1
    grown: int = 0
    """MiB by which the largest child grew."""

    def fail(self, number: int, kind: str, words: str = "") -> None:
        self.outcomes["failed"] += 1
        self.failures.setdefault(kind, (number, words))

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        for kind, first in other.failures.items():
            self.failures.setdefault(kind, first)
        self.grown = max(self.grown, other.grown)
        if other.slowest > self.slowest:
            self.slowest, self.slowest_input = other.slowest, other.slowest_input


class _TooLong(BaseException):
    """No parser catches it."""


def fuzz(name: str, count: int, seed: int, folder: Path, limits: Limits) -> Tally:
    """The parser ``name`` on ``count`` inputs; ``folder`` is empty before and after."""
    target, total, start = TARGETS[name](), Tally(), 0
    while start < count:
        end = min(count, start + CHUNK)
        part, reached = _child(target, name, seed, range(start, end), folder, limits)
        total.add(part)
        start = reached
    return total


def _child(target: Target, name: str, seed: int, numbers: range, folder: Path, limits: Limits) -> tuple[Tally, int]:
    """One child; also up to where it came."""
    shared, result = mmap.mmap(-1, 16), folder.parent / f"{folder.name}.json"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            tally = _work(target, name, seed, numbers, folder, limits, shared)
            result.write_text(json.dumps([dict(tally.outcomes), tally.failures, tally.slowest, tally.slowest_input, tally.grown]))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    status = _wait(child, shared, limits)
    if status == 0 and result.exists():
        outcomes, failures, slowest, slowest_input, grown = json.loads(result.read_text())
        result.unlink()
        return Tally(
            collections.Counter(outcomes), {kind: tuple(first) for kind, first in failures.items()}, slowest, slowest_input, grown
        ), numbers.stop
    at = struct.unpack_from("<q", shared)[0]
    dead = Tally()
    if at > numbers.start:  # what came before it is done again: its tally died with the child
        dead.add(_child(target, name, seed, range(numbers.start, at), folder, limits)[0])
    why = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else "the process ended"
    dead.fail(at, f"the child died: {why}")
    return dead, at + 1


def _wait(child: int, shared: mmap.mmap, limits: Limits) -> int:
    """The status of the child; it is killed where one input holds it far beyond the limit, in code that takes no alarm."""
    last, since = -1, time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        at = struct.unpack_from("<q", shared)[0]
        if at != last:
            last, since = at, time.monotonic()
        elif time.monotonic() - since > 60 + 10 * limits.seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def _work(target: Target, name: str, seed: int, numbers: range, folder: Path, limits: Limits, shared: mmap.mmap) -> Tally:
    _limit(limits)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries in C say of a file
    seen = _audited(folder)
    before, tally = _peak(), Tally()
    warnings.simplefilter("error")
    signal.signal(signal.SIGVTALRM, _stop)
    for number in numbers:
        struct.pack_into("<q", shared, 0, number)
        data = target.make(generator(seed, name, number))
        started = time.process_time()
        seen.clear()
        outcome, failure = _outcome(target, data, folder, limits)
        if seen:
            failure = (f"touched: {seen[0]}", "")
        if failure is None:
            tally.outcomes[outcome] += 1
        else:
            tally.fail(number, *failure)
        taken = time.process_time() - started
        if taken > tally.slowest:
            tally.slowest, tally.slowest_input = taken, number
    tally.grown = (_peak() - before) >> 10
    return tally


def _outcome(target: Target, data: bytes, folder: Path, limits: Limits) -> tuple[str, tuple[str, str] | None]:
    """``read``, or the kind of InterpError; and where it is neither, what it was and its words."""
    try:
        with _alarm(limits.seconds):
            target.parse(data, folder)
    except InterpError as error:
        return type(error).__name__, None
    except _TooLong:
        return "", (f"longer than {limits.seconds:g} s", "")
    except BaseException as error:
        return "", (f"{type(error).__name__} {_place(error)}", f"{str(error)[:100]!r}")
    return "read", None


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _stop(number: int, frame: object) -> None:
    raise _TooLong


def _limit(limits: Limits) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(limits.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _place(error: BaseException) -> str:
    """The deepest line of interp that the error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "interp" in Path(frame.filename).parts]
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"


def _audited(folder: Path) -> list[str]:
    """What is done that no parser has to do, as it is done."""
    seen: list[str] = []
    inside = (str(folder) + os.sep, str(folder))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _mode, flags = arguments
            writes = bool(flags & _WRITING)
            if writes and isinstance(path, str | bytes) and not os.path.abspath(os.fsdecode(path)).startswith(inside):
                seen.append(f"open {os.fsdecode(path)[:60]!r}")
        elif event in _CHANGING:
            path = arguments[0]
            if isinstance(path, str | bytes) and not os.path.abspath(os.fsdecode(path)).startswith(inside):
                seen.append(f"{event} {os.fsdecode(path)[:60]!r}")
        elif event in _STARTING:
            seen.append(event)

    sys.addaudithook(hook)
    return seen
