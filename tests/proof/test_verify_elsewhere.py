"""Runs of real processes made again with other threads and in another precision: what holds is said, and of what."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from interp.proof.inputs import Search
from interp.proof.proof import against, prove
from interp.proof.replay import THREADS, Settings
from interp.proof.verdict import Verdict

SMALL = ["visualize", "stage3.block1:0", "--steps", "8", "--size", "32", "--quality", "none", "--formats", "png", "pdf"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `made` of one thread."""
    folder = tmp_path_factory.mktemp("elsewhere")
    make(folder, "made")
    return folder


def make(folder: Path, name: str, *words: str) -> None:
    variables = dict(os.environ) | dict.fromkeys(THREADS, "1")
    subprocess.run([sys.executable, "-m", "interp", *SMALL, *words, "--out", name], cwd=folder, env=variables, check=True)


def test_other_threads_make_the_same_or_hold(made: Path) -> None:
    with chdir(made):
        proof = prove(Path("made"), Search(Path(".")), Settings(threads=2))
    assert proof.verdict.holds
    assert "threads 1, not 2" in proof.reason


def test_another_precision_is_named_whatever_comes_of_it(made: Path) -> None:
    make(made, "coarse", "--precision", "bfloat16")
    proof = against(made / "made", made / "coarse")
    assert "precision` " in proof.reason
    assert "bfloat16" in proof.reason
    assert proof.compared is not None
    assert proof.verdict in (Verdict.WITHIN, Verdict.DIFFERENT)
    if proof.verdict is Verdict.WITHIN:
        assert "not judged" in proof.reason
        assert proof.compared.largest is not None
    else:
        assert proof.reason.startswith("not the same: `")
