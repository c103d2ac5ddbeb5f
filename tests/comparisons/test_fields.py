"""Receptive fields by gradients: closed forms for linear networks, and their support is what theory says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.comparisons import fields
from interp.comparisons.fields import Field, field
from interp.core.model import Model
from interp.figures import MapPanel, Scale, colors
from interp.images import Preprocess
from interp.synthetic.digit_training import DigitOptions, untrained
from interp.synthetic.digits import small
from interp.zoo import load


def linear(sizes: tuple[int, ...], side: int = 15, stride: int = 1) -> Model:
    """Convolutions of ones, without padding to the sides of the middle."""
    layers: list[nn.Module] = []
    for place, size in enumerate(sizes):
        one = nn.Conv2d(1, 1, size, stride if place == 0 else 1, size // 2, bias=False)
        nn.init.ones_(one.weight)
        layers.append(one)
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    return load(net, preprocess=Preprocess((side, side), side, (0.0,), (1.0,)))


def images(side: int = 15) -> Tensor:
    return torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sizes", [(3,), (3, 3), (5, 3), (3, 3, 3)])
def test_of_a_linear_network_it_is_the_convolution_of_its_kernels(sizes: tuple[int, ...]) -> None:
    wanted = np.ones(1)
    for size in sizes:
        wanted = np.convolve(wanted, np.ones(size))
    found = field(linear(sizes), images(), f"{len(sizes) - 1}")
    reach = len(wanted) // 2
    inner = found.share[7 - reach : 7 + reach + 1, 7 - reach : 7 + reach + 1]
    assert inner == pytest.approx(np.outer(wanted, wanted) / wanted.sum() ** 2)
    assert found.share.sum() == pytest.approx(1)
    assert found.theory == found.inside == (len(wanted), len(wanted))
    assert ((found.share > 0).sum(axis=0) > 0).sum() == len(wanted), "nothing is seen outside"


def test_a_field_that_leaves_the_picture_is_cut_and_both_sizes_are_told() -> None:
    found = field(linear((5, 5), side=6), images(6), "1")
    assert found.theory == (9, 9)
    rows = np.flatnonzero(found.share.sum(axis=1) > 0)
    assert found.inside == (len(rows), len(rows)) == (6, 6)
    edge = field(linear((5,), side=4), images(4), "0")
    assert edge.inside == (4, 4)
    assert (edge.share > 0).sum() == 16


@pytest.mark.parametrize("side", [8, 9])
def test_the_support_of_the_gradient_is_what_theory_says(side: int) -> None:
    model = untrained(small(), DigitOptions(widths=(8, 8, 8, 8)))
    pictures = torch.rand(32, 1, side, side, generator=torch.Generator().manual_seed(1))
    for layer in ("unit1.relu", "unit2.relu"):
        found = field(model, pictures, layer)
        for axis in (0, 1):
            seen = np.flatnonzero(found.share.sum(axis=1 - axis) > 0)
            assert seen[-1] - seen[0] + 1 == found.inside[axis]


def test_strides_move_the_middle_with_the_place() -> None:
    found = field(linear((3,), side=15, stride=2), images(), "0")
    rows = np.flatnonzero(found.share.sum(axis=1) > 0)
    assert rows.tolist() == [7, 8, 9], "the fourth of eight places is at row 8"


@pytest.mark.parametrize(("side", "wanted"), [(1, 1), (3, 5), (5, 13)])
def test_the_side_is_that_of_the_fewest_pixels_with_half_of_the_gradient(side: int, wanted: int) -> None:
    share = np.zeros((9, 9))
    share[2 : 2 + side, 3 : 3 + side] = 1 / side**2
    assert Field("a", (side, side), (side, side), share).side == pytest.approx(np.sqrt(wanted))


def test_a_network_that_looks_at_nothing_has_no_side() -> None:
    model = linear((3,))
    with torch.no_grad():
        model.module[0].weight.zero_()  # type: ignore[index,union-attr]
    found = field(model, images(), "0")
    assert (found.share == 0).all()
    assert found.side == 0


def test_the_model_is_left_as_it_was() -> None:
    model = untrained(small(), DigitOptions(widths=(4, 4, 4, 4)))
    model.module.train().requires_grad_(True)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    field(model, torch.rand(4, 1, 8, 8), "unit3.relu")
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert model.module.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.module.parameters())


def test_the_figure_has_a_row_for_each_layer_on_one_scale() -> None:
    one, two = (Field("a", (3, 3), (3, 3), np.full((3, 3), 1 / 9)) for _ in range(2))
    wide = Field("b", (5, 5), (3, 3), np.eye(3) / 3)
    grid = fields.fields({"a": [one, two], "b": [wide, wide]}, ("step 0", "step 9"), "")
    assert grid.row_headers == ("a\nsees 3 x 3 px", "b\nsees 5 x 5 px,\n3 x 3 of them here")
    first, last = grid.rows[1]
    assert isinstance(first, MapPanel)
    assert isinstance(last, MapPanel)
    assert first.values == pytest.approx(100 * wide.share)
    assert first.scale == last.scale
    assert first.label == "half in 1.4 x 1.4 px"
    assert fields.arrays({"a": [one, two]})["fields/a"].shape == (2, 3, 3)
    assert fields.numbers({"b": [wide]}) == {"b": {"sees": [5, 5], "in_the_picture": [3, 3], "side_of_half": [np.sqrt(2)]}}


def test_a_pixel_of_a_field_can_be_read_off_the_frame_of_its_moment() -> None:
    rng = np.random.default_rng(0)
    shares = rng.random((2, 2, 4, 4))
    shares /= shares.sum(axis=(2, 3), keepdims=True)
    found = {name: [Field(name, (4, 4), (4, 4), share) for share in own] for name, own in zip("ab", shares, strict=True)}
    drawn = fields.frames(found)
    zoom = drawn.shape[1] // 4
    for layer, moment, row, col in np.ndindex(2, 2, 4, 4):
        scale = Scale.positive([100 * shares[layer]])
        wanted = np.round(255 * colors(np.array(100 * shares[layer, moment, row, col]), scale)).tolist()
        assert drawn[moment, row * zoom, layer * (4 * zoom + 4) + col * zoom].tolist() == wanted
