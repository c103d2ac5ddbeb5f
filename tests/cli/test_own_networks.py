"""The user's own network from the command line: other channels, several outputs, a target; recorded, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from interp.cli import run
from interp.cli.options import is_function
from interp.figures import Rendered
from interp.runs import Manifest, verify
from interp.zoo.loading import load

NET = """
import torch
from torch import nn


class Seg(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(4, 6, 3, padding=1)
        self.b = nn.Conv2d(6, 5, 1)

    def forward(self, x):
        maps = self.b(self.a(x).relu())
        return {"out": nn.functional.interpolate(maps, scale_factor=2.0), "means": maps.mean((2, 3))}


def seg():
    return Seg()


def grey():
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))
"""
TARGETS = """
from words import FIRST


def difference(output):
    return output["means"][:, FIRST] - output["means"][:, 0]


def of_maps(maps):
    return maps[:, 1, :8].mean((1, 2))


def of_classes(logits):
    return logits[:, 1] - logits[:, 0]


def typo(output):
    return output["meens"]


number = 3
"""
SMALL = ("--input-size", "24", "24", "--random-weights")
FOUR = (*SMALL, "--mean", *[".5"] * 4, "--std", *[".2"] * 4)
GREY = (*SMALL, "--mean", ".5", "--std", ".25")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("net.py", NET), ("targets.py", TARGETS), ("words.py", "FIRST = 2\n")):
        (tmp_path / name).write_text(text)
    rng = np.random.default_rng(0)
    (tmp_path / "scenes").mkdir()
    np.save(tmp_path / "scenes" / "field.npy", rng.integers(0, 65536, (4, 40, 50), dtype=np.uint16))
    np.save(tmp_path / "scenes" / "lake.npy", rng.random((40, 50, 4), dtype=np.float32))
    monkeypatch.setattr("interp.report.product.figures.render", lambda *_: Rendered({"png": b"png", "pdf": b"pdf"}, 8, 8))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that the command says; asserts exit code 2, one line, no traceback, and that no folder is left."""
    assert run([*words, "--out", "refused"]) == 2
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.startswith("interp: ")]
    assert [path for path in Path().iterdir() if "refused" in path.name] == []
    assert (out, len(said), "Traceback" in err) == ("", 1, False), err
    return said[0]


def test_class_maps_of_four_bands(here: Path) -> None:
    words = ["net.py:seg", "scenes", *FOUR, "--output", "out", "--bands", "4", "2", "1", "--layers", "a"]
    assert run(["gradcam", *words, "--out", "made"]) == 0
    assert verify(here / "made").ok
    manifest = json.loads((here / "made" / "manifest.json").read_text())
    asked = manifest["config"]["loading"]
    assert (asked["output"], asked["bands"], asked["input_size"], asked["mean"]) == ("out", [4, 2, 1], [24, 24], [0.5] * 4)
    (figure,) = manifest["figures"].values()
    assert figure["caption"].endswith("Pictures are shown by bands 4, 2, 1 of 4 as red, green and blue; the network sees all bands.")
    metrics = json.loads((here / "made" / "metrics.json").read_text())
    assert metrics["chosen_of_network"]["Scores"] == "output 'out' of the network; of class maps the mean over all places"
    assert "mean 0.5, 0.5, 0.5, 0.5" in metrics["chosen_of_network"]["Input"]
    assert "Scores" in (here / "made" / "index.html").read_text()


def test_a_target_function_explained_by_gradcam_is_that_of_autograd(here: Path) -> None:
    words = ["net.py:seg", "scenes", *FOUR, "--target", "targets.py:difference", "--layers", "a"]
    assert run(["gradcam", *words, "--out", "made"]) == 0
    found = load_file(here / "made" / "arrays.safetensors")["gradcam/lake/a"]
    from interp import images
    from interp.zoo.inputs import Inputs

    inputs = Inputs((24, 24), None, (0.5,) * 4, (0.2,) * 4)
    model = load("net.py:seg", random_weights=True, output="means", inputs=inputs)
    net = model.module
    image = model.normalized(model.preprocess(images.load(["scenes/lake.npy"])))
    activations = net.get_submodule("a")(image).detach().requires_grad_()
    means = net.get_submodule("b")(activations.relu()).mean((2, 3))
    (gradient,) = torch.autograd.grad(means[0, 2] - means[0, 0], activations)
    expected = (gradient.mean((2, 3), keepdim=True) * activations).sum(1)[0].detach().numpy()
    assert np.allclose(found, expected, atol=1e-6)
    entries = {(entry.path, entry.role.value) for entry in Manifest.read(here / "made").inputs}
    assert entries >= {("net.py", "code"), ("targets.py", "code"), ("words.py", "code"), ("scenes/lake.npy", "picture")}
    page = (here / "made" / "index.html").read_text().replace("&#39;", "'")
    assert "'difference', a function of the network's output" in page


@pytest.mark.parametrize(
    ("command", "words", "unit"),
    [
        ("attribute", ("--target", "targets.py:difference", "--methods", "gradcam", "saliency", "occlusion:window=8"), "target:0"),
        ("attribute", ("--output", "out", "--target", "targets.py:of_maps", "--methods", "integrated-gradients"), "target:0"),
        ("attribute", ("--output", "out", "--target", "output:2@5,6", "--methods", "gradcam"), "output:2@5,6"),
        (
            "compare",
            ("--target", "targets.py:difference", "--methods", "gradcam", "--layers", "a", "--metrics", "deletion:n_steps=4"),
            "target:0",
        ),
    ],
)
def test_targets_everywhere(here: Path, command: str, words: tuple[str, ...], unit: str) -> None:
    assert run([command, "net.py:seg", "scenes", *FOUR, *words, "--out", "made"]) == 0
    text = (here / "made" / "metrics.json").read_text()
    assert f'"{unit}"' in text


def test_a_classifier_keeps_its_prediction_beside_a_target(here: Path) -> None:
    assert run(["gradcam", "net.py:grey", "cat", *GREY, "--target", "targets.py:of_classes", "--layers", "0", "--out", "made"]) == 0
    (found,) = json.loads((here / "made" / "metrics.json").read_text())["predictions"].values()
    assert found["explained"] == "target:0"
    assert found["unit"].startswith("4:")
    assert 0 < found["probability"] < 1


def test_a_report_of_a_grey_network_says_why_there_are_no_optimized_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "net.py:grey", "cat", *GREY, "--out", "made"]) == 0
    page = (here / "made" / "index.html").read_text()
    assert "none: they are RGB, and the network takes 1 channel" in page
    assert not [name for name in load_file(here / "made" / "arrays.safetensors") if name.startswith("feature")]
    capsys.readouterr()
    assert "optimized images have 3, RGB" in refused(capsys, "report", "net.py:grey", "cat", *GREY, "--units", "0:1")


def test_normalization_learned_from_a_folder_is_recorded_with_its_pictures(here: Path) -> None:
    words = ["net.py:seg", "scenes/lake.npy", *SMALL, "--normalize-from", "scenes", "--output", "means", "--layers", "a"]
    assert run(["activations", *words, "--out", "made"]) == 0
    assert {entry.path for entry in Manifest.read(here / "made").inputs} >= {"scenes/field.npy", "scenes/lake.npy"}
    said = json.loads((here / "made" / "metrics.json").read_text())["chosen_of_network"]["Input"]
    assert said.startswith("4 x 24 x 24 (channels x rows x cols), mean 0.")
    assert said.endswith("of 2 pictures in 'scenes'")


def test_layers_of_a_network_with_several_outputs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["layers", "net.py:seg", *FOUR, "--output", "out"]) == 0
    assert "classes at 'output'" in capsys.readouterr().out


def test_a_segmentation_network_by_its_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "lraspp_mobilenet_v3_large"
    line = refused(capsys, "gradcam", name, "cat", "--random-weights")
    assert "gives a map of each class, not class scores: take the mean of each map with `--output out`" in line
    words = [name, "cat", "--random-weights", "--input-size", "64", "64", "--output", "out", "--layers", "backbone.4", "--target", "cat"]
    assert run(["gradcam", *words, "--out", "made"]) == 0
    (found,) = json.loads((here / "made" / "metrics.json").read_text())["predictions"].values()
    assert found["explained"] == "output:8"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("net.py:seg", "scenes", *FOUR), r"choose one of its outputs with --output: 'out' (5x48x48), 'means' (5); or explain a number"),
        (("net.py:seg", "scenes", *FOUR, "--output", "mean"), "has no output 'mean': did you mean 'means'"),
        (("net.py:seg", "cat", *FOUR, "--output", "out"), "picture 'cat' has red, green and blue, and the network takes 4 channels"),
        (("net.py:seg", "scenes", *SMALL, "--output", "out"), "its first convolution takes 4 channels, and it is given 3"),
        (("net.py:seg", "scenes", *FOUR, "--output", "out", "--bands", "7"), "no band 7 in 'field', which has 4"),
        (("net.py:seg", "scenes", *FOUR, "--target", "targets.py:typo"), "the target 'targets.py', line 18: KeyError: 'meens'"),
        (("net.py:seg", "scenes", *FOUR, "--target", "targets.py:number"), "'number' in 'targets.py' is an int: name a function"),
        (("net.py:seg", "scenes", *FOUR, "--target", "targets.py:diference"), "did you mean 'difference'"),
        (("net.py:seg", "scenes", *FOUR, "--target", "targets.py"), "names no function in the file: write 'targets.py:factory'"),
        (("net.py:seg", "scenes", *FOUR, "--target", "nothing.py:f"), "no file 'nothing.py' to take 'f' from"),
        (("net.py:grey", "cat", *SMALL, "--mean", ".5"), "--mean has 1 number for 3 channels: give --std too"),
        (("net.py:grey", "cat", *GREY, "--normalize-from", "scenes"), "leave --mean and --std out, or --normalize-from"),
        (("net.py:grey", "cat", *GREY, "--weights-key", "x"), "`--weights-key x` chooses among the weights of a file"),
        (("scenes/lake.npy",), "stands in the place of the model, but is a photograph or folder"),
    ],
)
def test_what_cannot_be_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert message in refused(capsys, "gradcam", *words)


def test_which_targets_are_functions() -> None:
    assert [is_function(text) for text in ("a/b.py:f", "b.py", "tabby", "layer4:3", "layer.py.conv:0@1,2", "x.pyc:f")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
