"""``interp whence`` as it is typed: a lone picture, its run, and whether it was changed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interp.cli import run
from interp.runs.manifest import Manifest

sys.path.append(str(Path(__file__).parent.parent / "proof"))
from stamped_runs import stamped_run


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``results/tour/one``, and lone copies of its figures under other names beside it."""
    folder = tmp_path_factory.mktemp("paper")
    made = stamped_run(folder / "results" / "tour" / "one", 1)
    for name in ("png", "pdf", "svg", "webp"):
        shutil.copyfile(made / "figures" / f"cat.{name}", folder / f"{name}.figure")
    return folder


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(["whence", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("name", ["png", "pdf", "svg", "webp"])
def test_a_lone_picture_tells_its_run(paper: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str) -> None:
    monkeypatch.chdir(paper)
    code, out, err = asked(capsys, f"{name}.figure")
    manifest = Manifest.read(Path("results/tour/one"))
    assert (code, err) == (0, "")
    lines = dict(line.strip().split(maxsplit=1) for line in out.splitlines()[1:])
    assert out.splitlines()[0] == f"{name}.figure"
    assert lines["run"] == f"results/tour/one, figures/cat.{name}"
    assert lines["experiment"] == "tour"
    assert lines["model"] == f"tiny (trained, SHA-256 {'a' * 64})"
    assert lines["command"] == "interp tour --seed 1"
    assert lines["identity"] == manifest.identity
    assert lines["state"] == "unchanged since it was made"
    assert "  to check    interp verify results/tour/one" in out.splitlines()
    assert ("commit" in lines) == (manifest.commit is not None)


def test_what_was_changed_is_said(paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.svg").write_bytes((paper / "svg.figure").read_bytes() + b" ")
    with Image.open(paper / "png.figure") as picture:
        picture.save(tmp_path / "b.png")
    code, out, _ = asked(capsys, str(tmp_path / "a.svg"), str(tmp_path / "b.png"), "--in", str(paper))
    assert code == 0
    assert "  state       changed since it was made: its bytes are other than those that were written\n" in out
    assert "  state       the same pixels, saved anew\n" in out
    assert "is a PNG without a stamp of interp" in out


def test_a_run_that_is_not_here_leaves_the_stamp(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = asked(capsys, str(paper / "pdf.figure"))
    assert (code, err) == (0, "")
    assert "  figure      cat, as its stamp says\n" in out
    assert "  command     interp tour --seed 1\n" in out
    assert "  run         not found among 0 runs below `results`: name its folder with --in\n" in out
    assert "unchanged" not in out


def test_what_is_not_known_ends_with_two_and_one_line(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(paper)
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(tmp_path / "lone.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, message in (
        ("lone.png", "is a PNG without a stamp of interp: another program made it or saved it anew, and no run below `results` has its"),
        ("text.png", "is no PNG, PDF, SVG or WebP by its content"),
        ("nope.png", "there is no file"),
    ):
        code, out, err = asked(capsys, str(tmp_path / name))
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


def test_one_unknown_picture_does_not_silence_the_others(
    paper: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(paper)
    code, out, err = asked(capsys, "nope.png", "svg.figure")
    assert code == 2
    assert "unchanged since it was made" in out
    assert err == "interp: there is no file `nope.png`\n"


def test_a_folder_that_is_not_there_is_named(paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = asked(capsys, str(paper / "svg.figure"), "--in", "nowhere")
    assert (code, err) == (2, "interp: `--in nowhere`: there is no such folder to look for runs in\n")


def test_no_picture_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = asked(capsys)
    assert code == 2
    assert "FIGURE" in err or "which picture?" in err
