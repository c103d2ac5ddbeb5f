"""A process that writes runs in forked children and has them killed, interrupted or refused by the disk at a chosen moment.

Each line on stdin is a JSON order, each line on stdout its outcome. Forks of a small process cost milliseconds, so that every
moment can be tried. Imports interp.runs only.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from safetensors import SafetensorError

from interp.errors import InterpError
from interp.runs import FigureEntry, Machine, Place, Program, Run, arrayfile, place, run

VERSIONS = run.versions()
FOLDER = Path(run.__file__).parent
TRACED = {str(FOLDER / name) for name in ("run.py", "place.py", "lock.py", "arrayfile.py")}
Order = dict[str, Any]
Moment = Callable[[], None]


@dataclass(frozen=True)
class Config:
    steps: int = 256


def write(order: Order, begun: Moment = lambda: None) -> None:
    """Write a run of `order["files"]` files into the folder `order["out"]`, or the next free one."""
    target = Place(Path(order["out"]), or_next=order.get("or_next", False))
    made = Run.create(target, experiment="tour", program=Program("command", "tour"), config=Config(), seed=7, machine=Machine("a", "b"))
    with made as open_run:
        begun()
        count = order.get("files", 3)
        open_run.arrays({f"maps{i}": np.full((40, 40), i, dtype=np.float32) for i in range(max(count // 10, 2))})
        open_run.metrics({"score": 0.5})
        for i in range(count):
            open_run.write(f"figures/f{i}.png", bytes(range(256)) * order.get("blocks", 4))
            open_run.figure(f"f{i}", FigureEntry(f"{i:064x}"))
        open_run.text("index.html", open_run.identity)


class Countdown:
    """Does `action` at moment `at`, counted from 0; counts only where that is None."""

    def __init__(self, at: int | None, action: Callable[[], None], lasting: bool = False) -> None:
        self.at, self.action, self.lasting, self.count = at, action, lasting, 0
        self.process = os.getpid()

    def due(self) -> bool:
        now, self.count = self.count, self.count + 1
        return self.at is not None and (now == self.at or (self.lasting and now > self.at))

    def __call__(self) -> None:
        if self.due():
            self.action()


def at_lines(countdown: Countdown, seen: list[tuple[str, int]]) -> None:
    """Count every line of interp.runs that is executed."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            seen.append((Path(frame.f_code.co_filename).name, frame.f_lineno))
            countdown()
        return trace

    sys.settrace(trace)


class Disk(io.FileIO):
    """A file whose writes are counted: the one that is due writes half of what it should before it fails."""

    countdown: Countdown

    def write(self, data: Any) -> int:
        if self.countdown.due():
            super().write(bytes(data)[: len(data) // 2])
            self.countdown.action()
        return super().write(data)


def at_calls(countdown: Countdown) -> None:
    """Count every call that asks something of the disk: making, opening to write, writing, syncing, locking, renaming, removing."""

    def counted(module: Any, name: str) -> None:
        original = getattr(module, name)

        def call(*arguments: Any, **named: Any) -> Any:
            countdown()
            return original(*arguments, **named)

        setattr(module, name, call)

    plain = io.open
    Disk.countdown = countdown

    def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if not set(mode) & set("wxa"):
            return plain(file, mode, *arguments, **named)
        countdown()
        return io.BufferedWriter(Disk(file, mode.replace("b", "")))

    def saved(arrays: Any, path: Path) -> None:
        if countdown.due():
            path.write_bytes(b"half")
            try:
                countdown.action()
            except OSError as error:
                raise SafetensorError(f"Error while serializing: I/O error: {error.strerror} (os error {error.errno})") from None
        whole(arrays, path)

    whole = arrayfile.save_file
    arrayfile.save_file = saved
    io.open = opened
    names = ["mkdir", "fsync", "rename", "chmod"]
    if not countdown.lasting:  # what a full disk does not refuse
        names += ["unlink", "rmdir"]
        counted(fcntl, "flock")
    for name in names:
        counted(os, name)
    low = os.open

    def opened_low(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            countdown()
        return low(path, flags, *arguments, **named)

    os.open = opened_low


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stopped() -> None:
    raise KeyboardInterrupt


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ACTIONS: dict[str, Callable[[], None]] = {"full": full, "stop": stopped, "kill": killed}


def child(order: Order) -> Order:
    """What became of the order; of one that is to be killed nobody hears."""
    if "user" in order:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    action = order.get("action", "kill")
    countdown = Countdown(order.get("at"), ACTIONS[action], lasting=action == "full")
    seen: list[tuple[str, int]] = []
    if order.get("moments") == "lines":
        at_lines(countdown, seen)
    elif order.get("moments") == "calls":
        at_calls(countdown)
    said = ""
    try:
        write(order, lambda: tell_and_wait(order))
    except InterpError as error:
        said = f"refused: {error}"
    except KeyboardInterrupt:
        said = "stopped"
    finally:
        sys.settrace(None)
    return {"said": said or "written", "count": countdown.count, "seen": seen}


def tell_and_wait(order: Order) -> None:
    """Let the other side know that the place is taken, and hold it as long as it is asked to."""
    if "taken" in order:
        Path(order["taken"]).touch()
        while not Path(order["go"]).exists():
            time.sleep(0.005)


def fork(order: Order) -> tuple[int, int]:
    """The child's id, and a descriptor on which its outcome is read."""
    here, there = os.pipe()
    process = os.fork()
    if process:
        os.close(there)
        return process, here
    code = 1
    try:
        os.close(here)
        os.write(there, json.dumps(child(order)).encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def outcome(process: int, descriptor: int) -> Order:
    with open(descriptor, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {"status": status, **(json.loads(said) if said else {})}


def obey(orders: list[Order]) -> list[Order]:
    """Carry out orders at once; one with a `delay` is killed after so many seconds."""
    children = [fork(order) for order in orders]
    for order, (process, _) in zip(orders, children, strict=True):
        if "delay" in order:
            time.sleep(order["delay"])
            os.kill(process, signal.SIGKILL)
    return [outcome(*one) for one in children]


if __name__ == "__main__":
    run.versions = lambda: VERSIONS
    run.source_commit = lambda: None
    place._PAUSE = 0.01
    # What was written outlives a process without it; waiting for the disk is only for a power cut.
    os.fsync = lambda descriptor: None
    for line in sys.stdin:
        sys.stdout.write(json.dumps(obey(json.loads(line))) + "\n")
        sys.stdout.flush()
