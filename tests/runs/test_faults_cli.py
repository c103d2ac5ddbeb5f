"""A whole command whose disk gives out: one line, exit code 2, nothing half-written, and the next start works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interp import cli
from interp.runs import verify

resource = pytest.importorskip("resource")
WORDS = ["kernels", "embedded", "--count", "4", "--layers", "stem.conv", "--formats", "png", "--out", "results/one"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_command_on_a_full_disk_leaves_nothing_and_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with files_of_at_most(3000):
        code = cli.run(WORDS)
    assert code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == "interp: `figures/kernels.png` cannot be written into the run `results/one`: File too large"
    assert list(tmp_path.iterdir()) == []
    assert cli.run(WORDS) == 0
    assert verify(tmp_path / "results" / "one").ok
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["one"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert cli.run(WORDS) == 2
    assert "`results/one` already holds a run of `kernels`" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
