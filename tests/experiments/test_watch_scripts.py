"""The scripts that watch a training: short ones of few pictures, whose runs hold together, repeat, and refuse in one line."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from interp.cli import experiment
from interp.cli.filming import Drawing
from interp.cli.options import SaveOptions
from interp.editing import wilson
from interp.report.tasks import of_photographs, of_sources, trainer, untrained
from interp.report.watched import probe_of
from interp.runs import verify
from interp.synthetic.digit_training import DigitOptions
from interp.synthetic.digits import small
from interp.watching import Recording
from interp.zoo.training import Schedule

SCRIPTS = Path(__file__).parents[2] / "experiments"
FEW: dict[str, Any] = {
    "drawing": Drawing(filters=2),
    "units": ("fc:0",),
    "held_out_share": 0.02,
    "training": DigitOptions(steps=4, batch=16, widths=(4, 4, 4, 4)),
    "every": 2,
}
BRIEF: dict[str, Any] = {
    "images": ("cat", "coffee"),
    "windows": 16,
    "held_out": 4,
    "side": 24,
    "every": 1,
    "units": (),
    "schedule": Schedule(epochs=0.5, batch=8, sizes=((1.0, 24),)),
    "drawing": Drawing(filters=2),
}


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, found)
    spec.loader.exec_module(found)
    return found


Made = Callable[..., tuple[Path, dict[str, Any], dict[str, np.ndarray]]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    def run(name: str, folder: str, **options: Any) -> tuple[Path, dict[str, Any], dict[str, np.ndarray]]:
        found, out = script(name, monkeypatch), tmp_path / folder
        found.main(found.Config(saving=SaveOptions(out=out, formats=("png",), dpi=40), **options))
        assert verify(out).ok
        return out, json.loads((out / "metrics.json").read_text()), load_file(out / "arrays.safetensors")

    return run


def test_a_run_of_digits_holds_what_was_tested_and_the_film(made: Made) -> None:
    out, metrics, arrays = made("watch_digits", "one", **FEW)
    assert arrays["held_out/steps"].tolist() == arrays["steps"].tolist() == [0, 2, 4]
    labels = small(0.02).held_out.labels.numpy()
    assert (arrays["held_out/labels"] == labels).all()
    for confusion, said in zip(arrays["held_out/confusion"], arrays["held_out/said"], strict=True):
        assert confusion.sum() == len(labels)
        assert np.trace(confusion) == (said == labels).sum()
        assert (confusion.sum(axis=1) == np.bincount(labels, minlength=10)).all()
    right = int(np.trace(arrays["held_out/confusion"][-1]))
    assert metrics["test"]["accuracy"] == right / len(labels)
    assert metrics["test"]["interval_95"] == list(wilson(right, len(labels)))
    assert (arrays["held_out/probabilities"].argmax(axis=1) == arrays["held_out/said"][-1]).all()
    for layer, sees in (("unit1.relu", 5), ("unit2.relu", 7)):
        assert metrics["fields"][layer]["sees"] == [sees, sees]
        assert arrays[f"fields/{layer}"].sum(axis=(1, 2)) == pytest.approx(1)
    assert arrays["units/images"].shape == (3, 1, 8, 8, 3)
    page = (out / "index.html").read_text()
    for section in (
        "How well it tells them apart",
        "Receptive fields",
        "Feature maps",
        "Images of units over time",
        "First sign of structure",
    ):
        assert section in page
    assert len(list((out / "frames" / "units").iterdir())) == 3


def test_the_same_seed_makes_the_same_arrays_and_the_recording_may_stay(made: Made, tmp_path: Path) -> None:
    _, _, first = made("watch_digits", "one", recording=tmp_path / "kept", **FEW)
    _, _, again = made("watch_digits", "two", **FEW)
    assert set(first) == set(again)
    assert [name for name in first if first[name].tobytes() != again[name].tobytes()] == []
    kept = Recording.read(tmp_path / "kept")
    assert kept.complete
    assert kept.steps == (0, 2, 4)
    last = kept.curve("held_out_accuracy")[1][-1]
    assert last == pytest.approx(np.trace(first["held_out/confusion"][-1]) / first["held_out/confusion"][-1].sum())


def test_the_embedded_network_is_followed_to_beside_its_end_point(made: Made) -> None:
    out, metrics, arrays = made("watch_embedded", "one", **BRIEF)
    assert arrays["held_out/steps"].tolist() == [0, 1]
    assert metrics["moran_i"]["end_point"] > 0.5 > metrics["moran_i"]["before"]
    assert (out / "figures" / "endpoint.png").is_file()
    _, _, again = made("watch_embedded", "two", **BRIEF)
    assert [name for name in arrays if arrays[name].tobytes() != again[name].tobytes()] == []


def pictures(root: Path, *classes: str, count: int = 4) -> Path:
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (40, 36), (80 * place, 20 * k, 100)).save(root / name / f"{k}.png")
    return root


def test_class_folders_are_learned_and_recorded_as_inputs(made: Made, tmp_path: Path) -> None:
    options = BRIEF | {"data": (pictures(tmp_path / "train", "a", "b"),), "validation": (pictures(tmp_path / "val", "a", "b", count=1),)}
    options["schedule"] = Schedule(epochs=0.5, batch=4, sizes=((1.0, 24),))
    out, _, arrays = made("watch_embedded", "one", **options, shown="b")
    assert arrays["held_out/labels"].tolist() == [0, 1]
    paths = [entry["path"] for entry in json.loads((out / "manifest.json").read_text())["inputs"]]
    assert paths == [f"train/{name}/{k}.png" for name in "ab" for k in range(4)] + ["val/a/0.png", "val/b/0.png"]


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("watch_digits", ["--data", "nowhere"], "there is no folder 'nowhere' that MNIST or FashionMNIST could be in"),
        ("watch_digits", ["--data", "empty"], "looked for MNIST/raw/train-images-idx3-ubyte or FashionMNIST/raw/"),
        ("watch_digits", ["--held-out-share", "0"], "leave some in both parts"),
        ("watch_digits", ["--digit", "x"], "no picture of 'x' is followed: there are 0, 1,"),
        ("watch_digits", ["--units", "conv9:0"], "no layer 'conv9'"),
        ("watch_digits", ["--steps", "0"], "`steps` is 0: give at least 1"),
        ("watch_digits", ["--every", "0"], "`every` is 0"),
        ("watch_embedded", ["--data", "empty"], "name others to be tested on with --validation"),
        ("watch_embedded", ["--data", "nowhere", "--validation", "empty"], "'nowhere' is neither a folder of class folders nor"),
        ("watch_embedded", ["--images", "cat"], "1 photograph is one class: give two or more"),
        ("watch_embedded", ["--batch", "9999"], "--batch is 9999: there are 12 pictures to learn from, give 2 to 12"),
        ("watch_embedded", ["--epochs", "0.001", "--batch", "8"], "is not one step: give more"),
        ("watch_embedded", ["--windows", "1"], "1 windows of 6 photographs: give at least one of each"),
    ],
)
def test_bad_input_is_one_line(
    name: str, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    found = script(name, monkeypatch)
    brief = ["--windows", "12", "--held-out", "6"] if name == "watch_embedded" and "--windows" not in words else []
    with pytest.raises(SystemExit) as ended:
        experiment(found.Config, found.main, [*brief, *words, "--out", "run"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in " ".join(error.split())
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_other_classes_to_be_tested_on_are_refused(tmp_path: Path) -> None:
    from interp.errors import InterpError

    one, other = pictures(tmp_path / "one", "a", "b"), pictures(tmp_path / "other", "a", "c")
    with pytest.raises(InterpError, match=r"--validation has 'c', and --data 2: give pictures of the same classes"):
        of_sources((one,), (other,), 16, 9)


def test_the_picture_with_the_most_contrast_is_followed_where_none_is_named() -> None:
    from interp.images import load

    task = of_photographs(load(("cat", "rocket")), 4, 4, 16, 0)
    spreads = [photo.pixels.std() for photo in task.probes]
    assert probe_of(task) == int(np.argmax(spreads))
    assert probe_of(task, "rocket") == 1


def test_the_network_begins_from_weights_of_the_seed() -> None:
    from interp.images import load

    task = of_photographs(load(("cat", "rocket")), 4, 4, 16, 0)
    first, again, other = (untrained(task, 16, seed).spec.sha256 for seed in (0, 0, 1))
    assert first == again != other
    assert trainer(untrained(task, 16, 0), task, Schedule(epochs=3.0, batch=2), 0).steps == 6
