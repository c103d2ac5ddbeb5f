"""Receptive fields against the support of the gradient: with positive weights and no ReLU the support is full."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, resnet50

from interp.core.model import Model
from interp.core.receptive import FieldTracker, ReceptiveField

SIDE = 64


@st.composite
def layers(draw: st.DrawFn) -> nn.Module:
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride = (draw(st.integers(1, 2)), draw(st.integers(1, 3)))
    kind = draw(st.sampled_from(["conv", "mean", "pad"]))
    if kind == "pad":
        return nn.ZeroPad2d((draw(st.integers(0, 2)), 0, draw(st.integers(0, 2)), 1))
    if kind == "mean":
        return nn.AvgPool2d(kernel, stride, (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 3)))
    padding = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    conv = nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False).double()
    nn.init.constant_(conv.weight, 0.5)
    return conv


def traced(net: Callable[[Tensor], Tensor], images: Tensor) -> ReceptiveField:
    tracker = FieldTracker(images)
    with torch.no_grad(), tracker:
        output = net(images)
    field = tracker.of(output)
    assert field is not None
    return field


def gradient(net: Callable[[Tensor], Tensor], images: Tensor, row: int, col: int) -> Tensor:
    images = images.clone().requires_grad_()
    (grad,) = torch.autograd.grad(net(images)[0, 0, row, col], images)
    return grad[0, 0]


@settings(deadline=None, max_examples=40)
@given(st.lists(layers(), min_size=1, max_size=4))
def test_field_is_the_hull_of_the_gradient(stack: list[nn.Module]) -> None:
    net = nn.Sequential(*stack)
    images = torch.ones(1, 1, SIDE, SIDE, dtype=torch.float64)
    try:
        with torch.no_grad():
            rows, cols = net(images).shape[2:]
    except RuntimeError:  # the maps have become smaller than a kernel
        reject()
    at = (rows // 2, cols // 2)
    field = traced(net, images)
    first = [field.start[i] + at[i] * field.stride[i] - (field.size[i] - 1) / 2 for i in (0, 1)]
    last = [f + s - 1 for f, s in zip(first, field.size, strict=True)]
    assume(min(first) >= 0 and max(last) < SIDE)
    places = gradient(net, images, *at).nonzero()
    assert places.min(0).values.tolist() == first
    assert places.max(0).values.tolist() == last


def test_max_pooling_with_dilation() -> None:
    net = nn.MaxPool2d(3, stride=2, padding=1, dilation=2)
    assert traced(net, torch.rand(1, 1, 16, 16)) == ReceptiveField((5, 5), (2, 2), (1.0, 1.0))


@st.composite
def enlarging(draw: st.DrawFn) -> nn.Module:
    """A transposed convolution or a resizing, by different numbers down and across."""
    scale = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    kind = draw(st.sampled_from(["transposed", "nearest", "bilinear", "bicubic", "corners", "smaller"]))
    if kind == "transposed":
        kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
        dilation = draw(st.integers(1, 2))
        conv = nn.ConvTranspose2d(1, 1, kernel, scale, draw(st.integers(0, 1)), bias=False, dilation=dilation).double()
        nn.init.constant_(conv.weight, 0.5)
        return conv
    if kind == "corners":
        return nn.UpsamplingBilinear2d(scale_factor=2)
    if kind == "smaller":
        return nn.Upsample(size=(5, 7), mode=draw(st.sampled_from(["nearest", "bilinear"])))
    return nn.Upsample(scale_factor=scale, mode=kind)


@settings(deadline=None, max_examples=60)
@given(st.lists(layers(), max_size=2), enlarging(), st.lists(layers(), max_size=1), st.data())
def test_behind_an_enlargement_the_field_holds_every_pixel_that_counts(
    before: list[nn.Module], bigger: nn.Module, after: list[nn.Module], data: st.DataObject
) -> None:
    """And little more: nothing where positions see differently many, but for the rounding of each step."""
    net = nn.Sequential(*before, bigger, *after)
    images = torch.ones(1, 1, SIDE, SIDE, dtype=torch.float64)
    try:
        with torch.no_grad():
            rows, cols = net(images).shape[2:]
    except RuntimeError:
        reject()
    field = traced(net, images)
    assert not field.whole
    at = (data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1)))
    places = gradient(net, images, *at).nonzero()
    assume(len(places))
    for i in (0, 1):
        centre, reach = field.start[i] + at[i] * field.stride[i], (field.size[i] - 1) / 2
        assert centre - reach - 1e-6 <= places.min(0).values[i]
        assert places.max(0).values[i] <= centre + reach + 1e-6


def test_transposed_convolutions_and_resizing_by_hand() -> None:
    images = torch.rand(1, 1, 16, 16)
    doubled = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1)
    # Position o sees floor((o + 1 - 3) / 2 + 1) and the next one: two of them, a quarter of a pixel before or behind their middle.
    assert traced(doubled, images) == ReceptiveField((3, 3), (0.5, 0.5), (-0.25, -0.25))
    assert traced(nn.Upsample(scale_factor=2), images) == ReceptiveField((2, 2), (0.5, 0.5), (-0.25, -0.25))
    assert traced(nn.Upsample(scale_factor=2, mode="bilinear"), images) == ReceptiveField((3, 3), (0.5, 0.5), (-0.25, -0.25))
    assert traced(nn.UpsamplingBilinear2d(size=31), images) == ReceptiveField((3, 3), (0.5, 0.5), (0.0, 0.0))
    # A decoder comes back to steps of whole pixels, beside the way around it.
    there = nn.Conv2d(1, 1, 3, stride=2, padding=1)
    around = traced(lambda x: nn.functional.interpolate(there(x), scale_factor=2) + x, images)
    assert (around.stride, around.start) == ((1, 1), (-0.5, -0.5))
    assert around.size == (4, 4)


def test_running_sums_see_all_before_them_and_means_over_channels_nothing_new() -> None:
    images = torch.rand(1, 3, 16, 16)
    conv = nn.Conv2d(3, 4, 3)
    assert traced(lambda x: conv(x).cumsum(3), images).whole
    assert traced(lambda x: conv(x).mean(), images).whole
    assert traced(lambda x: conv(x).amax((2, 3)), images).whole
    assert traced(lambda x: conv(x).cumsum(1), images).size == (3, 3)
    assert traced(lambda x: conv(x) * conv(x).mean(1, keepdim=True), images).size == (3, 3)


def test_where_branches_meet_off_their_middles_the_field_holds_both() -> None:
    images = torch.rand(1, 1, 16, 16)
    left, right = nn.ZeroPad2d((2, 0, 0, 0)), nn.ZeroPad2d((0, 2, 0, 0))
    assert traced(lambda x: left(x) + right(x), images) == ReceptiveField((1, 3), (1, 1), (0.0, -1.0))


def test_where_branches_meet_the_largest_counts() -> None:
    wide, thin = nn.Conv2d(1, 1, 5, padding=2), nn.Conv2d(1, 1, 1)
    images = torch.rand(1, 1, 16, 16)
    assert traced(lambda x: wide(x) + thin(x), images).size == (5, 5)
    assert traced(lambda x: torch.cat([thin(x), wide(x)], 1), images).size == (5, 5)


def test_means_over_all_places_and_attention_see_the_whole_image(network: Callable[[str], Model]) -> None:
    def size(name: str, layer: str) -> str:
        return str(network(name).layer(layer).field)

    assert [size("resnet18", n) for n in ("conv1", "maxpool", "layer1", "layer4", "avgpool", "fc")] == [
        "7x7",
        "11x11",
        "43x43",
        "435x435",
        "image",
        "image",
    ]
    assert size("vit_b_16", "conv_proj") == "16x16"
    assert size("vit_b_16", "encoder.layers.encoder_layer_0") == "image"


@pytest.mark.parametrize(("original", "side"), [(True, 483), (False, 427)])
def test_resnet50_as_published(original: bool, side: int) -> None:
    """483 px, stride 32: Araujo, Norris & Sim 2019, table 1. torchvision moved the stride from the 1x1 to the 3x3 convolution: 427 px."""
    net = resnet50(weights=None).eval()
    for block in net.modules():
        if original and isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    field = traced(nn.Sequential(*list(net.children())[:-2]), torch.rand(1, 3, 64, 64))
    assert (field.size, field.stride, field.whole) == ((side, side), (32, 32), False)
