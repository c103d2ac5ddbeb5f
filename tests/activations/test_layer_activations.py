from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import LayerActivation
from captum.testing.helpers.basic_models import BasicModel_ConvNet_One_Conv, BasicModel_MultiLayer
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision import models

from interp import activations
from interp.activations import Rank
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess

Make = Callable[..., Model]
PLAIN = {"mean": (0.0,), "std": (1.0,)}


def images(n: int = 2, size: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


class Flat(nn.Module):
    """Captum's multi-layer net takes vectors: give it the channels of one place."""

    def __init__(self) -> None:
        super().__init__()
        self.net = BasicModel_MultiLayer(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1))


def test_captum_numbers_before_an_in_place_relu() -> None:
    preprocess = Preprocess(size=(1, 1), resize=1, mean=(0.0,) * 3, std=(1.0,) * 3)
    model = trace(Flat(), ModelSpec("flat"), preprocess)
    found = activations.of(model, torch.tensor([2.0, -5.0, 4.0]).view(1, 3, 1, 1), ["net.linear1", "net.relu", "net.linear2"])
    assert found["net.linear1"].maps[0, :, 0, 0].tolist() == [-9, 2, 2, 2]
    assert found["net.relu"].maps[0, :, 0, 0].tolist() == [0, 2, 2, 2]
    assert found["net.linear2"].maps[0, :, 0, 0].tolist() == [5, 7]
    assert found["net.relu"].zeros.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("inplace", [False, True])
def test_one_convolution_by_hand(inplace: bool) -> None:
    model = trace(BasicModel_ConvNet_One_Conv(inplace), ModelSpec("one"), Preprocess(size=(4, 4), resize=4, **PLAIN))
    x = torch.arange(16.0).view(1, 1, 4, 4)
    sums = np.array([[45, 54], [81, 90]])  # of the 3x3 windows of 0..15
    found = activations.of(model, x, ["conv1", "relu1"])
    np.testing.assert_array_equal(found["conv1"].maps[0], [sums - 50, sums - 75])
    np.testing.assert_array_equal(found["relu1"].maps[0], np.maximum([sums - 50, sums - 75], 0))
    np.testing.assert_array_equal(found["relu1"].zeros, [0.25, 0.5])
    np.testing.assert_array_equal(found["conv1"].mean_map(0), sums - 62.5)


def network(name: str) -> nn.Module:
    if name != "vgg":
        return getattr(models, name)(num_classes=10)  # type: ignore[no-any-return]
    # vgg11's convolutions and in-place ReLUs, without its 120 million weights behind them
    features = models.vgg.make_layers([16, "M", 32, "M", 64, 64, "M", 64, 64])
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


@pytest.mark.parametrize("name", ["resnet18", "vgg", "squeezenet1_1"])
def test_agrees_with_captum_one_by_one(traced: Make, name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = traced(network(name))
    names = [layer.name for layer in model.layers if layer.kind in ("Conv2d", "BatchNorm2d", "MaxPool2d")][::2]
    found = activations.of(model, images(), names)
    assert list(found) == names
    model.module.eval()
    for layer in names:
        one = LayerActivation(model.forward, model.module.get_submodule(layer)).attribute(images())
        np.testing.assert_array_equal(found[layer].maps, one.numpy())


def test_a_whole_network_in_one_call_of_captum(resnet: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = LayerActivation.attribute
    monkeypatch.setattr(LayerActivation, "attribute", lambda self, x: (calls.append(len(self.layer)), original(self, x))[1])
    found = activations.of(resnet, images(), [layer.name for layer in resnet.layers])
    assert calls == [len(resnet.layers)]
    for name, value in found.items():
        assert value.maps.shape == (2, *resnet.layer(name).map_shape)
        assert value.kind == resnet.layer(name).kind


def test_normalization_happens_inside_once(resnet: Model) -> None:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    by_hand = resnet.module.get_submodule("conv1")((images() - mean) / std).detach().numpy()
    np.testing.assert_allclose(activations.of(resnet, images(), ["conv1"])["conv1"].maps, by_hand, atol=1e-5)


def vit(traced: Make) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = models.VisionTransformer(image_size=64, patch_size=16, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=5)
        return traced(net)


def test_a_tuple_that_holds_none_is_resolved(traced: Make) -> None:
    model = vit(traced)
    name = "encoder.layers.encoder_layer_0.self_attention"
    seen: list[Tensor] = []
    handle = model.module.get_submodule(name).register_forward_hook(lambda _m, _i, out: seen.append(out[0]))
    with pytest.raises(AttributeError):  # what Captum alone does
        LayerActivation(model, model.module.get_submodule(name)).attribute(images())
    seen.clear()
    found = activations.of(model, images(), [name])[name]
    handle.remove()
    by_hand = seen[0][:, 1:].transpose(1, 2).reshape(2, 8, 4, 4)
    np.testing.assert_array_equal(found.maps, by_hand.detach().numpy())


def test_channels_last_blocks(traced: Make) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = models.SwinTransformer(patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[4, 4], num_classes=3)
    model = traced(net)
    seen: list[Tensor] = []
    handle = net.features[1].register_forward_hook(lambda _m, _i, out: seen.append(out.detach().clone()))
    found = activations.of(model, images(), ["features.1"])["features.1"]
    handle.remove()
    assert found.maps.flags.c_contiguous
    np.testing.assert_array_equal(found.maps, seen[0].numpy().transpose(0, 3, 1, 2))


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.constant_(self.conv.weight, 0.5)
        self.unused = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x)).mean((2, 3))


def test_a_reused_module_is_its_last_call_and_says_so() -> None:
    preprocess = Preprocess(size=(4, 4), resize=4, mean=(0.0,) * 3, std=(1.0,) * 3)
    module = nn.Sequential(Reused(), nn.Linear(3, 2))
    model = trace(module, ModelSpec("reused"), preprocess)
    found = activations.of(model, torch.ones(1, 3, 4, 4), ["0.conv"])["0.conv"]
    assert found.label == "0.conv (call 2 of 2)"
    assert found.layer == "0.conv"
    np.testing.assert_allclose(found.maps, 2.25)  # 1.5 after the first call
    with pytest.raises(UnknownName, match=r"'0.unused' of 'reused' exists but never fires"):
        activations.of(model, torch.ones(1, 3, 4, 4), ["0.conv", "0.unused"])


class Moody(nn.Module):
    """Calls its layer for bright images only."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.rare, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rare(self.first(x)) if x.mean() > 0.25 else self.first(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("layers", [["rare"], ["first", "rare"]])
def test_a_layer_that_did_not_fire_this_time(layers: list[str]) -> None:
    model = trace(Moody(), ModelSpec("moody"), Preprocess(size=(8, 8), resize=8, mean=(0.0,) * 3, std=(1.0,) * 3))
    with pytest.raises(Unsupported, match="layer 'rare' did not fire for these images"):
        activations.of(model, torch.zeros(1, 3, 8, 8), layers)


def state(module: nn.Module) -> list[object]:
    """Everything about a module that must be as before."""
    modes = [m.training for m in module.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in module.modules()]
    flags = [p.requires_grad for p in module.parameters()]
    grads = [None if p.grad is None else p.grad.sum().item() for p in module.parameters()]
    values = [t.double().sum().item() for t in (*module.buffers(), *module.parameters())]
    return [modes, hooks, flags, grads, values, sorted(name for m in module.modules() for name in vars(m))]


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(traced: Make, fails: bool) -> None:
    model = traced(models.resnet18())
    module = model.module.train()
    module.get_submodule("layer2").eval()
    module.get_submodule("conv1").weight.requires_grad_(False)
    module.get_submodule("fc").weight.grad = torch.full((1000, 512), 3.0)
    users: list[int] = []

    def user(_module: nn.Module, _inputs: object, _output: object) -> None:
        users.append(1)
        if fails:
            raise RuntimeError("the user's own hook fails")

    module.get_submodule("layer3").register_forward_hook(user)
    before = state(module)
    x = images().requires_grad_()
    if fails:
        with pytest.raises(RuntimeError, match="own hook fails"):
            activations.of(model, x, ["conv1", "layer4"])
    else:
        activations.of(model, x, ["conv1", "layer4"])
    assert state(module) == before
    assert users == [1]
    assert x.grad is None
    assert x.requires_grad


def test_evaluation_mode_inside(traced: Make) -> None:
    model = traced(models.resnet18())
    evaluated = activations.of(model, images(), ["bn1"])["bn1"].maps
    model.module.train()
    np.testing.assert_array_equal(activations.of(model, images(), ["bn1"])["bn1"].maps, evaluated)


def test_values_cannot_be_changed(resnet: Model) -> None:
    with pytest.raises(ValueError, match="read-only"):
        activations.of(resnet, images(), ["conv1"])["conv1"].maps[0] = 0


def test_inference_mode_around(resnet: Model) -> None:
    with torch.inference_mode():
        inside = activations.of(resnet, images(), ["layer1"])["layer1"].maps
    np.testing.assert_array_equal(inside, activations.of(resnet, images(), ["layer1"])["layer1"].maps)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(3)))
def test_permuting_images_permutes_the_result(resnet: Model, order: list[int]) -> None:
    x = images(3, 32)
    straight = activations.of(resnet, x, ["layer1.0.conv1"])["layer1.0.conv1"]
    moved = activations.of(resnet, x[order], ["layer1.0.conv1"])["layer1.0.conv1"]
    np.testing.assert_allclose(moved.maps, straight.maps[order], atol=1e-5)
    np.testing.assert_allclose(moved.strength(Rank.MAX), straight.strength(Rank.MAX)[order], atol=1e-5)
    assert moved.top(64, Rank.MAX) == straight.top(64, Rank.MAX)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("given_images", "layers", "message"),
    [
        (torch.rand(3, 64, 64), ["conv1"], r"`images` is a tensor of shape \(3, 64, 64\): give a tensor \(n, 3, rows, cols\)"),
        (torch.rand(1, 1, 64, 64), ["conv1"], r"`images` is a tensor of shape \(1, 1, 64, 64\)"),
        (np.zeros((1, 3, 64, 64)), ["conv1"], "`images` is a ndarray"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), ["conv1"], "`images` is torch.uint8: give floats in"),
        (torch.zeros(0, 3, 64, 64), ["conv1"], "`images` holds no image"),
        (torch.full((1, 3, 64, 64), float("nan")), ["conv1"], "`images` holds NaN"),
        (torch.rand(1, 3, 64, 64) * 255, ["conv1"], "give .0, 1. RGB, as the model normalizes inside"),
        (torch.rand(1, 3, 64, 64), [], r"`layers` is \[\]: give a sequence of layer names"),
        (torch.rand(1, 3, 64, 64), "conv1", "`layers` is 'conv1': give a sequence of layer names"),
        (torch.rand(1, 3, 64, 64), ["conv1", "conv9"], "no layer 'conv9' in 'resnet18': did you mean 'conv1'"),
    ],
)
def test_bad_input(resnet: Model, given_images: Tensor, layers: list[str], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        activations.of(resnet, given_images, layers)


def test_an_image_size_the_network_refuses(traced: Make) -> None:
    with pytest.raises(Unsupported, match=r"cannot be run on images of \(48, 48\) px .* give images of \(64, 64\) px"):
        activations.of(vit(traced), images(1, 48), ["encoder.layers.encoder_layer_0"])


def test_notebook_picture(resnet: Model) -> None:
    for value in activations.of(resnet, images(), ["conv1", "relu", "fc"]).values():
        assert value._repr_png_().startswith(b"\x89PNG")
