"""``interp scan``: a run with tables, made again by verify; bad input in one line; an interrupted pass goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from interp import cli
from interp.activations.stream import passing
from interp.cli.on_data import tell_skipped
from interp.runs import Manifest

NET = """
from torch import nn


def net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    )


preprocess = {"size": (32, 32), "resize": 32}
"""
WORDS = ["scan", "net.py:net", "--random-weights", "--images", "photos"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    draw = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "photos" / "dog" / "3.png").write_bytes(b"no picture")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert cli.run(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in said if line.startswith("interp: ")]) == 1
    return said[-1]


def test_a_run_with_tables(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*WORDS, "--top", "4", "--batch-size", "3", "--out", "run", "--formats", "png", "--dpi", "40"]) == 0
    run = here / "run"
    said = capsys.readouterr()
    assert said.out == f"{Path('run') / 'index.html'}\n"
    (line,) = (line for line in said.err.splitlines() if line.startswith("interp: ") and "picture" in line)
    assert line.startswith("interp: 1 picture could not be read and is left out, 'dog/3.png': ")
    units, examples = (pd.read_parquet(run / "tables" / f"{name}.parquet") for name in ("units", "examples"))
    assert units.groupby("layer")["channel"].count().to_dict() == {"0": 4, "2": 6, "6": 3}
    assert (units["preferred"].isin(["cat", "dog"]) == (units["active"] > 0)).all()
    assert units["preferred"].isna().sum() == 1
    assert len(examples) == 13 * 2 * 4
    assert "dog/3.png" not in set(examples["source"])
    manifest = Manifest.read(run)
    assert {entry.path for entry in manifest.inputs} >= {"photos/cat/0.png", "photos/dog/3.png", "net.py"}
    assert {f"tables/{name}.parquet" for name in ("units", "examples", "histograms", "neighbours", "images", "layers")} <= set(
        manifest.files
    )
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["pictures"] == 9
    assert [name for name, _ in metrics["skipped"]] == ["dog/3.png"]
    page = (run / "index.html").read_text()
    assert "1 of 10 pictures were left out, as they cannot be read: dog/3.png" in page
    assert str(here) not in page
    assert sorted(path.name for path in here.iterdir()) == ["net.py", "photos", "run"]
    assert cli.run(["verify", "run"]) == 0


def test_nothing_is_said_of_pictures_that_could_all_be_read_and_of_several_the_first_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_skipped([])
    assert capsys.readouterr().err == ""
    tell_skipped([("a.png", "it is\nempty"), ("b.png", "it is no picture")])
    assert capsys.readouterr().err == "interp: 2 pictures could not be read and are left out, the first is 'a.png': it is empty\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scan", "net.py:net", "--random-weights"], r"no pictures are named: give --images DIR"),
        (["scan", "net.py:net", "--random-weights", "--images", "photo"], r"there is no data set 'photo': did you mean 'photos'\?"),
        ([*WORDS, "--layers", "9"], r"no layer '9'"),
        ([*WORDS, "--top", "0"], r"--top"),
        ([*WORDS, "--labels", "labels.csv"], r"labels 'labels\.csv', line 1: 'photos' has no picture 'cat/x\.png'"),
        ([*WORDS, "--labels", "none.csv"], r"cannot read the labels 'none\.csv'"),
        (["scan", "net.py:net", "--random-weights", "--images", "bad"], r"none of the 1 pictures of 'bad' can be read; the first: "),
    ],
)
def test_bad_input_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    (here / "labels.csv").write_text("cat/x.png,a\n")
    (here / "bad").mkdir()
    (here / "bad" / "a.png").write_bytes(b"")
    line = refused(capsys, *words)
    assert re.search(message, line), line
    assert not (here / "results" / "scan").exists() or not [p for p in (here / "results" / "scan").iterdir() if not p.name.startswith(".")]


def test_interrupted_it_goes_on(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*WORDS, "--batch-size", "2", "--out", "run", "--formats", "png", "--dpi", "40"]
    real, calls = passing.forward, []

    def stopping(*given: object) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(*given)  # type: ignore[arg-type]

    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr(passing.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(passing, "forward", stopping)
    assert cli.run(words) == 130
    assert "interrupted; the pass is kept up to its last checkpoint, the same command goes on from there" in capsys.readouterr().err
    assert [p.suffix for p in here.iterdir() if p.name.startswith(".")] == [".scan"]
    assert cli.run(words) == 0
    assert "going on behind 6 of 10 pictures" in capsys.readouterr().err
    assert len(calls) == 4 + 2
    assert not [p for p in here.iterdir() if p.name.startswith(".")]
