"""Verification finds every flipped bit, and believes nothing a manifest says about places outside."""

from __future__ import annotations

import hashlib
import json
import os
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
from interp.runs.entries import ArrayEntry, FileEntry, file_hash
from interp.runs.manifest import Manifest
from interp.runs.verify import CHECKS, Kind, check_files, strays


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
    assert len(manifest.files) == 5
    for name in manifest.files:
        path = made / name
        data = path.read_bytes()
        for changed in flipped(data, step=1):
            path.write_bytes(changed)
            assert [problem.name for problem in check_files(made, manifest)] == [name]
        path.write_bytes(data)
    assert verify(made).ok


@pytest.mark.parametrize("name", ["figures/grid.png", "index.html", "metrics.json", "config.yaml"])
def test_a_changed_file_is_named_once(made: Path, name: str) -> None:
    data = (made / name).read_bytes()
    (made / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (problem,) = verify(made).problems
    assert (problem.kind, problem.name) == (Kind.CHANGED, name)


def test_one_fault_in_the_arrays_is_named_by_the_smallest_thing_it_is_in(made: Path) -> None:
    path = made / "arrays.safetensors"
    data = path.read_bytes()
    header = int.from_bytes(data[:8], "little") + 8
    offsets = {name: entry["data_offsets"][0] for name, entry in json.loads(data[8:header]).items() if name != "__metadata__"}
    for name, offset in offsets.items():
        changed = bytearray(data)
        changed[header + offset] ^= 1
        path.write_bytes(changed)
        (problem,) = verify(made).problems
        assert (problem.kind, problem.name) == (Kind.ARRAY, name)
    # Bytes that no array is made of: the padding of the header, else its very text.
    assert data[header - 1 : header] in (b" ", b"}")
    for changed in flipped(data[:header], step=3):
        path.write_bytes(changed + data[header:])
        problems = verify(made).problems
        assert problems
        assert len({problem.kind for problem in problems}) == 1
        if problems[0].kind is Kind.CHANGED:
            assert [problem.name for problem in problems] == ["arrays.safetensors"]


def test_another_value_in_the_options_is_named_even_where_all_hashes_were_forged(made: Path) -> None:
    manifest = Manifest.read(made)
    (made / "manifest.json").write_text(replace(manifest, config=manifest.config | {"steps": 129}).to_json())
    assert [str(problem) for problem in verify(made).problems] == ["manifest: `config.steps` is 129; 256 stands in config.yaml"]


def test_a_flipped_byte_of_the_manifest_is_found(made: Path) -> None:
    path = made / "manifest.json"
    data = path.read_bytes()
    # When it was made, and how long that took, is sealed by nothing.
    free = [found.span() for found in re.finditer(rb'"(created|seconds)": [^\n]*', data)]
    for changed in flipped(data, step=61):
        at = next(place for place, (new, old) in enumerate(zip(changed, data, strict=True)) if new != old)
        if any(start <= at < stop for start, stop in free):
            continue
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
    for seal in (lambda _: None, reseal):
        seal(made)
        assert [str(problem) for problem in verify(made).problems] == [f"array: {expected}"]


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
    assert report.arrays == ()


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


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", ".directory"])
def test_what_file_managers_leave_behind_is_no_change(made: Path, tmp_path: Path, name: str) -> None:
    for folder in (made, made / "figures"):
        (folder / name).write_bytes(b"\0\0\0\1Bud1")
    assert verify(made).ok
    # Any other file is extra, and so is a link or a folder of that name.
    (made / f"{name}.png").write_bytes(b"")
    (made / name).unlink()
    (made / name).symlink_to(tmp_path)
    (made / "figures" / name).unlink()
    (made / "figures" / name).mkdir()
    (made / "figures" / name / "more.png").write_bytes(b"")
    assert set(verify(made).extra) == {f"{name}.png", name, f"figures/{name}/more.png"}


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
    text = json.dumps(value["files"], sort_keys=True, indent=2) + "\n"
    value["digests"]["files"] = hashlib.sha256(text.encode()).hexdigest()
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


def test_what_is_no_finished_run_though_it_may_be_one_is_told(made: Path, tmp_path: Path) -> None:
    assert strays(tmp_path) == strays(made) == ()
    (made / "inner").mkdir()
    for name in ("config.yaml", "arrays.safetensors", "metrics.json"):
        (made / "inner" / name).touch()  # in a run: a matter of the run
        (tmp_path / "b" / name[:4] / "deep").mkdir(parents=True)
        (tmp_path / "b" / name[:4] / "deep" / name).touch()
        (tmp_path / f".{name}.partial").mkdir()
        (tmp_path / f".{name}.partial" / name).touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    (tmp_path / "link").symlink_to(made)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").symlink_to(tmp_path / "notes" / "a.txt")
    assert strays(tmp_path) == (
        (tmp_path / "b" / "arra" / "deep", "it has no manifest.json, but the arrays.safetensors of a run"),
        (tmp_path / "b" / "conf" / "deep", "it has no manifest.json, but the config.yaml of a run"),
        (tmp_path / "b" / "metr" / "deep", "it has no manifest.json, but the metrics.json of a run"),
        (tmp_path / "broken", "it is a link to nothing"),
        (tmp_path / "link", "it is a link to a folder, and links are not followed"),
    )
    assert find(tmp_path) == (made,)


def test_a_folder_that_cannot_be_read_is_told(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refused(path: str | Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    (tmp_path / "b" / "closed").mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", refused)
    assert strays(tmp_path) == ((tmp_path / "b" / "closed", "the folder cannot be read: Permission denied"),)
