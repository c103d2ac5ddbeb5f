"""Two makings of the same, in processes that have nothing in common but the machine, are the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Random masks, a figure with text in every format, arrays, numbers, files of their own.
COMMAND = ["attribute", "embedded", "cat", "--methods", "rise:n_samples=8", "--files", "npy", "png"]
SAVING = ["--formats", "png", "svg", "pdf", "webp", "--dpi", "50"]
# Where the two differ, as users' machines do.
SURROUNDINGS = (
    {"PYTHONHASHSEED": "1", "TZ": "America/New_York", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "LC_ALL": "C", "COLUMNS": "40"},
)
# Of the manifest these are no part of what was made.
PASSING = ("created", "seconds")


def started(folder: Path, surroundings: dict[str, str], umask: int) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "interp", *COMMAND, *SAVING, "--out", "made"]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    source = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    env = os.environ | surroundings | threads | {"PYTHONPATH": source}
    return subprocess.Popen(command, cwd=folder, env=env, umask=umask, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same command made twice at once."""
    folders = [tmp_path_factory.mktemp("first") / "a", tmp_path_factory.mktemp("second") / "deeper" / "b"]
    pairs = zip(folders, SURROUNDINGS, (0o022, 0o077), strict=True)
    for process in [started(folder, surroundings, umask) for folder, surroundings, umask in pairs]:
        _, said = process.communicate(timeout=280)
        assert process.returncode == 0, said.decode()
    return folders[0] / "made", folders[1] / "made"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_the_same_to_the_byte(made: tuple[Path, Path]) -> None:
    first, second = map(files, made)
    assert first.keys() == second.keys() >= {"config.yaml", "arrays.safetensors", "index.html", "figures/attribution.svg"}
    assert [name for name in first if first[name] != second[name] and name != "manifest.json"] == []


def test_of_the_manifests_only_the_times_differ(made: tuple[Path, Path]) -> None:
    first, second = (json.loads((folder / "manifest.json").read_text()) for folder in made)
    assert {key for key in first if first[key] != second[key]} <= set(PASSING)
    assert set(PASSING) <= first.keys() == second.keys()


def test_nothing_that_was_written_holds_a_time_or_a_place_of_this_machine(made: tuple[Path, Path]) -> None:
    manifest = json.loads((made[0] / "manifest.json").read_text())
    day, places = manifest["created"][:10], [str(made[0].parents[1]), str(Path.home()), str(Path(__file__).parents[1])]
    texts = {name: data for name, data in files(made[0]).items() if not name.endswith((".png", ".webp"))}
    texts["manifest.json"] = json.dumps({key: manifest[key] for key in manifest if key not in PASSING}).encode()
    for name, data in texts.items():
        assert [word for word in (day, *places) if len(word) > 1 and word.encode() in data] == [], name
