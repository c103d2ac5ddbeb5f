"""Folders that appear whole: a process killed in the middle leaves nothing that counts, and what it leaves goes in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interp.errors import BadFile
from interp.site.microscope.placing import sweep, whole, write

WRITER = """
import sys, time
from pathlib import Path
from interp.site.microscope.placing import whole
with whole(Path(sys.argv[1])) as inside:
    (inside / "index.html").write_text("new")
    print("half", flush=True)
    time.sleep(60)
"""


def test_killed_in_the_middle_the_old_one_stays_and_the_next_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "conv1"
    with whole(folder) as inside:
        (inside / "index.html").write_text("old")
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (folder / "index.html").read_text() == "old"
    left = [path for path in tmp_path.iterdir() if path != folder]
    assert len(left) == 1
    # Another writer may still be at work on it: only what is an hour old goes.
    sweep(folder)
    assert left[0].exists()
    past = time.time() - 7200
    os.utime(left[0], (past, past))
    with whole(folder) as inside:
        (inside / "index.html").write_text("newer")
        (inside / "units.js").write_text("")
    assert (folder / "index.html").read_text() == "newer"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_was_in_the_old_folder_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "conv1"
    for names in (("a", "b"), ("b",)):
        with whole(folder) as inside:
            for name in names:
                (inside / name).write_text(name)
    assert [path.name for path in folder.iterdir()] == ["b"]


def test_the_disks_refusal_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match=r"conv1` cannot be written"), whole(tmp_path / "file" / "conv1"):
        pass
    with pytest.raises(BadFile, match=r"a` cannot be written"):
        write(tmp_path / "file" / "a", "text")

    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(BadFile, match=r"cannot be written: No space left on device"), whole(tmp_path / "conv1"):
        full()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_so_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write(path, "text")
    os.utime(path, (1, 1))
    write(path, "text")
    assert path.stat().st_mtime == 1
    write(path, "other")
    assert path.read_text() == "other"
