"""Presets are the recipes they name, scaled to the image, which keeps its size."""

from __future__ import annotations

import pytest
import torch

from interp.errors import UnknownName
from interp.featurevis.presets import Scaled
from interp.featurevis.transform import (
    NONE,
    PRESETS,
    STANDARD,
    Compose,
    Crop,
    Jitter,
    Lucid,
    Noise,
    Pad,
    RandomCrop,
    Rotate,
    Scale,
    Strong,
    preset,
)

from .conftest import generators
from .photos import photos


def test_presets_by_name() -> None:
    assert list(PRESETS) == ["none", "lucid", "maco", "strong"]
    assert preset("none") is NONE
    assert preset("lucid") is STANDARD
    assert preset("strong") == Strong()
    assert len(set(PRESETS.values())) == 4


@pytest.mark.parametrize("name", ["none", "lucid", "maco", "strong"])
def test_presets_keep_the_size_and_pass_gradients(name: str) -> None:
    for rows, cols in ((33, 47), (8, 8), (64, 20)):
        images = photos(2, rows, cols, torch.float32).requires_grad_()
        assert preset(name).size((rows, cols)) == (rows, cols)
        moved = preset(name)(images, generators(2))
        assert moved.shape == images.shape
        (gradient,) = torch.autograd.grad(moved.sum(), images)
        # Crops reach only their window.
        assert (gradient != 0).float().mean() > (0.02 if name == "maco" else 0.6)


def test_lucid_is_lucids_at_lucids_size_and_scales() -> None:
    chain = Lucid().chain((128, 128))
    assert chain.parts == (Pad(12), Jitter(8), Scale(0.9, 1.1), Rotate(10.0), Jitter(4), Crop(12))
    assert STANDARD.chain((256, 300)).parts == (Pad(24), Jitter(16), Scale(0.9, 1.1), Rotate(10.0), Jitter(8), Crop(24))
    assert STANDARD.chain((8, 8)).parts[1] == Jitter(1), "a small image is moved too"
    assert Lucid(0.0).chain((128, 128)).parts[0] == Pad(12, 0.0)


def test_strong_is_the_studys_at_its_size_and_scales() -> None:
    scale = Scale(values=(0.95, 0.975, 1.0, 1.025, 1.05))
    assert Strong().chain((224, 224)).parts == (Jitter(16), scale, Rotate(5.0), Jitter(8))
    assert Strong().chain((448, 500)).parts == (Jitter(32), scale, Rotate(5.0), Jitter(16))


def test_strong_shows_no_frame() -> None:
    white = torch.ones(8, 3, 56, 60)
    torch.testing.assert_close(Strong()(white, generators(8)), white)
    assert Lucid()(white, generators(8)).min() == pytest.approx(0.5), "lucid's surroundings are grey"


def test_maco_is_a_crop_with_noise() -> None:
    crop, noise = preset("maco").steps((128, 128))
    assert crop == RandomCrop(0.25, 0.05, 0.05, 1.0, 0.15)
    assert noise == Noise(0.04, 0.02)
    images = photos(4, 64, 64, torch.float32)
    cropped = crop(images, draws := generators(4))
    assert (cropped - noise(cropped, draws)).abs().max() < 0.25
    assert torch.equal(preset("maco")(images, generators(4)), Compose((crop, noise))(images, generators(4)))


def test_a_scaled_chain_takes_its_size_from_where_it_stands() -> None:
    assert isinstance(STANDARD, Scaled)
    assert Compose((Crop(64), STANDARD)).steps((256, 256)) == (Crop(64), *STANDARD.chain((128, 128)).parts)


def test_unknown_presets() -> None:
    with pytest.raises(
        UnknownName, match=r"no transforms named 'Lucent': did you mean 'lucid'\? \(the presets are none, lucid, maco, strong\)"
    ):
        preset("Lucent")
    with pytest.raises(UnknownName, match=r"no transforms named 'xyzzy': the presets are none, lucid, maco, strong"):
        preset("xyzzy")
