"""Finished images that are kept: two processes with the same command, a full disk, files that are not what was written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from interp.cli.keeping import Interrupted, keeping
from interp.errors import BadFile
from interp.featurevis import store as module
from interp.featurevis.feature import Feature
from interp.featurevis.store import FeatureStore
from interp.runs import partial

pytest.importorskip("fcntl")


@dataclass(frozen=True)
class Command:
    steps: int = 8


def image(value: float) -> Feature:
    pixels = np.full((4, 5, 3), value, dtype=np.float32)
    return Feature("conv1:0", pixels, np.arange(3, dtype=np.float32), value, False)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "kept")
    store.put("k", image(0.5))
    found = store.get("k", "conv1:0")
    assert found is not None
    np.testing.assert_array_equal(found.image, image(0.5).image)
    assert (found.final, found.dead) == (0.5, False)
    store.remove()
    assert not store.folder.exists()


def test_every_byte_counts(tmp_path: Path) -> None:
    """Cut anywhere, or with any byte changed, a file is not read as whole."""
    store = FeatureStore(tmp_path)
    store.put("k", image(0.5))
    path = tmp_path / "k.safetensors"
    data = path.read_bytes()
    for place in range(0, len(data), 3):
        path.write_bytes(data[:place])
        assert store.get("k", "u") is None
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        found = store.get("k", "u")
        assert found is None, place
    path.write_bytes(data)
    assert store.get("k", "u") is not None


def test_pixels_that_are_not_those_written_are_not_taken(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put("k", image(0.5))
    arrays = load_file(tmp_path / "k.safetensors")
    arrays["image"][0, 0, 0] = 0.25
    save_file(arrays, tmp_path / "k.safetensors")
    assert store.get("k", "u") is None


def test_a_full_disk_is_told_in_one_line_and_what_is_kept_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work() -> None:
        with keeping(tmp_path, Command()) as kept:
            kept.store.put("a", image(0.5))
            monkeypatch.setattr(module, "save_arrays", full)
            kept.store.put("b", image(0.5))

    with pytest.raises(
        BadFile, match=r"^finished images cannot be kept in `.*kept`: No space left on device; .*; 1 image finished are kept"
    ):
        work()
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["a.safetensors", "lock"]
    monkeypatch.undo()
    with keeping(tmp_path, Command()) as kept:
        assert kept.store.get("a", "u") is not None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_full_from_the_first_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work() -> None:
        with keeping(tmp_path / "results" / "visualize", Command()) as kept:
            monkeypatch.setattr(partial, "sync", full)
            kept.store.put("a", image(0.5))

    with pytest.raises(BadFile, match=r"No space left on device; make room, or choose another folder$"):
        work()
    assert list(tmp_path.iterdir()) == []


def test_the_first_to_finish_leaves_the_others_images(tmp_path: Path) -> None:
    with keeping(tmp_path, Command()) as one:
        one.store.put("a", image(0.1))
        with keeping(tmp_path, Command()) as other:
            assert other.store.get("a", "u") is not None
            other.store.put("b", image(0.2))
        # The other is done, and nothing was taken away.
        assert len(one.store) == 2
        assert one.store.get("b", "u") is not None
        one.store.put("c", image(0.3))
    assert list(tmp_path.iterdir()) == []


def test_the_last_to_finish_removes_them(tmp_path: Path) -> None:
    with keeping(tmp_path, Command()) as other:
        with keeping(tmp_path, Command()) as one:
            one.store.put("a", image(0.1))
        # Nothing of the other's was in there, and it did not hold what was not yet there.
        assert list(tmp_path.iterdir()) == []
        other.store.put("b", image(0.2))
        assert other.store.get("b", "u") is not None
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_interrupted_leaves_them_to_the_other(tmp_path: Path) -> None:
    def stopped() -> None:
        with keeping(tmp_path, Command()) as other:
            other.store.put("b", image(0.2))
            raise KeyboardInterrupt

    with keeping(tmp_path, Command()) as one:
        one.store.put("a", image(0.1))
        with pytest.raises(Interrupted, match="2 images finished are kept"):
            stopped()
        assert len(one.store) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from interp.runs.lock import Lock\n"
        "held = Lock.take(Path(sys.argv[1]), shared=True); assert held; os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / ".k.123").write_bytes(b"half")
    assert subprocess.run([sys.executable, "-c", script, str(folder)]).returncode == -9
    store = FeatureStore(folder)
    assert len(store) == 0
    store.put("a", image(0.5))
    store.remove()
    assert not folder.exists()
