"""The record of what was verified: by whole manifests, whole files, and whoever else writes it at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from proving import lay_files, make

from interp.errors import BadFile
from interp.proof import record
from interp.proof.record import Recorded, read_record, update_record
from interp.proof.verdict import Verdict
from interp.runs import About, FigureEntry, Manifest
from interp.runs.entries import FileEntry

FOUND = Recorded(Verdict.IDENTICAL, "", None, "", "a processor", "2.0", 1.0)


def seal(number: int) -> str:
    return f"{number:064x}"


def test_a_seal_is_of_all_that_a_manifest_says_but_the_times(tmp_path: Path) -> None:
    lay_files(tmp_path)
    manifest = Manifest.read(make(tmp_path / "made", tmp_path))
    again = replace(manifest, created="2030-01-01T00:00:00+00:00", seconds=1e3)
    assert again.seal == manifest.seal
    others = [
        replace(manifest, figures={"grid": FigureEntry("b" * 64, "a grid", "It proves all.")}),
        replace(manifest, files=manifest.files | {"figures/grid.png": FileEntry("c" * 64, 3)}),
        replace(manifest, about=About("Another title")),
        replace(manifest, seed=1),
        replace(manifest, arrays={}),
    ]
    assert len({manifest.seal, *(other.seal for other in others)}) == len(others) + 1
    assert {other.identity for other in others[:3]} == {manifest.identity}


def test_what_is_added_is_read_back_beside_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "verified.json"
    update_record(path, {seal(1): FOUND, seal(2): FOUND})
    other = replace(FOUND, verdict=Verdict.WITHIN, difference=0.5, largest="maps: 3e-06")
    update_record(path, {seal(2): other})
    assert read_record(path) == {seal(1): FOUND, seal(2): other}
    assert os.listdir(tmp_path) == ["verified.json"]


WRITES = """
import sys
from pathlib import Path
from interp.proof.record import Recorded, update_record
from interp.proof.verdict import Verdict
first = int(sys.argv[2])
for number in range(first, first + 30):
    update_record(Path(sys.argv[1]), {f"{number:064x}": Recorded(Verdict.IDENTICAL, "", None, "", "a processor", "2.0", 1.0)})
"""


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "verified.json"
    writers = [subprocess.Popen([sys.executable, "-c", WRITES, str(path), str(first)]) for first in (0, 100, 200)]
    assert [writer.wait(timeout=100) for writer in writers] == [0, 0, 0]
    assert sorted(read_record(path)) == [seal(first + number) for first in (0, 100, 200) for number in range(30)]
    assert os.listdir(tmp_path) == ["verified.json"]


def test_a_writer_whose_turn_comes_as_the_lock_is_removed_takes_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, mkdir = [], os.mkdir

    def removed_meanwhile(path: Path, mode: int = 0o777) -> None:
        made.append(path)
        if len(made) == 1:
            raise FileExistsError(17, "File exists", str(path))
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", removed_meanwhile)
    update_record(tmp_path / "verified.json", {seal(1): FOUND})
    assert len(made) == 2
    assert os.listdir(tmp_path) == ["verified.json"]


def test_what_killed_writers_left_stops_nobody_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "verified.json"
    (tmp_path / ".verified.json.lock").mkdir()
    (tmp_path / ".verified.json.lock" / "lock").touch()
    left = tmp_path / ".verified.json.0123abcd.partial"
    left.write_bytes(b"half")
    hour_ago = time.time() - 3700
    os.utime(left, (hour_ago, hour_ago))
    update_record(path, {seal(1): FOUND})
    assert os.listdir(tmp_path) == ["verified.json"]


def test_a_record_that_cannot_be_written_is_told_and_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "verified.json"
    update_record(path, {seal(1): FOUND})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadFile, match=r"^the record `.*verified.json` cannot be written: No space left on device$"):
        update_record(path, {seal(2): FOUND})
    assert list(read_record(path)) == [seal(1)]
    assert os.listdir(tmp_path) == ["verified.json"]
    with pytest.raises(BadFile, match=r"cannot be written: No such file or directory$"):
        update_record(tmp_path / "nowhere" / "verified.json", {seal(2): FOUND})


def test_where_there_are_no_locks_it_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record.Lock, "take", lambda *_, **__: None)
    update_record(tmp_path / "verified.json", {seal(1): FOUND})
    assert os.listdir(tmp_path) == ["verified.json"]
