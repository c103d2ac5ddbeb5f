"""Mistakes of users with networks of their own: each is one line that says what to do; methods without layers need none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from interp.cli import run
from interp.figures import Rendered

NETS = """
import torch
from torch import nn


def end():
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)


def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), *end())


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))


class Cut(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.c, self.f, self.how = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), how

    def forward(self, x):
        if self.how == "no_grad":
            with torch.no_grad():
                return self.f(self.c(x).mean((2, 3)))
        maps = self.c(x)
        rows = maps.numpy() if self.how == "numpy" else maps.detach().numpy()
        return self.f(torch.from_numpy(rows).mean((2, 3)))


def no_grad(): return Cut("no_grad")
def detached(): return Cut("detached")
def numpy(): return Cut("numpy")


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = plain()

    def forward(self, x):
        return self.net(x)[:, 0]


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.place = plain(), nn.Parameter(torch.zeros(1, 3, 8, 8))

    def forward(self, x):
        return self.net(x + self.place)


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = plain()

    def forward(self, x):
        return nn.functional.dropout(self.net(x), 0.5, training=True)


def sound(): return nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(4, 3))
def exported(): return torch.export.export(plain().eval(), (torch.zeros(1, 3, 8, 8),))
def argmax(out): return out.argmax(1).float()
"""
SIZE = ("--random-weights", "--input-size", "8")
GREY = (*SIZE, "--mean", ".5", "--std", ".5")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETS)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(tmp_path / "cat.png")
    monkeypatch.setattr("interp.report.product.figures.render", lambda *_: Rendered({"png": b"png", "pdf": b"pdf"}, 8, 8))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that is said last; asserts exit code 2 and no traceback."""
    assert run(list(words)) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gradcam", "net.py:plain", "--target", "1", "--target", "2"), "--target is given twice, as `--target 1` and `--target 2`"),
        (("report", "net.py:plain", "--seed=1", "--seed", "1"), "--seed is given twice"),
        (("gradcam", "net.py:plain", "--input-size", "8", "--input_size", "9"), "--input-size is given twice"),
        (("layers", "net.py:plain", "--device", "cpu", "--device", "cpu"), "--device is given twice"),
        (
            ("compare", "net.py:plain", "--methods", "lime", "--methods", "rise"),
            "as `--methods lime` and `--methods rise`: give it once, several",
        ),
        (("gradcam", "net.py:plain", "--input-size", "8", "8", "8"), "--input-size 8 8 8: give rows and cols, or one number for a square"),
        (("gradcam", "net.py:plain", "--input-size", "-3", "8"), "images of size (-3, 8) (rows, cols) are not possible: give 1 px or more"),
        (
            ("gradcam", "--input-size", "8", "8", "net.py:plain"),
            "--input-size takes INT [INT ...], not '8 8 net.py:plain'; words without a name",
        ),
        (
            ("layers", "net.py:plain", "--mean", "123", "116", "103", "--std", "58", "57", "57"),
            "no numbers of pictures in [0, 1]: divide both by 255",
        ),
        (("layers", "net.py:plain", "--mean", "0", "0", "0", "--std", "255", "255", "255"), "divide both by 255"),
        (
            ("gradcam", "net.py:mlp", "cat.png", *GREY),
            "has places (rows and columns), so there are no maps at layers: methods that need no layer",
        ),
        (("report", "net.py:mlp", "cat.png", *GREY), "no layer of 'net.py:mlp' has places"),
        (
            ("gradcam", "net.py:plain", "cat.png", "--random-weights", "--input-size", "2"),
            "of 2 x 2 px, too small for it: give more with --input-size",
        ),
        (("gradcam", "net.py:no_grad", "cat.png", *SIZE), "does not depend differentiably on the picture"),
        (("gradcam", "net.py:detached", "cat.png", *SIZE), "does not depend differentiably on the picture"),
        (("gradcam", "net.py:numpy", "cat.png", *SIZE), "does not depend differentiably on the picture: its forward computes with numpy"),
        (("attribute", "net.py:no_grad", "cat.png", *SIZE, "--methods", "saliency"), "no Saliency of 'f:"),
        (
            ("attribute", "net.py:no_grad", "cat.png", *SIZE, "--methods", "conductance"),
            "such as torch.no_grad, .detach(), .item(), argmax, or numpy",
        ),
        (
            ("gradcam", "net.py:plain", "cat.png", *SIZE, "--target", "net.py:argmax"),
            "the score of 'target:0' does not depend differentiably",
        ),
        (
            ("layers", "net.py:Flat", *SIZE),
            "shape (2,) for 2 images, not class scores (n, classes): explain the one number of each with --target",
        ),
        (
            ("layers", "net.py:Fixed"),
            "on images of 3x224x224 (channels x rows x cols): --input-size ROWS COLS changes their size, as does `preprocess`",
        ),
        (
            ("layers", "net.py:exported"),
            "returned an exported program, whose layers are dissolved: give the Python module it was made from, not the",
        ),
    ],
)
def test_one_line_that_says_what_to_do(here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    assert said in refused(capsys, *words)


def test_the_size_is_not_named_where_it_cannot_help(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "layers", "net.py:sound")
    assert "its convolutions are Conv1d" in line
    assert "--input-size" not in line


def test_an_option_may_stand_behind_two_dashes_and_in_set_more_than_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "given twice" not in refused(capsys, "rerun", "nothing", "--set", "seed=1", "--set", "count=2")
    assert "given twice" not in refused(capsys, "gradcam", "--seed", "1", "--", "net.py:plain", "--seed", "--seed")


@pytest.mark.parametrize(("mean", "std"), [("0", "1"), (".5", ".5"), ("0", str(1 / 255)), (".48", str(1 / 255))])
def test_means_and_deviations_that_networks_are_trained_with(here: Path, mean: str, std: str) -> None:
    assert run(["layers", "net.py:plain", *SIZE, "--mean", *[mean] * 3, "--std", *[std] * 3]) == 0


def test_one_number_is_a_square(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["8"], ["8", "8"]):
        assert run(["layers", "net.py:plain", "--random-weights", "--input-size", *words]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[: len(shown) // 2] == shown[len(shown) // 2 :]


def test_methods_without_layers_work_where_no_layer_has_places(here: Path) -> None:
    assert run(["attribute", "net.py:mlp", "cat.png", *GREY, "--out", "default"]) == 0
    assert run(["attribute", "net.py:mlp", "cat.png", *GREY, "--methods", "saliency", "occlusion:window=4", "--out", "named"]) == 0
    words = ["compare", "net.py:mlp", "cat.png", *GREY, "--metrics", "deletion:n_steps=2"]
    assert run([*words, "--methods", "saliency", "--out", "one"]) == 0
    assert "Methods that work at a layer were left out" not in (here / "one" / "index.html").read_text()
    assert run([*words, "--out", "all"]) == 0
    assert "Methods that work at a layer were left out" in (here / "all" / "index.html").read_text()
    assert run(["attribute", "net.py:mlp", "cat.png", *GREY, "--methods", "gradcam"]) == 2


def test_pictures_beside_arrays_are_not_left_out_silently(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mix").mkdir()
    (here / "cat.png").rename(here / "mix" / "cat.png")
    np.save(here / "mix" / "field.npy", np.zeros((9, 9, 4), np.uint8))
    line = refused(capsys, "gradcam", "net.py:plain", "mix", *SIZE)
    assert "the folder 'mix' holds pictures ('cat.png') and 1 array ('field.npy'): name those that are meant: mix/*.npy, say" in line


def test_a_network_that_draws_says_so_and_its_run_holds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out in ("a", "b"):
        assert run(["gradcam", "net.py:Noisy", "cat.png", *SIZE, "--layers", "net.0", "--out", out]) == 0
    assert "interp: The network draws random numbers in its forward; results are those of one seeded draw" in capsys.readouterr().err
    first, second = (json.loads((here / out / "manifest.json").read_text()) for out in ("a", "b"))
    assert first["arrays"] == second["arrays"]
    (figure,) = first["figures"].values()
    assert "The network draws random numbers" in figure["caption"]
    assert "draws random numbers" in json.loads((here / "a" / "metrics.json").read_text())["chosen_of_network"]["Random draws"]


def test_where_the_weights_are_in_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": {"teacher": {"backbone": {"x": torch.zeros(1)}}, "head": {"y": torch.zeros(1)}}}, "nested.pt")
    places = "take model.teacher.backbone or model.head with --weights-key"
    words = ("layers", "net.py:plain", "--input-size", "8", "--weights", "nested.pt")
    assert f"'nested.pt' holds no weights: its keys are 'model'; {places}" in refused(capsys, *words)
    assert places in refused(capsys, *words, "--weights-key", "model")
    assert "take model.teacher.backbone with" in refused(capsys, *words, "--weights-key", "model.teacher")
    said = refused(capsys, *words, "--weights-key", "model.student")
    assert "no 'model.student' in 'nested.pt': did you mean 'model.head' or 'model.teacher.backbone'?" in said
    assert "is not of this network" in refused(capsys, *words, "--weights-key", "model.teacher.backbone")


def test_weights_beside_the_network_are_for_its_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    torch.save({"state_dict": {**net.state_dict(), "loss.weight": torch.ones(3)}}, "lit.ckpt")
    line = refused(capsys, "layers", "net.py:mlp", *GREY[1:], "--weights", "lit.ckpt")
    assert "1 unexpected (loss.weight); the file holds more than the network: load it in net.py, without these" in line
