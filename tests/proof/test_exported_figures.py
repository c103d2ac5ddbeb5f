"""Figures leave a run whole, with where they come from, or not at all."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from stamped_runs import stamped_run

import interp.proof.export as module
from interp.errors import BadFile, InterpError
from interp.figures import FORMATS
from interp.proof.export import export
from interp.proof.stamped import read_stamp
from interp.proof.whence import whence
from interp.runs import verify
from interp.runs.manifest import Manifest


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Read only: tests that change a run make their own."""
    return stamped_run(tmp_path_factory.mktemp("export") / "run", 1)


def snapshot(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_all_figures_in_all_formats_with_a_sidecar_each(run, tmp_path):
    written = export(run, tmp_path / "paper" / "figs")
    names = [f"tour-{stem}.{end}" for stem in ("cat", "dog") for end in (*sorted(FORMATS), "provenance.json")]
    assert [path.name for path in written] == names
    assert sorted(names) == sorted(os.listdir(tmp_path / "paper" / "figs"))
    for path in written:
        if path.suffix != ".json":
            assert path.read_bytes() == (run / "figures" / path.name.removeprefix("tour-")).read_bytes()
            assert whence(path, [run]).unchanged
    assert verify(run).ok


def test_the_sidecar_says_where_from_and_how_to_check(run, tmp_path, monkeypatch):
    monkeypatch.chdir(run.parent)
    export(Path("run"), tmp_path, ["cat"], ["pdf"])
    told = json.loads((tmp_path / "tour-cat.provenance.json").read_text())
    manifest = Manifest.read(run)
    assert told["identity"] == manifest.identity == read_stamp(tmp_path / "tour-cat.pdf").identity
    assert (told["experiment"], told["figure"], told["caption"], told["alt"]) == ("tour", "cat", "What a cat is.", "A cat.")
    assert told["command"] == ["interp", "tour", "--seed", "1"]
    assert told["config"] == {"layer": "conv1", "steps": 8}
    assert told["model"] == {"reference": "tiny", "weights": "trained", "weights_sha256": "a" * 64, "parameters": 10}
    assert told["inputs"] == [{"name": "cat.png", "sha256": hashlib.sha256(b"cat").hexdigest(), "role": "picture"}]
    assert told["commit"] == (None if manifest.commit is None else {"hash": manifest.commit.hash, "dirty": manifest.commit.dirty})
    assert told["files"]["tour-cat.pdf"]["sha256"] == hashlib.sha256((tmp_path / "tour-cat.pdf").read_bytes()).hexdigest()
    assert told["verify"][0] == "interp verify run"
    assert str(run.parent) not in (tmp_path / "tour-cat.provenance.json").read_text()


def test_only_what_was_asked_for(run, tmp_path):
    written = export(run, tmp_path, ["c*"], ["pdf", "webp"])
    assert [path.name for path in written] == ["tour-cat.pdf", "tour-cat.webp", "tour-cat.provenance.json"]
    export(run, tmp_path, ["dog"], ["svg"], name="Fig_2.b")
    assert {"Fig_2.b.svg", "Fig_2.b.provenance.json"} < set(os.listdir(tmp_path))


def test_again_is_fine_and_other_formats_may_follow(run, tmp_path):
    first = export(run, tmp_path, formats=["pdf"])
    before, times = snapshot(tmp_path), [path.stat().st_mtime_ns for path in first]
    assert export(run, tmp_path, formats=["pdf"]) == first
    assert (snapshot(tmp_path), [path.stat().st_mtime_ns for path in first]) == (before, times)
    export(run, tmp_path, formats=["svg"])
    assert before.items() < snapshot(tmp_path).items()


def test_another_file_of_that_name_is_replaced_only_by_force(run, tmp_path):
    (tmp_path / "tour-dog.pdf").write_bytes(b"mine")
    with pytest.raises(BadFile, match=r"tour-dog.pdf` is already there, and is another file; nothing was exported: give --force"):
        export(run, tmp_path)
    assert snapshot(tmp_path) == {"tour-dog.pdf": b"mine"}
    export(run, tmp_path, force=True)
    assert (tmp_path / "tour-dog.pdf").read_bytes() == (run / "figures/dog.pdf").read_bytes()


def test_a_folder_in_the_way_is_told(run, tmp_path):
    (tmp_path / "tour-dog.pdf").mkdir()
    with pytest.raises(BadFile, match=r"tour-dog.pdf` is in the way and cannot be read"):
        export(run, tmp_path, force=True)
    assert os.listdir(tmp_path) == ["tour-dog.pdf"]


def full_disk(work, after):
    """``work`` of a path, which fails once after so many calls."""
    calls = iter(range(100))

    def fails(path, other):
        if next(calls) == after:
            raise OSError(28, "No space left on device")
        return work(path, other)

    return fails


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_all_or_nothing(run, tmp_path, monkeypatch, step):
    """Wherever the disk gives up, the folder is as it was; one that was made for it is gone."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "tour-cat.pdf").write_bytes(b"mine")
    for after in range(10):  # files
        for folder in (tmp_path / "kept", tmp_path / "new" / "er"):
            with monkeypatch.context() as patch:
                patch.setattr(module.Path, step, full_disk(getattr(Path, step), after))
                with pytest.raises(BadFile, match=r"cannot write into `.*`: No space left on device; nothing was exported"):
                    export(run, folder, force=True)
            assert snapshot(tmp_path) == {"kept/tour-cat.pdf": b"mine"}
            assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"figures": ["bird"]}, r"the run of `tour` has no figure `bird`: there is cat, dog"),
        ({"figures": ["cat", "dgo"]}, r"has no figure `dgo`: did you mean 'dog'\?"),
        ({"formats": ["eps"]}, r"the figure `cat` was not written as eps, only as pdf, png, svg, webp: make it with"),
        ({"name": "fig1"}, r"--name fig1 is for one figure, not 2 \(cat, dog\): choose one with --figures"),
        ({"figures": ["cat"], "name": "../fig 1"}, r"--name '../fig 1' is no plain file name: .* such as fig-1"),
        ({"figures": ["cat"], "name": ""}, r"--name '' is no plain file name: .* such as figure"),
    ],
)
def test_what_cannot_be_exported_is_told_and_nothing_written(run, tmp_path, options, message):
    with pytest.raises(InterpError, match=message):
        export(run, tmp_path / "figs", **options)
    assert not (tmp_path / "figs").exists()


@pytest.mark.parametrize("victim", ["figures/dog.pdf", "arrays.safetensors", "config.yaml", "manifest.json"])
def test_a_run_that_was_changed_is_refused(tmp_path, victim):
    run = stamped_run(tmp_path / "run", 1, ("pdf",))
    data = bytearray((run / victim).read_bytes())
    data[len(data) // 2] ^= 1
    (run / victim).write_bytes(data)
    with pytest.raises(BadFile, match=victim if victim.startswith("figures") else r"run|maps"):
        export(run, tmp_path / "figs", ["cat"])
    assert not (tmp_path / "figs").exists()


def test_a_missing_figure_is_refused_and_an_added_file_is_no_matter(tmp_path):
    run = stamped_run(tmp_path / "run", 1, ("pdf",))
    (run / ".DS_Store").write_bytes(b"")
    assert len(export(run, tmp_path / "figs")) == 4
    (run / "figures" / "dog.pdf").unlink()
    with pytest.raises(BadFile, match=r"is not as it was written: missing: figures/dog.pdf.*nothing was exported"):
        export(run, tmp_path / "others")


def test_nothing_goes_into_a_run(run):
    with pytest.raises(BadFile, match=r"is inside the run"):
        export(run, run / "paper")
    assert verify(run).ok


def test_names_are_safe_whatever_the_experiment_is_called(tmp_path):
    run = stamped_run(tmp_path / "run", 1, ("pdf",), experiment="my paper: 1 ?")
    assert [path.name for path in export(run, tmp_path / "figs", ["cat"])] == ["my-paper-1-cat.pdf", "my-paper-1-cat.provenance.json"]
    assert sorted(os.listdir(tmp_path)) == ["figs", "run"]
