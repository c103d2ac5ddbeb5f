"""What is typed in Python, as in a notebook: names, numbers, dictionaries and pictures where values are meant; and what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import interp
from interp.attribution import Saliency
from interp.core.model import Model
from interp.errors import InterpError, UnknownName
from interp.zoo.loading import load

SMALL = {"size": [12, 12], "resize": 12, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def unchecked(function: Any) -> Any:
    """Without the check of annotations, which these tests are run with and a user's notebook is not."""
    return getattr(function, "__wrapped__", function)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.fixture
def model() -> Model:
    return load(net(), preprocess=SMALL, classes=["ant", "bee", "cat"])


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def test_a_preprocess_as_a_dictionary(model: Model) -> None:
    assert model.preprocess == interp.Preprocess((12, 12), 12, (0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sise": 3}, r"^`preprocess` does not fit interp\.Preprocess: .*sise"),
        ({"mean": (0.5,)}, r"^`preprocess` does not fit interp\.Preprocess: a mean of 1 and a std of 3 channels"),
    ],
)
def test_dictionaries_that_are_no_preprocess(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InterpError, match=message) as caught:
        load(net(), preprocess=given)
    assert "\n" not in str(caught.value)


def test_an_output_by_its_index(images: Tensor) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            scores = self.net(x)
            return scores, scores * 2

    two = Two()
    expected = two.net((images - 0.5) / 0.25) * 2
    assert torch.allclose(load(two, preprocess=SMALL, output=1)(images), expected, atol=1e-6)
    with pytest.raises(UnknownName, match=r"no output '7'"):
        load(two, preprocess=SMALL, output=7)


def test_classes_and_units_as_they_are_written(model: Model, images: Tensor) -> None:
    units = [interp.Unit("4", 1), interp.Unit("4", 2)]
    expected = interp.gradcam.of(model, images, units, ["0"])
    for asked in ([1, 2], ["bee", "cat"], ["4:1", "4:2"]):
        found = interp.gradcam.of(model, images, asked, ["0"])
        assert [maps["0"].unit for maps in found] == units
        assert all(np.array_equal(one["0"].values, other["0"].values) for one, other in zip(found, expected, strict=True))
        assert [heatmap.unit for heatmap in Saliency()(model, images, asked)] == units
    assert unchecked(Model.unit)(model, np.int64(2)) == unchecked(Model.unit)(model, torch.tensor(2)) == units[1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["0:9", "0:9"], "no unit '0:9': layer '0' has 4 channels"),
        ([3, 3], "no class 3: 'Sequential' has 3 classes, 0 to 2"),
        (["cta", "cat"], "no class 'cta' in 'Sequential': did you mean 'cat'"),
        ("4:1", "`units` is the unit '4:1': give a sequence with one unit per image"),
        ([1], "1 units for 2 images"),
    ],
)
def test_units_that_are_none(model: Model, images: Tensor, asked: Any, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        interp.gradcam.of(model, images, asked, ["0"])


def test_what_is_no_unit_at_all(model: Model) -> None:
    with pytest.raises(InterpError, match=r"^None is no unit: give a Unit, 'layer:channel', or a class by its number or name$"):
        unchecked(Model.unit)(model, None)


def test_layers_of_a_module_are_listed_by_python(model: Model) -> None:
    with pytest.raises(UnknownName, match=r"^no layer '\*' in 'Sequential': `model\.layers` lists them$"):
        model.layer("*")
    with pytest.raises(UnknownName, match=r"`interp layers embedded` lists them$"):
        load("embedded", random_weights=True).layer("*")


def test_a_model_and_a_layer_say_what_they_are_in_a_line(model: Model) -> None:
    assert repr(model) == "Model('Sequential', as given, input 3 x 12 x 12, 5 layers, output '4' of 3, 127 parameters, cpu)"
    assert repr(model.layer("0")) == "Layer('0', Conv2d, 4 x 10 x 10, maps)"
    assert repr(model.layer("4")) == "Layer('4', Linear, 3, vector)"


def test_one_photograph_by_its_name(tmp_path: Path) -> None:
    assert [photo.name for photo in interp.photos("cat")] == ["cat"]
    Image.new("RGB", (9, 8), (10, 20, 30)).save(tmp_path / "penguin.png")
    assert [photo.name for photo in interp.photos(str(tmp_path / "penguin.png"))] == ["penguin"]
    assert [photo.name for photo in interp.photos(tmp_path)] == ["penguin"]


def test_pictures_of_pillow_and_numpy_are_photographs(model: Model, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = model.preprocess(interp.photos(tmp_path / "a.png"))
    for given in (Image.fromarray(pixels), pixels, [Image.fromarray(pixels)], [pixels]):
        assert torch.equal(model.preprocess(given), expected)
    grey = Image.fromarray(pixels[..., 0])
    assert torch.equal(model.preprocess(grey), model.preprocess(np.repeat(pixels[..., :1], 3, axis=2)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["penguin.jpg"], r"^'penguin\.jpg' is the name of a picture: load .* `model\.preprocess\(interp\.photos\('penguin\.jpg'\)\)`$"),
        ("cat", r"^'cat' is the name of a picture: load pictures with interp\.photos"),
        ([None], r"^None is no picture: load pictures with interp\.photos"),
        (np.zeros((3, 8, 8), np.uint8), r"^an array of uint8 of shape \(3, 8, 8\) is no picture: give uint8 \(rows, cols, 3\)"),
        (np.zeros((8, 8, 3)), r"^an array of float64 of shape \(8, 8, 3\) is no picture"),
        ([], r"^no picture was given"),
    ],
)
def test_what_is_no_picture(given: Any, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        unchecked(interp.Preprocess.__call__)(interp.Preprocess(), given)
