"""`interp diagnose` as a command: a whole run, its tables and figures, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from interp import cli
from interp.core.following import read_at
from interp.images import load as photos
from interp.runs import verify
from interp.zoo import load


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for photo in photos(("cat", "coffee")):
        Image.fromarray(photo.pixels[:128, :128]).save(folder / f"{photo.name}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The embedded network's weights with a filter that is dead, one that is another's double, and one that is noise."""
    state = {name: value.numpy().copy() for name, value in load("embedded").module.state_dict().items() if "num_batches" not in name}
    stem, later = state["stem.conv.weight"], state["stage1.block2.conv.weight"]
    stem[3] *= 1e-6
    stem[5] = 1.5 * stem[4]
    later[7] = np.random.default_rng(0).standard_normal(later[7].shape) * later[7].std()
    path = tmp_path / "damaged.safetensors"
    save_file(state, path)
    return path


def test_planted_faults_are_found(damaged: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["diagnose", "embedded", "--weights", str(damaged), "--layers", "stem.conv", "stage1.block2.conv"]
    assert cli.run([*words, "--images", str(pictures), "--out", str(out), "--formats", "png"]) == 0
    said = capsys.readouterr().out
    assert verify(out).ok
    table = list(csv.DictReader((out / "verdicts.csv").read_text(encoding="utf-8").splitlines()))
    found = {(row["layer"], int(row["channel"]), row["verdict"]) for row in table}
    assert {("stem.conv", 3, "dead"), ("stem.conv", 4, "duplicate"), ("stem.conv", 5, "duplicate")} <= found
    assert ("stage1.block2.conv", 7, "noise") in found
    assert len([f for f in found if f[2] == "noise"]) == 1
    dead = next(row for row in table if row["verdict"] == "dead")
    assert float(dead["statistic"]) < float(dead["threshold"]) == 0.01
    assert dead["test"] == "L2 norm / median of the layer"
    flagged = json.loads((out / "metrics.json").read_text())["flagged"]
    assert flagged["noise"] == 1
    assert "     1 noise\n" in said
    assert pq.read_table(out / "verdicts.parquet").num_rows == len(table) == (out / "verdicts.md").read_text().count("\n") - 2
    filters = pq.read_table(out / "filters.parquet")
    assert filters.num_rows == 32 + 48
    assert filters.filter(np.array(filters["layer"]) == "stem.conv")["duplicate_of"].to_pylist()[5] == 4
    arrays = load_file(out / "arrays.safetensors")
    assert {"activations/stem.conv/active", "activations/stem.conv/noise_gain", "statistics/stem.conv/moran"} <= set(arrays)
    assert {"sheet.png", "layers.png"} <= {path.name for path in (out / "figures").iterdir()}


def test_without_pictures_only_weights_are_judged(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.run(["diagnose", "--layers", "fc", "--out", str(out), "--formats", "png"]) == 0
    assert set(json.loads((out / "metrics.json").read_text())["flagged"]) == {"dead", "duplicate", "noise"}
    assert "Noise cannot be asked of 1 layers: kernels of 1x1 have no neighbouring places" in (out / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layers", "stem.relu"], "layer 'stem.relu' (ReLU) has no kernels"),
        (["--layers", "*relu*"], "none of the layers that '*relu*' matches has kernels"),
        (["--images", "nowhere"], "nowhere"),
        (["--batch-size", "0"], "--batch-size"),
    ],
)
def test_what_cannot_be_done_is_one_line(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["diagnose", *words, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert message in told.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_answers_are_read_behind_normalization_and_activation() -> None:
    model = load("embedded")
    assert read_at(model, ["stem.conv", "fc"]) == {"stem.conv": "stem.relu", "fc": "fc"}
    assert read_at(model, []) == {}
