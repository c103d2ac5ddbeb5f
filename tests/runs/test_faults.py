"""Runs survive everything: at whatever moment a process is killed, stopped or refused by the disk, a run is whole or not there."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interp.runs import verify
from interp.runs.verify import find

pytest.importorskip("fcntl")
CHILD = Path(__file__).with_name("faults_child.py")
Outcome = dict[str, Any]
Obey = Callable[..., list[Outcome]]


@pytest.fixture(scope="module")
def obey() -> Iterator[Obey]:
    """Has a small process carry out orders, all of one call at once."""
    with subprocess.Popen([sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def order(*orders: Outcome) -> list[Outcome]:
            process.stdin.write(json.dumps(orders) + "\n")
            process.stdin.flush()
            found: list[Outcome] = json.loads(process.stdout.readline())
            return found

        yield order
        process.stdin.close()


def written(obey: Obey, out: Path, **more: object) -> None:
    (found,) = obey({"out": str(out), **more})
    assert found["said"] == "written", found


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Results:
    """A folder with an earlier run in it, and what must hold of it whatever happens to a later one."""

    def __init__(self, obey: Obey, folder: Path) -> None:
        self.obey, self.folder = obey, folder
        written(obey, folder / "earlier")
        self.earlier = files(folder / "earlier")
        self.whole = 0

    def whole_or_nothing(self, name: str, hidden: bool = True, again: bool = True) -> None:
        """Also that the next start works and leaves nothing hidden (with `again`), where `hidden` remains may be left."""
        assert files(self.folder / "earlier") == self.earlier
        runs = {run.name for run in find(self.folder)}
        assert runs in ({"earlier"}, {"earlier", name})
        there = {path.name for path in self.folder.iterdir()}
        assert there - {f".{name}.partial"} == runs
        if not hidden:
            assert there == runs
        if name in runs:
            assert verify(self.folder / name).ok
            self.whole += 1
        if not again:
            return
        later = f"{name}-after" if name in runs else name
        written(self.obey, self.folder / later)
        assert self.folder / later in find(self.folder)
        assert {path.name for path in self.folder.iterdir()} <= {"earlier", name, f"{name}-after"}

    def clear(self, name: str) -> None:
        for run in (name, f"{name}-after"):
            shutil.rmtree(self.folder / run, ignore_errors=True)


@pytest.fixture
def results(obey: Obey, tmp_path: Path) -> Results:
    return Results(obey, tmp_path / "results")


def test_killed_at_random_moments(obey: Obey, results: Results) -> None:
    begun = time.monotonic()
    written(obey, results.folder / "measured", files=40)
    taken = time.monotonic() - begun
    results.clear("measured")
    chance = random.Random(0)
    fallen = 0
    for number in range(60):
        name = f"run{number}"
        (found,) = obey({"out": str(results.folder / name), "files": 40, "delay": chance.uniform(0, 1.1 * taken)})
        assert found["status"] in (0, -9)
        fallen += found["status"] == -9
        results.whole_or_nothing(name)
        results.clear(name)
    assert fallen >= 30


def moments(obey: Obey, results: Results, kind: str, action: str) -> list[int]:
    """Every call; of the lines the last time that each is executed."""
    (found,) = obey({"out": str(results.folder / "counted"), "moments": kind, "action": action})
    assert found["said"] == "written"
    results.clear("counted")
    if kind == "calls":
        return list(range(found["count"]))
    seen = [tuple(line) for line in found["seen"]]
    return sorted({line: moment for moment, line in enumerate(seen)}.values())


@pytest.mark.parametrize("kind", ["calls", "lines"])
def test_killed_at_every_moment(obey: Obey, results: Results, kind: str) -> None:
    at = moments(obey, results, kind, "kill")
    assert len(at) > {"calls": 30, "lines": 100}[kind]
    for moment in at:
        (found,) = obey({"out": str(results.folder / "one"), "moments": kind, "action": "kill", "at": moment})
        assert found["status"] == -9
        results.whole_or_nothing("one", again=moment % (2 if kind == "calls" else 5) == 0)
        results.clear("one")
    assert 0 < results.whole < len(at) / 3  # killed before and behind the rename


@pytest.mark.parametrize("kind", ["calls", "lines"])
def test_stopped_at_every_moment(obey: Obey, results: Results, kind: str) -> None:
    """Ctrl-C is raised once: at a call of the disk nothing may remain at all, unless it was a call that cleans up."""
    at = moments(obey, results, kind, "stop")
    for moment in at:
        (found,) = obey({"out": str(results.folder / "one"), "moments": kind, "action": "stop", "at": moment})
        assert found["said"] == "stopped", found
        results.whole_or_nothing("one", again=moment % (2 if kind == "calls" else 5) == 0)
        results.clear("one")
    assert 0 < results.whole < len(at) / 3


def test_refused_by_a_full_disk_at_every_write(obey: Obey, results: Results) -> None:
    at = moments(obey, results, "calls", "full")
    assert len(at) > 25
    stood = 0
    for moment in at:
        (found,) = obey({"out": str(results.folder / "one"), "moments": "calls", "action": "full", "at": moment})
        if found["said"] == "written":  # after the rename nothing is asked of the disk that would matter
            stood += 1
        else:
            assert found["said"].startswith("refused: `")
            assert found["said"].count("No space left on device") == 1
            assert "\n" not in found["said"]
            assert not (results.folder / "one").exists()
        results.whole_or_nothing("one", hidden=False)
        results.clear("one")
    assert stood <= 3
