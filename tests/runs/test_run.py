"""Runs appear whole or not at all, and never in place of another."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import interp.runs.run as module
from interp.errors import InterpError
from interp.runs import FigureEntry, Run, Tolerance, array_hash, arrayfile, place
from interp.runs.manifest import Manifest

Start = Callable[[Path], Run]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def test_a_run_holds_what_was_written_and_its_hashes(made: Path) -> None:
    manifest = Manifest.read(made)
    on_disk = {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert on_disk.pop("manifest.json") == manifest.to_json().encode()
    assert {name: (entry.sha256, entry.bytes) for name, entry in manifest.files.items()} == {
        name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in on_disk.items()
    }
    assert on_disk["index.html"] == "<p>h\u00e9</p>\n".encode()
    arrays = load_file(made / "arrays.safetensors")
    assert {name: array_hash(array) for name, array in arrays.items()} == {name: entry.sha256 for name, entry in manifest.arrays.items()}
    np.testing.assert_array_equal(arrays["maps"], np.arange(12, dtype=np.float32).reshape(3, 4))
    assert arrays["scale"].shape == ()
    assert json.loads(on_disk["metrics.json"]) == {"insertion": {"value": 0.61, "random": 0.48}}
    assert yaml.safe_load(on_disk["config.yaml"]) == manifest.config
    assert manifest.command == ("interp", "tour", "--out=x y", "docs/cat.png")
    assert manifest.config == {"layer": "layer4.1.conv2", "steps": 256}
    assert str(made.parent) not in manifest.to_json()


def test_nothing_stays_beside_a_finished_run(made: Path) -> None:
    assert [path.name for path in made.parent.iterdir()] == ["made"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(made.stat().st_mode) == 0o777 & ~umask
    for path in made.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path


@pytest.mark.parametrize("error", [ValueError("boom"), KeyboardInterrupt(), SystemExit(3)])
def test_a_run_that_is_stopped_leaves_nothing(tmp_path: Path, start: Start, error: BaseException) -> None:
    def work() -> None:
        with start(tmp_path / "results" / "tour" / "one") as run:
            run.write("figures/grid.png", b"x")
            run.arrays({"a": np.zeros(2)})
            assert not (tmp_path / "results" / "tour" / "one").exists()
            raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    assert snapshot(tmp_path) == {}


def test_parents_that_hold_something_else_by_then_stay(tmp_path: Path, start: Start) -> None:
    def work() -> None:
        with start(tmp_path / "results" / "one"):
            (tmp_path / "results" / "other").write_text("mine")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert snapshot(tmp_path) == {"results": None, "results/other": b"mine"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["sync", "save_arrays", "canonical", "to_yaml", "file_hash"])
def test_a_failure_while_closing_leaves_nothing(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    def work() -> None:
        with start(tmp_path / "results" / "one") as run:
            run.arrays({"a": np.zeros(2)})
            run.metrics({"b": 1})
            monkeypatch.setattr(module, step, fail)

    expected = InterpError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        work()
    if expected is InterpError:
        assert "was not written: No space left on device; nothing was left behind" in str(caught.value)
    assert snapshot(tmp_path) == {}


def test_the_manifest_is_written_last(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    original = Path.write_bytes

    def spy(path: Path, data: bytes) -> int:
        if path.name == "manifest.json":
            seen.append(set(snapshot(path.parent)))
            assert not (tmp_path / "one").exists()
        return original(path, data)

    monkeypatch.setattr(Path, "write_bytes", spy)
    with start(tmp_path / "one") as run:
        run.write("a", b"1")
        run.arrays({"x": np.zeros(1)})
        run.metrics({"y": 1})
    assert seen == [{"a", "arrays.safetensors", "config.yaml", "metrics.json"}]
    assert set(snapshot(tmp_path / "one")) == seen[0] | {"manifest.json"}


def test_an_existing_run_is_refused_before_any_work(made: Path, start: Start) -> None:
    before = snapshot(made.parent)
    with pytest.raises(InterpError, match=r"`.*made` already holds a run of `tour` made at .*choose another .*--out"):
        start(made)
    assert snapshot(made.parent) == before


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, start: Start) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InterpError, match=r"already holds 1 entry \(`notes.txt`\); nothing is overwritten"):
        start(tmp_path)
    assert snapshot(tmp_path) == {"notes.txt": b"mine"}


def test_an_empty_folder_is_accepted(tmp_path: Path, start: Start) -> None:
    (tmp_path / "empty").mkdir()
    with start(tmp_path / "empty") as run:
        run.write("a", b"1")
    assert set(snapshot(tmp_path / "empty")) == {"a", "config.yaml", "manifest.json"}


def test_a_run_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, start: Start) -> None:
    def work() -> None:
        with start(tmp_path / "one") as run:
            run.write("a", b"late")
            (tmp_path / "one").mkdir()
            (tmp_path / "one" / "a").write_bytes(b"early")

    with pytest.raises(InterpError, match="already holds 1 entry"):
        work()
    assert snapshot(tmp_path) == {"one": None, "one/a": b"early"}


def test_even_the_rename_itself_overwrites_nothing(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with start(tmp_path / "one"):
            (tmp_path / "one").mkdir()
            (tmp_path / "one" / "a").write_bytes(b"early")
            monkeypatch.setattr(place, "refuse", lambda folder: None)

    with pytest.raises(InterpError, match="was not written: Directory not empty"):
        work()
    assert snapshot(tmp_path) == {"one": None, "one/a": b"early"}


def test_of_many_runs_for_one_folder_exactly_one_works(tmp_path: Path, start: Start) -> None:
    results: list[str] = []
    refused: list[str] = []
    gate = threading.Barrier(4)
    over = threading.Event()

    def work(number: int) -> None:
        run = start(tmp_path / "deep" / "one")
        gate.wait()
        try:
            with run:
                run.write("who", str(number).encode())
                assert over.wait(60)
            results.append(str(number))
        except InterpError as error:
            refused.append(str(error))
            if len(refused) == 3:
                over.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert refused == [f"`{tmp_path}/deep/one` is being made by another process; wait for it, or choose another folder (`--out`)"] * 3
    assert (tmp_path / "deep" / "one" / "who").read_text() == results[0]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one"]


def test_files_in_the_way_and_missing_rights_are_named_up_front(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InterpError, match="file` is a file, not a folder; choose another"):
        start(tmp_path / "file")
    with pytest.raises(InterpError, match=r"`.*deep/one` cannot be made: `.*/file` is a file, not a folder"):
        start(tmp_path / "file" / "deep" / "one")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InterpError, match="cannot be made: no permission to write in"):
        start(tmp_path / "one")
    assert snapshot(tmp_path) == {"file": b"x"}


def test_what_the_system_refuses_is_told_on_entering(tmp_path: Path, start: Start) -> None:
    run = start(tmp_path / "made" / ("x" * 250))
    with pytest.raises(InterpError, match=r"cannot be made: File name too long; choose another folder \(`--out`\)"):
        run.__enter__()
    assert snapshot(tmp_path) == {}


def test_a_link_to_an_empty_folder_is_followed(tmp_path: Path, start: Start) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with start(tmp_path / "link") as run:
        run.write("a", b"1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "a").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda run: run.write("../x", b""), "`..` leads out of the run's folder"),
        (lambda run: run.write("/x", b""), "it is not a relative path"),
        (lambda run: run.write("manifest.json", b""), "cannot be written directly: it is written last"),
        (lambda run: run.write("arrays.safetensors", b""), "cannot be written directly: use `arrays`"),
        (lambda run: run.write("metrics.json", b""), "cannot be written directly: use `metrics`"),
        (lambda run: run.write("A", b""), "`A` was already written in this run"),
        (lambda run: run.write("a/b", b""), "`a/b` cannot be written into the run .*: (File exists|Not a directory)"),
        (lambda run: run.text("t", "\ud800"), "`t`: the text is not valid Unicode at character 0"),
        (lambda run: run.arrays({"x": np.zeros(1)}), "'x' is already there"),
        (lambda run: run.arrays({"": np.zeros(1)}), "'' is not a name an array can have"),
        (lambda run: arrayfile.storable("z", [1.0]), "'z' is a list, not a numpy array; of a tensor"),
        (lambda run: run.arrays({"z": np.array(["a"])}), "arrays of dtype <U1 are not stored"),
        (lambda run: run.arrays({"../x": np.zeros(1)}), "'../x' is not a name an array can have"),
        (lambda run: [run.identity, run.arrays({"y": np.zeros(1)})], "`arrays` after the run's identity was asked for"),
        (lambda run: [run.identity, run.tolerances({"*": Tolerance.EXACT})], "`tolerances` after the run's identity was asked for"),
        (lambda run: [run.figure("f", FigureEntry("a" * 64)), run.figure("f", FigureEntry("b" * 64))], "the figure `f` is already there"),
        (lambda run: run.figure("../f", FigureEntry("a" * 64)), "`figure`: the path 'figures/../f' is refused"),
        (lambda run: run.metrics({"m": 2}), "'m' is already there"),
        (lambda run: run.metrics({"n": float("nan")}), "`metrics.n` is nan, .*use None for an undefined value"),
        (lambda run: run.__enter__(), "was already entered; create another one"),
    ],
)
def test_bad_writes_are_refused_with_their_reason(tmp_path: Path, start: Start, act: Callable[[Run], object], message: str) -> None:
    def work() -> None:
        with start(tmp_path / "one") as run:
            run.write("a", b"1")
            run.arrays({"x": np.zeros(1)})
            run.metrics({"m": 1})
            act(run)

    with pytest.raises(InterpError, match=message):
        work()
    assert snapshot(tmp_path) == {}


def test_writing_outside_the_with_is_refused(tmp_path: Path, start: Start) -> None:
    run = start(tmp_path / "one")
    with pytest.raises(InterpError, match="is not open; write inside"):
        run.write("a", b"1")
    with run:
        pass
    with pytest.raises(InterpError, match="is not open; write inside"):
        run.write("a", b"1")


def test_arrays_are_kept_as_they_were_when_handed_over(tmp_path: Path, start: Start) -> None:
    array = np.arange(4.0)[::-1]
    with start(tmp_path / "one") as run:
        run.arrays({"a": array})
        array[:] = 0
    stored = load_file(tmp_path / "one" / "arrays.safetensors")["a"]
    np.testing.assert_array_equal(stored, [3.0, 2.0, 1.0, 0.0])


def test_what_showed_itself_unrepeatable_is_recorded_once(tmp_path: Path, start: Callable[[Path], Run]) -> None:
    with start(tmp_path / "run") as run:
        run.unrepeatable(["index_add has no deterministic form"])
        run.unrepeatable(["index_add has no deterministic form", "b"])
    assert Manifest.read(tmp_path / "run").machine.unrepeatable == ("index_add has no deterministic form", "b")


def test_the_time_of_a_run_counts_from_when_its_place_was_taken(tmp_path: Path, start: Callable[[Path | place.Place], Run]) -> None:
    with place.Place(tmp_path / "run") as kept:
        kept.since -= 100.0  # what was loaded or trained before
        with start(kept):
            pass
    with start(tmp_path / "other"):
        pass
    assert 100 <= Manifest.read(tmp_path / "run").seconds < 200
    assert Manifest.read(tmp_path / "other").seconds < 100
