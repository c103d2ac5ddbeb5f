"""A few hundred inputs to each parser, as ``benchmarks/fuzz.py`` makes them by the hundred thousand; and what it counts as a failure."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from pathlib import Path

import pytest
from fuzzing import seeds, targets, watch
from fuzzing.targets import TARGETS, Target
from fuzzing.watch import Limits

from interp.errors import BadFile, InterpError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are limited and watched as Linux does it")


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_are_read_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, where the annotations of interp are checked as it goes, and warnings are errors."""
    monkeypatch.chdir(tmp_path)
    target, read = TARGETS[name](), 0
    for number in range(100):
        data = target.make(seeds.generator(7, name, number))
        try:
            target.parse(data, tmp_path)
            read += 1
        except InterpError:
            pass
    assert 0 < read < 100  # inputs of both kinds


def test_an_input_can_be_made_again() -> None:
    for name in ("units", "pictures"):
        first, second = TARGETS[name](), TARGETS[name]()
        made = [first.make(seeds.generator(3, name, number)) for number in range(20)]
        assert made == [second.make(seeds.generator(3, name, number)) for number in range(20)]
        assert len(set(made)) > 15


def never_ends(data: bytes, folder: Path) -> None:
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def grows(data: bytes, folder: Path) -> None:
    bytearray(1 << 31).decode("latin-1")


FAILURES = {
    "a crash": (lambda data, folder: {}["x"], "KeyError"),
    "no end": (never_ends, "longer than 0.3 s"),
    "memory": (grows, "MemoryError"),
    "a signal": (lambda data, folder: os.abort(), "the child died: signal SIGABRT"),
    "an exit": (lambda data, folder: os._exit(0), "the child died"),
    "a file": (lambda data, folder: (folder.parent / "x").write_bytes(b""), "touched: open"),
    "a folder": (lambda data, folder: (folder.parent / "y").mkdir(), "touched: os.mkdir"),
    "a program": (lambda data, folder: os.system("true"), "touched: os.system"),
    "code": (lambda data, folder: pickle.loads(pickle.dumps(seeds.Call())), "touched: os.system"),
    "a connection": (lambda data, folder: socket.create_connection(("127.0.0.1", 9), 0.1), "touched: socket.connect"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_seen(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third input fails; the others are read and refused in turn."""
    fails, said = FAILURES[kind]

    def parse(data: bytes, folder: Path) -> None:
        if data[0] % 3 == 1:
            fails(data, folder)
        if data[0] % 3 == 2:
            raise BadFile("no")

    numbers = iter(range(100))
    monkeypatch.setattr(targets, "TARGETS", {"x": lambda: Target(lambda rng: bytes([next(numbers)]), parse)})
    monkeypatch.setattr(watch, "TARGETS", targets.TARGETS)
    box = tmp_path / "box"
    box.mkdir()
    tally = watch.fuzz("x", 3, 0, box, Limits(seconds=0.3, memory=1.0))
    assert tally.outcomes["failed"] == 1
    ((found, (number, _)),) = tally.failures.items()
    assert found.startswith(said)
    assert number == 1
