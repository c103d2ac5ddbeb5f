"""`interp edit` as a command: a run that can be made again, its numbers against answers by hand, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from interp import cli
from interp.comparisons.edited import Pair, Share, accuracies, largest, photographs, tops
from interp.comparisons.subjects import Subject
from interp.core.unit import Unit
from interp.editing import Ablate, Fresh, Replace, Scale, edited, mean_ablations, wilson
from interp.figures import IntervalPanel, MapPanel
from interp.images import load as photos
from interp.report.edit import few, notes
from interp.runs import verify
from interp.zoo import load

NET = """
from torch import nn


def net():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(5, 3)
    )


preprocess = {"size": (32, 32), "resize": 32}
classes = ["cat", "dog", "sea slug"]
"""
WORDS = ["edit", "net.py:net", "--random-weights"]
FAST = ["--formats", "png", "--dpi", "40"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    draw = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / "photos" / ("cat", "dog", "Sea_Slug")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "photos" / "dog" / "4.png").write_bytes(b"no picture")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert cli.run(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in said if line.startswith("interp: ")]) == 1
    return said[-1]


def test_a_run_with_labelled_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--ablate", "0:1", "--scale", "7:0=-3", "--images", "photos", "--controls", "4", "--out", "run", *FAST]
    assert cli.run(words) == 0
    said = capsys.readouterr().out
    run = here / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    assert [edit["changes"] for edit in metrics["edits"]] == ["weights", "weights"]
    model = load("net.py:net", random_weights=True)
    truth = {"cat": 0, "dog": 1, "Sea_Slug": 2}
    names = [path for path in sorted((here / "photos").glob("*/*.png"), key=lambda p: (p.parent.name, p.name)) if path.name != "4.png"]
    images = model.preprocess(photos([str(path) for path in names]))
    expected = {}
    for when, edits in (("before", []), ("after", ["0:1=0", "7:0=-3"])):
        if edits:
            with edited(model, edits, "scale"):
                top = model(images).argmax(1)
        else:
            top = model(images).argmax(1)
        right = [int(k) == truth[path.parent.name] for k, path in zip(top, names, strict=True)]
        expected[when] = [sum(right) / 9, *wilson(sum(right), 9)]
    data = metrics["data"]
    assert data["pictures"] == 9
    assert [name for name, _ in data["skipped"]] == ["dog/4.png"]
    assert data["before"] == pytest.approx(expected["before"])
    assert data["after"] == pytest.approx(expected["after"])
    assert len(data["controls"]) == len(list(csv.DictReader((run / "controls.csv").read_text().splitlines()))) == 4
    assert 1 / 5 <= data["p_among_controls"] <= 1
    rows = list(csv.DictReader((run / "accuracy.csv").read_text().splitlines()))
    assert {row["group"]: int(row["pictures"]) for row in rows} == {"all": 9, "cat": 4, "dog": 2, "sea slug": 3}
    assert sum(float(row["after"]) * int(row["pictures"]) for row in rows[1:]) == pytest.approx(9 * float(rows[0]["after"]))
    assert f"accuracy on 9 pictures: {expected['before'][0]:.1%} -> {expected['after'][0]:.1%}" in said
    assert {path.name for path in (run / "figures").iterdir()} == {"photographs.png", "accuracy.png"}
    assert "the BatchNorm &#39;1&#39; turns an ablated channel into a constant" in (run / "index.html").read_text()
    assert verify(run).ok
    assert cli.run(["edit", "--config", "run/config.yaml", "--out", "again"]) == 0
    for file in ("arrays.safetensors", "metrics.json", "accuracy.csv", "controls.csv", "edits.csv"):
        assert (here / "again" / file).read_bytes() == (run / file).read_bytes()


def test_photographs_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "cat", "--layer", "4", "--ablate", "3:top2", "--ablate-to", "mean", "--replace", "0:2=new", "coffee"]
    assert cli.run([*words, "--out", "run", *FAST]) == 0
    assert capsys.readouterr().out.startswith("cat: ")
    model = load("net.py:net", random_weights=True)
    images = model.preprocess(photos(("cat", "coffee")))
    strongest = model.capture(["3"], images)[0]["3"].mean((0, 2, 3)).argsort(descending=True)[:2].tolist()
    arrays = load_file("run/arrays.safetensors")
    with edited(model, [*mean_ablations(model, images, [f"3:{c}" for c in strongest]), Replace(Unit("0", 2), Fresh(0))]):
        expected = torch.cat([model(image[None]) for image in images]).softmax(1)
    found = np.stack([arrays[f"answers/{name}/after"] for name in ("cat", "coffee")])
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)
    assert arrays["gradcam/cat/before"].shape == (13, 13)
    assert "data" not in json.loads(Path("run/metrics.json").read_text())
    assert verify(here / "run").ok


def test_pictures_without_labels_are_compared_with_the_network_before(here: Path) -> None:
    words = [*WORDS, "--scale", "7:1=50", "--images", "photos/cat", "--controls", "0", "--out", "run", *FAST]
    assert cli.run(words) == 0
    data = json.loads((here / "run" / "metrics.json").read_text())["data"]
    assert data["before"][0] == 1
    assert data["after"][0] == pytest.approx(1 - data["top_class_changed"] / 4)
    assert (data["controls"], data["p_among_controls"], data["classes"]) == ([], None, {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cat"], "no edit is named: give --ablate layer:3, --scale layer:3=0.5 or --replace layer:3=layer:5"),
        (["--ablate", "0:1"], "no pictures are named: write photographs behind the model"),
        (["cat", "--ablate", "0:9"], "no unit '0:9': layer '0' has 6 channels, 0 to 5"),
        (["cat", "--ablate", "0"], "'0' names no units"),
        (["cat", "--scale", "0:1"], "'0:1' does not say what to scale by: write 'layer:7=0.5'"),
        (["cat", "--scale", "0:1=much"], "'much' in '0:1=much' is no factor"),
        (["cat", "--scale", "0:1=inf"], "the factor 'inf' in '0:1=inf' is not finite"),
        (["cat", "--scale", "0:1=1e38"], "gives scores that are not finite after the edit: choose a smaller factor"),
        (["cat", "--replace", "2:1=2:3"], "'2:1' cannot be replaced: a ReLU has no weights of its own"),
        (["cat", "--replace", "0:1=3:1"], "'0:1' cannot be replaced by '3:1': name a unit of the same layer, '0'"),
        (["cat", "--ablate", "0:1", "--scale", "0:0-2=2"], "two edits of one unit contradict: 0:1 ablated, and 0:1 times 2"),
        (["cat", "--scale", "0:1=2", "--ablate-to", "mean"], "--ablate-to mean says to what units are ablated"),
        (["cat", "--ablate", "0:1", "--labels", "l.csv"], "--labels l.csv names the classes of pictures: give these with --images DIR"),
        (["--ablate", "0:1", "--images", "nowhere"], "there is no data set 'nowhere'"),
        (["--ablate", "0:1", "--images", "wrong"], "the label 'cta' of 'wrong' is no class of 'net.py:net': did you mean 'cat'"),
        (["--ablate", "0:1", "--images", "empty"], "the folder 'empty' holds no picture"),
        (["cat", "--ablate", "0:1", "--layer", "9"], "no layer '9'"),
        (["cat", "--ablate", "0:1", "--controls", "-1"], "--controls -1 is too small: give 0 or more"),
        (["cat", "--ablate", "0:1", "--batch-size", "0"], "--batch-size 0 is too small: give 1 or more"),
    ],
)
def test_what_cannot_be_done_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    (here / "empty").mkdir()
    (here / "wrong" / "cta").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(here / "wrong" / "cta" / "one.png")
    assert message in refused(capsys, *WORDS, *words, "--out", "run")
    assert not (here / "run").exists()


def test_the_figure_has_pairs_of_bars_and_maps_on_one_scale_differences_on_another() -> None:
    def pair(name: str, before: list[float], after: list[float], size: float) -> Pair:
        subject = Subject(name, np.zeros((4, 4, 3)), Unit("fc", 0), "a", Unit("fc", 0), "a", 0.5)
        maps = (np.full((2, 2), size), np.full((2, 2), -size))
        return Pair(subject, (np.array(before), np.array(after)), maps)

    pairs = [pair("one", [0.5, 0.3, 0.1, 0.1, 0.0], [0.0, 0.1, 0.1, 0.2, 0.6], 1.0), pair("two", [0.2] * 5, [0.2] * 5, 3.0)]
    assert tops(pairs[0]) == [0, 1, 2, 4, 3]
    grid = photographs(pairs, ["a", "b", "c", "d", "e"], "layer", "probability", "title")
    bars = grid.rows[0][1]
    assert isinstance(bars, IntervalPanel)
    assert bars.names == ("a", "before", "b", "before", "c", "before", "e", "before", "d", "before")
    assert bars.values.tolist() == [0.0, 0.5, 0.1, 0.3, 0.1, 0.1, 0.6, 0.0, 0.2, 0.1]
    assert bars.controls == (False, True) * 5
    assert bars.reference == 1
    maps = [panel for row in grid.rows for panel in row[2:]]
    assert [panel.scale.high for panel in maps if isinstance(panel, MapPanel)] == [3, 3, 6, 3, 3, 6]
    assert [float(panel.values[0, 0]) for panel in maps if isinstance(panel, MapPanel)] == [1, -1, -2, 3, -3, -6]


def test_accuracy_stands_beside_random_units() -> None:
    every = Share("all", 10, (0.5, 0.2, 0.8), (0.4, 0.1, 0.7), (0.45, 0.3, 0.6))
    groups = [Share(str(k), k + 1, (0.5, 0.1, 0.9), (0.5 - 0.05 * k, 0.0, 1.0), (0.5, 0.5, 0.5)) for k in range(10)]
    chosen = largest(groups)
    assert [group.name for group in chosen] == ["9", "8", "7", "6", "5", "4", "3", "2"]
    ((left, right),) = accuracies(every, chosen, [("x", 0.6), ("y", 0.3)], "accuracy", 10, "title").rows
    assert isinstance(left, IntervalPanel)
    assert left.names == ("before", "after the edit", "random units, mean of 2", "y", "x")
    assert left.values.tolist() == [0.5, 0.4, 0.45, 0.3, 0.6]
    assert left.controls == (False, False, True, True, True)
    assert left.reference == 0.5
    assert isinstance(right, IntervalPanel)
    assert right.names[:3] == ("9 (10)", "after", "random units")
    assert len(right.names) == 24


def test_what_batchnorm_makes_of_zeros_is_told(here: Path) -> None:
    model = load("net.py:net", random_weights=True)
    assert len(notes(model, [Ablate(Unit("0", 1))])) == 1
    assert notes(model, [Ablate(Unit("1", 1)), Ablate(Unit("3", 1)), Scale(Unit("0", 1), 2.0)]) == []


def test_many_edits_are_told_by_layer_and_kind() -> None:
    edits = [Ablate(Unit("a", channel)) for channel in range(3)] + [Scale(Unit("b", 1), 2.0), Replace(Unit("b", 2), Fresh())]
    assert few(edits[:1]) == "a:0 ablated"
    assert few(edits[2:4]) == "a:2 ablated, b:1 times 2"
    assert few(edits) == "3 units of a ablated, 1 unit of b scaled, 1 unit of b replaced"
