from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn
from torchvision.models import VisionTransformer

from interp import kernels
from interp.core.model import Model
from interp.errors import InterpError, UnknownName, Unsupported
from interp.kernels import Kernels, Order, Scale

Make = Callable[..., Model]


def net(*layers: nn.Module) -> nn.Sequential:
    """The layers and a head of two classes."""
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(2))


def built(make: Make, *layers: nn.Module) -> Model:
    module = net(*layers)
    with torch.no_grad():
        module(torch.zeros(1, 3, 16, 16))
    return make(module, 16)


def test_weights_are_those_of_the_layer(resnet: Model) -> None:
    conv1 = kernels.of(resnet, "conv1")
    weight = resnet.module.get_submodule("conv1").weight.detach().numpy()
    assert conv1.kind == "Conv2d"
    assert conv1.layer == "conv1"
    assert conv1.groups == 1
    assert conv1.weights.dtype == np.float32
    assert len(conv1) == 64
    np.testing.assert_array_equal(conv1.weights, weight)


def test_a_later_training_step_does_not_change_what_was_read(traced: Make) -> None:
    model = built(traced, nn.Conv2d(3, 2, 3))
    before = kernels.of(model, "0")
    copy = before.weights.copy()
    with torch.no_grad():
        model.module.get_submodule("0").weight.add_(1.0)
    np.testing.assert_array_equal(before.weights, copy)
    with pytest.raises(ValueError, match="read-only"):
        before.weights[0] = 0


def test_linear_is_a_matrix(resnet: Model) -> None:
    fc = kernels.of(resnet, "fc")
    assert fc.weights.shape == (1000, 512, 1, 1)
    np.testing.assert_array_equal(fc.matrix, resnet.module.get_submodule("fc").weight.detach().numpy())


def test_matrix_of_a_convolution_is_refused(resnet: Model) -> None:
    with pytest.raises(Unsupported, match=r"'layer1.0.conv1' \(Conv2d\) has kernels 3x3, no matrix"):
        _ = kernels.of(resnet, "layer1.0.conv1").matrix


def test_patch_embedding_is_colour_filters(traced: Make) -> None:
    vit = VisionTransformer(image_size=32, patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3)
    patches = kernels.of(traced(vit, 32), "conv_proj")
    assert patches.weights.shape == (8, 3, 16, 16)
    assert patches.rgb(Scale.SHARED).shape == (8, 16, 16, 3)


def test_grouped_convolution_counts_inputs_within_the_group(traced: Make) -> None:
    model = built(traced, nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 3, groups=2), nn.Conv2d(4, 4, 3, groups=4))
    grouped, depthwise = kernels.of(model, "1"), kernels.of(model, "2")
    assert (grouped.groups, grouped.weights.shape) == (2, (4, 3, 3, 3))
    assert (depthwise.groups, depthwise.weights.shape) == (4, (4, 1, 3, 3))
    with pytest.raises(Unsupported, match="see 3 inputs in each of 2 groups, not red, green and blue"):
        grouped.rgb(Scale.SHARED)
    with pytest.raises(UnknownName, match="no 3 among the inputs in each group of '1': there are 3, 0 to 2"):
        grouped.planes([0], [3])


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolution_is_brought_to_out_in(traced: Make, groups: int) -> None:
    conv = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    kernel = kernels.of(built(traced, nn.Conv2d(3, 4, 1), conv), "1")
    assert kernel.weights.shape == (6, 4 // groups, 3, 3)
    # An impulse in one input channel draws that channel's kernels into the outputs of its group.
    for channel in range(4):
        impulse = torch.zeros(1, 4, 1, 1)
        impulse[0, channel] = 1
        drawn = conv(impulse)[0].detach().numpy()
        group, within = divmod(channel, 4 // groups)
        outputs = slice(group * 6 // groups, (group + 1) * 6 // groups)
        np.testing.assert_allclose(drawn[outputs], kernel.weights[outputs, within], rtol=1e-6)


def test_norms_and_their_order() -> None:
    weights = np.zeros((4, 1, 1, 2), dtype=np.float32)
    weights[:, 0, 0] = [[3, 4], [0, 0], [6, 8], [-4, 3]]
    kernel = Kernels("a", "Conv2d", weights)
    np.testing.assert_array_equal(kernel.norms, [5, 0, 10, 5])
    assert kernel.order(Order.INDEX).tolist() == [0, 1, 2, 3]
    assert kernel.order(Order.NORM).tolist() == [2, 0, 3, 1]  # equal norms keep their order
    assert kernel.limit == 8


def test_rgb_pixels() -> None:
    weights = np.zeros((3, 3, 1, 1), dtype=np.float32)
    weights[0, :, 0, 0] = [2, -2, 0]
    weights[1, :, 0, 0] = [0.5, 0, -0.25]
    kernel = Kernels("a", "Conv2d", weights)
    shared, each = kernel.rgb(Scale.SHARED)[:, 0, 0], kernel.rgb(Scale.FILTER)[:, 0, 0]
    np.testing.assert_array_equal(shared, [[1, 0, 0.5], [0.625, 0.5, 0.4375], [0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(each, [[1, 0, 0.5], [1, 0.5, 0.25], [0.5, 0.5, 0.5]])


BROAD = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (3, 3, 2, 2), elements=BROAD), st.sampled_from(Scale))
def test_rgb_is_symmetric_around_zero_weight(weights: np.ndarray, scale: Scale) -> None:
    one = Kernels("a", "Conv2d", weights).rgb(scale)
    other = Kernels("a", "Conv2d", -weights).rgb(scale)
    assert one.min() >= 0
    assert one.max() <= 1
    np.testing.assert_allclose(one + other, 1, atol=1e-6)
    assert (one[weights.transpose(0, 2, 3, 1) == 0] == 0.5).all()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (4, 3, 2, 2), elements=st.floats(-100, 100, width=32, allow_subnormal=False)), st.permutations(range(4)))
def test_statistics_follow_the_filters(weights: np.ndarray, order: list[int]) -> None:
    kernel, moved = Kernels("a", "Conv2d", weights), Kernels("a", "Conv2d", weights[order])
    np.testing.assert_array_equal(moved.norms, kernel.norms[order])
    assert moved.limit == kernel.limit
    np.testing.assert_array_equal(kernel.planes(order, [2, 0]), weights[order][:, [2, 0]])
    assert sorted(kernel.order(Order.NORM)) == [0, 1, 2, 3]
    assert (np.diff(kernel.norms[kernel.order(Order.NORM)]) <= 0).all()


def test_not_finite_weights_have_no_colour() -> None:
    kernel = Kernels("a", "Conv2d", np.full((1, 3, 1, 1), np.nan, dtype=np.float32))
    with pytest.raises(InterpError, match="the weights of 'a' hold NaN"):
        kernel.rgb(Scale.SHARED)


def test_deep_layers_have_no_colour(resnet: Model) -> None:
    with pytest.raises(Unsupported, match=r"the filters of 'layer1.0.conv1' see 64 inputs, not red, green and blue"):
        kernels.of(resnet, "layer1.0.conv1").rgb(Scale.SHARED)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer1.0", r"'layer1.0' \(BasicBlock\) is a container without kernels of its own: choose 'layer1.0.conv1' or 'layer1.0.conv2'"),
        ("layer2", r"'layer2' \(Sequential\) is a container .* choose 'layer2.0.conv1' or 'layer2.0.conv2'"),
        ("layer3.1.bn2", r"has a weight of shape \(256,\), which is no kernel: choose 'layer3.1.conv2' or 'layer3.1.conv1'"),
        ("layer4.0.relu", r"'layer4.0.relu' \(ReLU\) has no kernels: choose 'layer4.0."),
        ("avgpool", r"'avgpool' \(AdaptiveAvgPool2d\) has no kernels: choose 'fc'"),
    ],
)
def test_layers_without_kernels_name_the_nearest(resnet: Model, layer: str, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        kernels.of(resnet, layer)


def test_a_network_without_kernels(traced: Make) -> None:
    model = traced(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 16)
    with pytest.raises(Unsupported, match="no layer of 'sequential' has any"):
        kernels.of(model, "0")


def test_unknown_and_silent_layers(traced: Make) -> None:
    vit = VisionTransformer(image_size=32, patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3)
    model = traced(vit, 32)
    with pytest.raises(UnknownName, match="did you mean 'conv_proj'"):
        kernels.of(model, "conv_pro")
    with pytest.raises(UnknownName, match="never fires"):
        kernels.of(model, "encoder.layers.encoder_layer_0.self_attention.out_proj")


@pytest.mark.parametrize("index", [-1, 64])
def test_planes_out_of_range(resnet: Model, index: int) -> None:
    with pytest.raises(UnknownName, match=f"no {index} among the filters of 'conv1': there are 64, 0 to 63"):
        kernels.of(resnet, "conv1").planes([index], [0])


@pytest.mark.usefixtures("unchecked")
def test_strings_are_no_options(resnet: Model) -> None:
    kernel = kernels.of(resnet, "conv1")
    with pytest.raises(InterpError, match=r"`by` is 'norm': give Order.INDEX or Order.NORM"):
        kernel.order("norm")  # type: ignore[arg-type]
    with pytest.raises(InterpError, match=r"`scale` is 'shared': give Scale.SHARED or Scale.FILTER"):
        kernel.rgb("shared")  # type: ignore[arg-type]


def test_reading_a_spectral_norm_leaves_its_buffers_and_mode(traced: Make) -> None:
    conv = torch.nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 2, 3))
    model = built(traced, conv)
    model.module.train()
    before = {name: buffer.clone() for name, buffer in model.module.named_buffers()}
    kernel = kernels.of(model, "0")
    for name, buffer in model.module.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)
    assert all(m.training for m in model.module.modules())
    assert all(p.requires_grad for p in model.module.parameters())
    conv.eval()
    np.testing.assert_array_equal(kernel.weights, conv.weight.detach().numpy())


@pytest.mark.parametrize("layer", ["conv1", "layer1.0.conv1", "fc"])
def test_notebook_picture(resnet: Model, layer: str) -> None:
    assert kernels.of(resnet, layer)._repr_png_().startswith(b"\x89PNG")
