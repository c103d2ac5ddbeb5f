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
