"""Windows, as far as it can be told without one: paths, folders that cannot be synced, names that are taken, processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
from safetensors import SafetensorError

from interp.proof import replay
from interp.runs import arrayfile, partial, place
from interp.runs.entries import reference
from interp.runs.inputs import beside, in_folder
from interp.runs.place import Place
from interp.runs.plain import portable
from interp.zoo.reference import _OWN


@pytest.mark.parametrize(
    ("typed", "recorded"),
    [
        (r"photos\cat.png", "photos/cat.png"),
        (r"C:\Users\somebody\photos\cat.png", "cat.png"),
        (r"C:cat.png", "cat.png"),
        (r"\photos\cat.png", "cat.png"),
        (r"\\server\share\photos\cat.png", "cat.png"),
        (r"..\photos\cat.png", "cat.png"),
        ("C:\\", "."),
        ("photos/cat.png", "photos/cat.png"),
    ],
)
def test_a_path_of_windows_is_recorded_without_where_it_lay(typed, recorded):
    assert reference(PureWindowsPath(typed)) == recorded


@pytest.mark.parametrize(
    ("typed", "recorded"), [("photos/cat.png", "photos/cat.png"), ("/home/x/cat.png", "cat.png"), ("../cat.png", "cat.png"), ("..", ".")]
)
def test_other_paths_are_recorded_as_before(typed, recorded):
    assert reference(PurePosixPath(typed)) == recorded


def test_files_of_a_folder_on_windows_go_by_its_name():
    assert in_folder(PureWindowsPath(r"D:\data\masks"), PureWindowsPath(r"dogs\one.png")) == "masks/dogs/one.png"
    assert in_folder(PureWindowsPath(r"data\masks"), PureWindowsPath("one.png")) == "data/masks/one.png"
    assert beside(PureWindowsPath(r"D:\nets\net.py"), PureWindowsPath(r"parts\block.py")) == "parts/block.py"
    assert beside(PureWindowsPath(r"nets\net.py"), PureWindowsPath("block.py")) == "nets/block.py"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r"C:\Users\somebody\net.py:make", "net.py:make"),
        (r"\\server\share\cat.png", "cat.png"),
        (r"..\cats", "cats"),
        (r"--out=C:\runs\one", "--out=one"),
        ("layer1.0.conv1:3", "layer1.0.conv1:3"),
    ],
)
def test_options_lose_the_folders_of_windows_too(text, kept):
    assert portable(text) == kept


@pytest.mark.parametrize(
    ("text", "path", "factory"),
    [
        (r"C:\nets\net.py:make", r"C:\nets\net.py", "make"),
        ("C:/nets/net.py:make", "C:/nets/net.py", "make"),
        (r"nets\net.py", r"nets\net.py", None),
    ],
)
def test_the_colon_of_a_drive_is_not_the_one_before_the_function(text, path, factory):
    match = _OWN.fullmatch(text)
    assert match is not None
    assert (match["path"], match["factory"]) == (path, factory)


def test_folders_are_not_synced_on_windows_and_files_are_open_for_writing(tmp_path, monkeypatch):
    opened: list[tuple[str, int]] = []
    really = os.open

    def watched(path: Path, flags: int, *rest: int) -> int:
        opened.append((Path(path).name, flags & (os.O_RDONLY | os.O_RDWR | os.O_WRONLY)))
        return really(path, flags, *rest)

    (tmp_path / "file").write_bytes(b"data")
    monkeypatch.setattr(os, "open", watched)
    partial.sync(tmp_path / "file")
    partial.sync(tmp_path)
    assert opened == [("file", os.O_RDONLY), (tmp_path.name, os.O_RDONLY)]
    opened.clear()
    monkeypatch.setattr(partial, "_WINDOWS", True)
    partial.sync(tmp_path / "file")
    partial.sync(tmp_path)
    assert opened == [("file", os.O_RDWR)]
    assert (tmp_path / "file").read_bytes() == b"data"


def strict_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where no folder takes the name of another, empty or not."""
    really = os.rename

    def rename(source: Path, target: Path) -> None:
        if os.path.lexists(target):
            raise FileExistsError(17, "File exists", str(target))
        really(source, target)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(place, "_WINDOWS", True)


def test_an_empty_folder_is_filled_on_windows(tmp_path, monkeypatch):
    strict_rename(monkeypatch)
    (tmp_path / "run").mkdir()
    with Place(tmp_path / "run") as made:
        (made.inside / "file").write_text("whole", encoding="utf-8")
        made.publish()
    assert (tmp_path / "run" / "file").read_text(encoding="utf-8") == "whole"
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_was_filled_meanwhile_is_left_alone_on_windows(tmp_path, monkeypatch):
    strict_rename(monkeypatch)
    with Place(tmp_path / "run") as made:
        (made.inside / "file").write_text("mine", encoding="utf-8")
        monkeypatch.setattr(made, "check", lambda: (tmp_path / "run").mkdir() or (tmp_path / "run" / "file").write_text("other"))
        with pytest.raises(OSError, match=r"not empty|File exists"):
            made.publish()
    assert (tmp_path / "run" / "file").read_text(encoding="utf-8") == "other"


def test_a_process_is_ended_where_there_are_no_groups(monkeypatch):
    monkeypatch.delattr(os, "killpg")
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    replay._kill(process)
    assert process.wait(timeout=30) != 0
    replay._kill(process)  # that is gone already


@pytest.mark.parametrize(
    "words",
    [
        "Error while serializing: I/O error: File too large (os error 27)",
        'Error while serializing: IoError(Os { code: 27, kind: FileTooLarge, message: "File too large" })',
    ],
)
def test_what_the_disk_says_is_told_in_the_words_of_the_system_by_every_safetensors(tmp_path, monkeypatch, words):
    def refused(*_: object) -> None:
        raise SafetensorError(words)

    monkeypatch.setattr(arrayfile, "save_file", refused)
    with pytest.raises(OSError, match=r"^\[Errno 27\] File too large$"):
        arrayfile.save_arrays({"a": np.zeros(3)}, tmp_path / "arrays.safetensors")
