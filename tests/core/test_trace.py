"""What a traced forward says of real architectures, and of networks with traps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from interp.core.depth import has_kernel
from interp.core.layout import ChannelsLast, Layout, Maps, Tokens, Vector
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.errors import UnknownName, Unsupported
from interp.images import Preprocess
from interp.zoo.loading import load

Network = Callable[[str], Model]


@pytest.mark.parametrize(
    ("name", "layer", "layout", "shape"),
    [
        ("resnet18", "layer4.1.conv2", Maps(), (512, 7, 7)),
        ("resnet18", "fc", Vector(), (1000, 1, 1)),
        ("swin_t", "features.0.0", Maps(), (96, 56, 56)),
        ("swin_t", "features.0.1", ChannelsLast(), (96, 56, 56)),
        ("swin_t", "features.5.3.attn", ChannelsLast(), (384, 14, 14)),
        ("swin_t", "features.7", ChannelsLast(), (768, 7, 7)),
        ("vit_b_16", "conv_proj", Maps(), (768, 14, 14)),
        ("vit_b_16", "encoder.layers.encoder_layer_11.self_attention", Tokens(1, (14, 14)), (768, 14, 14)),
        ("vit_b_16", "encoder.layers.encoder_layer_3.mlp.0", Tokens(1, (14, 14)), (3072, 14, 14)),
        ("convnext_tiny", "features.7.2", Maps(), (768, 7, 7)),
        ("convnext_tiny", "features.7.2.block.3", ChannelsLast(), (3072, 7, 7)),
        ("convnext_tiny", "features.0.1", Maps(), (96, 56, 56)),
        ("squeezenet1_0", "features.12.expand3x3", Maps(), (256, 13, 13)),
        ("squeezenet1_0", "classifier.3", Maps(), (1000, 1, 1)),
        ("googlenet", "inception5b.branch4.1.conv", Maps(), (128, 7, 7)),
    ],
)
def test_layouts_of_architectures(network: Network, name: str, layer: str, layout: Layout, shape: tuple[int, int, int]) -> None:
    found = network(name).layer(layer)
    assert (found.layout, found.map_shape) == (layout, shape)


def test_what_computes_weights_is_no_layer() -> None:
    computed = nn.utils.parametrizations
    net = nn.Sequential(computed.weight_norm(nn.Conv2d(3, 8, 3)), nn.ReLU(), computed.spectral_norm(nn.Conv2d(8, 5, 3)), nn.Flatten(1))
    model = trace(nn.Sequential(net, nn.Linear(80, 4)).eval(), ModelSpec("net"), Preprocess(size=(8, 8), resize=8))
    assert [(layer.name, layer.kind, layer.leaf) for layer in model.layers] == [
        ("0.0", "Conv2d", True),
        ("0.1", "ReLU", True),
        ("0.2", "Conv2d", True),
        ("0.3", "Flatten", True),
        ("0", "Sequential", False),
        ("1", "Linear", True),
    ]
    assert model.silent == ()
    assert [layer.name for layer in model.layers if has_kernel(model, layer)] == ["0.0", "0.2", "1"]


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("resnet18", "fc"),
        ("vit_b_16", "heads.head"),
        ("swin_t", "head"),
        ("convnext_tiny", "classifier.2"),
        ("squeezenet1_0", "classifier.3"),
        ("googlenet", "fc"),
    ],
)
def test_the_output_layer_gives_the_result(network: Network, name: str, output: str) -> None:
    model = network(name)
    images = torch.rand(1, 3, *model.preprocess.size, generator=torch.Generator().manual_seed(0))
    outputs, result = model.capture([model.output], images)
    assert model.output == output
    assert model.classes == 1000
    assert torch.equal(model.maps(output, outputs[output])[:, :, 0, 0], result)


def test_layers_that_never_fire_are_named_as_such(network: Network, trap_model: Model) -> None:
    assert trap_model.silent == ("unused",)
    with pytest.raises(UnknownName, match=r"layer 'unused' of 'TrapNet' exists but never fires"):
        trap_model.layer("unused")
    assert "encoder.layers.encoder_layer_0.self_attention.out_proj" in network("vit_b_16").silent


def test_a_module_called_twice_is_flagged(trap_model: Model) -> None:
    assert trap_model.layer("relu").calls == 2
    assert trap_model.layer("relu").label == "relu (call 2 of 2)"
    assert trap_model.layer("relu").shape == (5, 5, 5), "that of the last call"
    assert trap_model.layer("conv1").label == "conv1"


def test_layers_are_in_the_order_of_their_last_firing(trap_model: Model) -> None:
    assert [layer.name for layer in trap_model.layers] == ["conv1", "bn", "conv2", "relu", "pair", "both", "fc"]


def test_a_tuple_with_one_tensor_is_resolved_and_others_refused(trap_model: Model) -> None:
    assert trap_model.layer("pair").map_shape == (5, 5, 5)
    with pytest.raises(Unsupported, match="layer 'both' \\(Both\\) has no maps: it returns a tuple of Tensor, Tensor, not one tensor"):
        _ = trap_model.layer("both").channels
    with pytest.raises(Unsupported, match="layer 'both' returns a tuple of Tensor, Tensor"):
        trap_model.capture(["both"], torch.rand(1, 3, 12, 12))


class Returns(nn.Module):
    """A convolution whose result is turned into something else."""

    def __init__(self, last: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = last

    def forward(self, x: Tensor) -> object:
        return self.last(self.conv(x))


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (lambda x: {"out": x}, "'Returns' returns a dict, not one tensor of class scores"),
        (lambda x: (x, x), "'Returns' returns a tuple of Tensor, Tensor"),
        (lambda x: x.sum(), r"'Returns' returns a tensor of shape \(\) for 2 images"),
        (lambda x: x.mean((1, 2, 3)), r"returns a tensor of shape \(2,\) for 2 images"),
        (lambda x: x.flatten(0, 1), r"returns a tensor of shape \(8, 6, 6\) for 2 images"),
        (lambda x: x, "no layer gives one value for each of the 4 scores"),
        (lambda x: x.view(3, 3), r"'Returns' cannot be run on images of shape 2x3x8x8: RuntimeError: shape '\[3, 3\]' is invalid"),
    ],
)
def test_what_is_no_classifier_is_refused(last: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        load(Returns(last), preprocess=Preprocess(size=(8, 8), resize=8))


def test_a_result_of_one_place_becomes_scores() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1))
    model = load(net, preprocess=Preprocess(size=(8, 8), resize=8))
    images = torch.rand(2, 3, 8, 8)
    assert model.output == "1"
    assert torch.allclose(model(images), net[0](model.normalized(images)).mean((2, 3)), atol=1e-6)


def test_scripted_modules_are_refused() -> None:
    class Scripted(torch.jit.ScriptModule):
        pass

    with pytest.raises(Unsupported, match="is a scripted module"):
        load(Scripted())


def test_images_that_are_not_square_and_equal_sizes(trap_net: nn.Module) -> None:
    """Channels, rows and columns that coincide do not turn maps over: conv 3 -> 8 channels on 8 x 12 px."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(8 * 96, 3))
    model = load(net, preprocess=Preprocess(size=(8, 12), resize=8))
    assert [layer.map_shape for layer in model.layers[:3]] == [(8, 8, 12)] * 3


def test_grey_networks_are_traced_with_one_channel() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    model = load(net, preprocess=Preprocess(size=(4, 4), resize=4, mean=(0.5,), std=(0.25,)))
    images = torch.rand(3, 1, 4, 4)
    assert torch.allclose(model(images), net((images - 0.5) / 0.25), atol=1e-6)
