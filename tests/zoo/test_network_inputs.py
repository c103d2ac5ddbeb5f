"""How pictures become a network's input where the user says so: every number is the one that was given, or that of the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from interp import images
from interp.errors import BadFile, InterpError
from interp.images import Preprocess
from interp.runs.entries import Role
from interp.zoo.inputs import Inputs, described, statistics
from interp.zoo.loading import load


def net(channels: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 2, 3), nn.AdaptiveAvgPool2d(1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a", (20, 20)), ("b", (20, 30))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def test_what_is_not_said_stays() -> None:
    source = Preprocess(size=(30, 40), resize=50, mean=(0.1, 0.2, 0.3))
    assert Inputs().over(source, net()) == (source, (), "")
    assert Inputs(resize=99).over(source, net())[0] == Preprocess(size=(30, 40), resize=99, mean=(0.1, 0.2, 0.3))
    assert Inputs(mean=(0.5, 0.5, 0.5)).over(source, net())[0].std == source.std
    # Of another size the makers' resizing says nothing.
    assert Inputs(size=(12, 16)).over(source, net())[0] == Preprocess(size=(12, 16), resize=None, mean=(0.1, 0.2, 0.3))


def test_other_channels() -> None:
    grey, _, said = Inputs(mean=(0.5,), std=(0.25,), size=(8, 8)).over(Preprocess(), net(1))
    assert (grey.mean, grey.std) == ((0.5,), (0.25,))
    assert said == described(grey) == "1 x 8 x 8 (channels x rows x cols), mean 0.5, std 0.25"
    model = load(net(4), inputs=Inputs((8, 8), None, (0.0,) * 4, (1.0,) * 4))
    assert model.spec.notes == (("Input", "4 x 8 x 8 (channels x rows x cols), mean 0, 0, 0, 0, std 1, 1, 1, 1"),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": (0.5,), "std": (0.5, 0.5)}, "--mean has 1 number and --std 2 numbers: give one of each per channel"),
        ({"mean": (0.5,), "normalize_from": Path("x")}, "--normalize-from learns the mean and std: leave --mean and --std out"),
        ({"mean": (0.5,)}, "--mean has 1 number for 3 channels: give --std too, a number per channel"),
        ({"std": (0.5,) * 4}, "--std has 4 numbers for 3 channels: give --mean too"),
        ({"std": (0.5, 0.0, 0.5)}, "must be positive"),
        ({"size": (0, 4)}, r"images of size \(0, 4\)"),
        ({"resize": 0}, "shorter side resized to 0"),
    ],
)
def test_what_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        Inputs(**fields).over(Preprocess(), net())  # type: ignore[arg-type]


def test_the_mean_and_std_are_those_of_all_pixels_that_the_network_would_see(folder: Path) -> None:
    preprocess = Preprocess(size=(16, 16), resize=18)
    mean, std = statistics(preprocess, images.load([folder]))
    seen = preprocess(images.load([folder])).double().numpy()
    assert mean == pytest.approx(seen.mean(axis=(0, 2, 3)), abs=1e-6)
    assert std == pytest.approx(seen.std(axis=(0, 2, 3)), abs=1e-6)
    assert all(value == round(value, 6) for value in (*mean, *std)), "so that other machines find the same"


def test_learned_from_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    model = load(net(), inputs=Inputs((16, 16), 18, normalize_from=Path("photos")))
    found = model.normalized(model.preprocess(images.load([folder]))).double()
    assert found.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert (found.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    assert [(entry.path, entry.role) for entry in model.spec.files] == [("photos/a.png", Role.PICTURE), ("photos/b.png", Role.PICTURE)]
    assert model.spec.notes[0][1].endswith(", of 2 pictures in 'photos'")


def test_a_grey_network_learns_from_grey_pictures_and_one_of_bands_from_bands(folder: Path, tmp_path: Path) -> None:
    grey = load(net(1), inputs=Inputs((16, 16), normalize_from=folder)).preprocess
    assert len(grey.mean) == len(grey.std) == 1
    (tmp_path / "bands").mkdir()
    values = np.random.default_rng(0).random((5, 16, 20), dtype=np.float32)
    np.save(tmp_path / "bands" / "x.npy", values)
    five = load(net(5), inputs=Inputs((16, 16), normalize_from=tmp_path / "bands")).preprocess
    assert five.mean == pytest.approx(values[:, :, 2:18].mean(axis=(1, 2)), abs=1e-5)


def test_pictures_that_teach_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="holds no picture: looked for"):
        load(net(), inputs=Inputs(normalize_from=tmp_path))
    Image.new("RGB", (20, 20), (9, 200, 9)).save(tmp_path / "a.png")
    with pytest.raises(InterpError, match="channel 0 is the same in all of the 1 pictures: nothing to normalize by"):
        load(net(), inputs=Inputs((16, 16), normalize_from=tmp_path))
    (tmp_path / "b").mkdir()
    for count in (4, 5):
        np.save(tmp_path / "b" / f"{count}.npy", np.random.default_rng(0).random((20, 20, count)))
    with pytest.raises(InterpError, match="pictures of 4 and 5 bands have no mean in common"):
        load(net(), inputs=Inputs(normalize_from=tmp_path / "b"))
