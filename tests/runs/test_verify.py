"""Verification finds every flipped bit, and believes nothing a manifest says about places outside."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from interp.errors import InterpError
from interp.runs import Problem, find, verify
from interp.runs.manifest import ArrayEntry, FileEntry, Manifest, file_hash
from interp.runs.verify import CHECKS, Kind, check_files


def test_a_run_as_it_was_made_is_sound(made: Path) -> None:
    report = verify(made)
    assert report.ok
    assert report.problems == ()
    assert report.manifest == Manifest.read(made)


def flipped(data: bytes, step: int) -> Iterator[bytes]:
    for position in range(0, len(data), step):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        yield bytes(changed)


def test_every_flipped_byte_of_every_file_is_found(made: Path) -> None:
    manifest = Manifest.read(made)
    assert len(manifest.files) == 4
    for name in manifest.files:
        path = made / name
        data = path.read_bytes()
        for changed in flipped(data, step=1):
            path.write_bytes(changed)
            assert [problem.name for problem in check_files(made, manifest)] == [name]
        assert verify(made).changed == (name,)
        path.write_bytes(data)
    assert verify(made).ok


def test_a_flipped_byte_of_the_manifest_is_found(made: Path) -> None:
    path = made / "manifest.json"
    data = path.read_bytes()
    for changed in flipped(data, step=61):
        path.write_bytes(changed)
        with pytest.raises(InterpError, match=re.escape(f"{path}: ")):
            verify(made)


def reseal(folder: Path) -> None:
    """Forge the manifest so that the files' hashes fit, as someone would who changed an array on purpose."""
    manifest = Manifest.read(folder)
    files = {name: FileEntry(*file_hash(folder / name)) for name in manifest.files}
    (folder / "manifest.json").write_text(replace(manifest, files=files).to_json())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda maps: np.nextafter(maps, np.float32(99)), "maps: other values of the same float32 [3, 4]"),
        (lambda maps: maps.reshape(4, 3), "maps: float32 [4, 3], float32 [3, 4] was written"),
        (lambda maps: maps.view(np.int32), "maps: int32 [3, 4], float32 [3, 4] was written"),
    ],
)
def test_a_changed_array_is_found_even_in_a_file_whose_hash_was_forged(made: Path, change: object, expected: str) -> None:
    assert callable(change)
    path = made / "arrays.safetensors"
    arrays = load_file(path)
    save_file(arrays | {"maps": change(arrays["maps"])}, path)
    assert verify(made).changed == ("arrays.safetensors",)
    reseal(made)
    report = verify(made)
    assert report.arrays == ("maps",)
    assert [str(problem) for problem in report.problems] == [f"array: {expected}"]


def test_arrays_that_came_or_went_are_found(made: Path) -> None:
    path = made / "arrays.safetensors"
    arrays = load_file(path)
    save_file({"maps": arrays["maps"], "new": arrays["scale"]}, path)
    reseal(made)
    assert verify(made).arrays == ("scale", "new")
    path.write_bytes(b"not safetensors")
    reseal(made)
    assert "its arrays cannot be read" in str(verify(made).problems[0])
    path.unlink()
    report = verify(made)
    assert report.missing == ("arrays.safetensors",)
    assert report.arrays == ("maps", "scale")


def test_missing_changed_and_extra_files_are_told_apart(made: Path) -> None:
    (made / "figures" / "grid.png").unlink()
    (made / "index.html").write_bytes(b"longer than it was before, by far")
    (made / "figures" / "more.png").write_bytes(b"")
    (made / ".hidden").write_bytes(b"")
    report = verify(made)
    assert not report.ok
    assert report.missing == ("figures/grid.png",)
    assert report.changed == ("index.html",)
    assert report.extra == (".hidden", "figures/more.png")
    assert report.arrays == ()


def test_links_are_not_followed(made: Path, tmp_path: Path) -> None:
    target = made / "index.html"
    shutil.copy(target, tmp_path / "copy.html")
    target.unlink()
    target.symlink_to(tmp_path / "copy.html")
    shutil.move(made / "figures", tmp_path / "figures")
    (made / "figures").symlink_to(tmp_path / "figures")
    report = verify(made)
    assert report.changed == ("index.html",)
    assert report.missing == ("figures/grid.png",)
    assert report.extra == ("figures",)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "figures/../../secret", "C:/secret", "a\\..\\b"])
def test_a_manifest_that_leads_outside_is_refused(made: Path, path: str) -> None:
    (made.parent / "secret").write_bytes(b"secret")
    value = json.loads((made / "manifest.json").read_text())
    value["files"][path] = {"sha256": hashlib.sha256(b"secret").hexdigest(), "bytes": 6}
    del value["digest"]
    text = json.dumps(value, sort_keys=True, indent=2) + "\n"
    value["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (made / "manifest.json").write_text(json.dumps(value, sort_keys=True, indent=2) + "\n")
    with pytest.raises(InterpError, match=r"manifest.json: .*(is refused|holds an absolute path)"):
        verify(made)


def test_a_run_without_arrays_or_metrics_is_sound(tmp_path: Path, made: Path) -> None:
    manifest = Manifest.read(made)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "manifest.json").write_text(replace(manifest, arrays={}, files={}).to_json())
    assert verify(tmp_path / "bare").ok
    listed = replace(manifest, arrays={"a": ArrayEntry("0" * 64, "int8", ())}, files={})
    (tmp_path / "bare" / "manifest.json").write_text(listed.to_json())
    assert verify(tmp_path / "bare").arrays == ("a",)


def test_other_checks_can_be_added(made: Path) -> None:
    def rendered(folder: Path, manifest: Manifest) -> Iterator[Problem]:
        assert (folder, manifest.seed) == (made, 7)
        yield Problem(Kind.CHANGED, "figures/grid.png", "renders to other pixels")

    report = verify(made, (*CHECKS, rendered))
    assert [str(problem) for problem in report.problems] == ["changed: figures/grid.png: renders to other pixels"]


def test_runs_are_found_below_a_folder(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "b" / "deep")
    shutil.copytree(made, tmp_path / ".unfinished.partial")
    shutil.copytree(made, made / "inner")
    assert find(tmp_path) == (tmp_path / "b" / "deep", made)
    assert find(made) == (made,)
    (tmp_path / "empty").mkdir()
    assert find(tmp_path / "empty") == ()
    with pytest.raises(InterpError, match="is not a folder; runs are looked for in folders"):
        find(tmp_path / "nowhere")
    with pytest.raises(InterpError, match="is no finished run"):
        verify(tmp_path / "empty")
