"""Files written whole, and what killed writers left of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from interp.runs.partial import partial_of, sweep, write_whole


def aged(path: Path, seconds: float) -> Path:
    path.write_bytes(b"half")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, full)
            with pytest.raises(OSError, match="No space left"):
                write_whole(path, b"three")
        assert path.read_bytes() == b"two"
        assert os.listdir(tmp_path) == ["a.json"]


def test_what_a_killed_writer_left_is_removed_at_the_next_write_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a[1].json"
    left = aged(partial_of(path), 3700)
    kept = [
        aged(partial_of(path), 60),  # somebody may still be at work
        aged(partial_of(tmp_path / "a1.json"), 3700),
        aged(partial_of(tmp_path / "b.json"), 3700),
        aged(tmp_path / ".a[1].json.0123456.partial", 3700),
        aged(tmp_path / ".a[1].json.01234567.partial.png", 3700),
        aged(tmp_path / ".a[1].json.0123456G.partial", 3700),
        aged(tmp_path / "a[1].json.01234567.partial", 3700),
    ]
    folder = tmp_path / ".a[1].json.01234567.partial"
    folder.mkdir()
    os.utime(folder, (0, 0))
    write_whole(path, b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, folder, *kept])
    assert not left.exists()


def test_a_link_of_such_a_name_is_left_alone(tmp_path: Path) -> None:
    target = aged(tmp_path / "mine", 3700)
    link = tmp_path / ".a.01234567.partial"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    sweep(tmp_path / "a")
    assert target.exists()
    assert link.is_symlink()
    sweep(tmp_path / "nowhere" / "a")
