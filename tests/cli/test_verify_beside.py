"""``interp verify``: what lies beside sound runs and is none, what the machine refuses, and the words for it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from fake_runs import make

from interp.cli import run
from interp.cli.verify import Verify
from interp.proof.proof import check


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("once") / "results"
    make(root / "tour" / "one")
    make(root / "tour" / "two", figures={"grid": ("A grid", "Another caption.")})
    return root


@pytest.fixture
def results(made_once, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made_once, "results"))


def told(capsys, *words: str) -> tuple[int, str]:
    code = run(["verify", *words])
    out, err = capsys.readouterr()
    assert code != 2, err
    return code, " ".join(out.split())


def test_files_that_were_only_hashed_are_not_called_identical(results, capsys):
    code, out = told(capsys, "--files-only")
    assert code == 0
    assert "results/tour/one files unchanged" in out
    assert "2 runs: 2 files unchanged, in" in out
    assert "identical" not in out
    (results / "tour/one/index.html").write_text("x")
    code, out = told(capsys, "--files-only")
    assert code == 1
    assert "2 runs: 1 files unchanged, 1 different, in" in out


def without_manifest(results: Path) -> str:
    (results / "tour/two/manifest.json").unlink()
    return "results/tour/two cannot be checked \u2013 it has no manifest.json, but the config.yaml of a run"


def linked(results: Path) -> str:
    shutil.move(results / "tour/two", "two")
    (results / "tour/two").symlink_to(Path("two").absolute())
    return "results/tour/two cannot be checked \u2013 it is a link to a folder, and links are not followed"


def dangling(results: Path) -> str:
    shutil.rmtree(results / "tour/two")
    (results / "tour/two").symlink_to(Path("two").absolute())
    return "results/tour/two cannot be checked \u2013 it is a link to nothing"


@pytest.mark.parametrize("spoil", [without_manifest, linked, dangling])
@pytest.mark.parametrize("named", ["results", "results/tour"])
def test_what_is_passed_over_is_a_row_and_not_green(results, capsys, spoil, named):
    reason = spoil(results)
    code, out = told(capsys, named, "--files-only")
    assert code == 1
    assert reason in out
    assert "2 runs: 1 files unchanged, 1 cannot be checked, in" in out


def test_where_no_run_is_left_it_is_a_row_too(results, capsys):
    reason = without_manifest(results)
    code, out = told(capsys, "results/tour/two")
    assert (code, reason in out) == (1, True)


def test_two_runs_are_compared_by_their_short_names(results, capsys):
    code, out = told(capsys, "one", "--against", "tw")
    assert "results/tour/one different" in out
    assert "'Another caption.', 'What the grid means.' was recorded" in out
    assert code == 1
    assert run(["verify", "one", "--against", "tow"]) == 2
    assert "interp: --against: no run 'tow' below 'results': did you mean 'tour/two'" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["no temporary folder", "full disk"])
def test_what_the_machine_refuses_is_told_of_that_run_and_the_next_goes_on(results, capsys, monkeypatch, fault):
    def refuse(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['x']")

    def full(found):
        def prove(folder):
            if folder.name == "one":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return check(folder)

        return prove

    if fault == "full disk":
        monkeypatch.setattr(Verify, "_prove", full)
        counts, reason = "1 identical, 1 cannot be checked", "No space left on device"
    else:
        monkeypatch.setattr(tempfile, "mkdtemp", refuse)
        counts, reason = "2 cannot be checked", "No usable temporary directory found in ['x']"
    code, out = told(capsys, "results", "--record", "found.json")
    assert code == 1
    assert f"results/tour/one cannot be checked \u2013 this machine is in the way: {reason}" in out
    assert f"2 runs: {counts}, in" in out
    # Nothing was found of a run by that, so nothing of it is kept.
    kept = Path("found.json").read_text().count('"verdict"') if Path("found.json").exists() else 0
    assert kept == (fault == "full disk")
