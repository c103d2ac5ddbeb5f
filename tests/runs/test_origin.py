"""Where a run came from: versions, the commit of the source, the command or script that made it."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from interp.errors import InterpError
from interp.runs.entries import CommitEntry, Program
from interp.runs.origin import program_of, source_commit, versions


def test_versions_are_read_from_metadata() -> None:
    found = versions()
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"interp", "torch", "torchvision", "captum", "matplotlib"} <= found.keys()


def test_the_commit_is_of_the_checkout_that_tracks_the_package(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)
        return done.stdout.decode().strip()

    package = tmp_path / "interp"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert source_commit(package) is None
    git("init", "-q")
    assert source_commit(package) is None  # inside a repository that does not track it
    git("add", ".")
    git("commit", "-q", "-m", "x", "--no-verify")
    head = git("rev-parse", "HEAD")
    assert source_commit(package) == CommitEntry(head, dirty=False)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x").write_text("results do not make the source dirty")
    assert source_commit(package) == CommitEntry(head, dirty=False)
    (package / "new.py").write_text("")
    assert source_commit(package) == CommitEntry(head, dirty=True)


def loaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script at `path`, which defines `Config`, as a module named after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Config:\n    steps: int = 1\n")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_a_script_goes_by_its_path_below_checkout_or_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "checkout" / "interp"
    cases = {
        tmp_path / "checkout" / "experiments" / "inner_one.py": "experiments/inner_one.py",
        tmp_path / "here" / "mine" / "inner_two.py": "mine/inner_two.py",
        tmp_path / "elsewhere" / "inner_three.py": "inner_three.py",
    }
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path, name in cases.items():
        module = loaded(path, monkeypatch)
        found = program_of(module.Config(), package)
        assert found == Program("script", name, hashlib.sha256(path.read_bytes()).hexdigest())
        path.unlink()
        with pytest.raises(InterpError, match=r"cannot read the script `.*`, which a run would name: No such file"):
            program_of(module.Config(), package)


def test_a_command_goes_by_its_name() -> None:
    from interp.cli.commands import Kernels

    assert program_of(Kernels()) == Program("command", "kernels")


def test_options_that_stand_in_no_file_make_no_run() -> None:
    kind = type("Loose", (), {"__module__": "nowhere"})
    with pytest.raises(InterpError, match="the options Loose stand in no file: a run is made by a command or by a script"):
        program_of(kind())
