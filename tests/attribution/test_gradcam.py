from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.testing.helpers.basic_models import BasicModel_ConvNet_One_Conv
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision import models

from interp.attribution import GradCAM, gradcam
from interp.attribution.degeneration import of_values
from interp.core.method import Fault
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.images import Preprocess

Make = Callable[..., Model]
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
FC = [Unit("fc", 3), Unit("fc", 7)]


def images(n: int = 2, size: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("inplace", [False, True])
def test_captum_numbers(inplace: bool) -> None:
    preprocess = Preprocess(size=(4, 4), resize=4, mean=(0.0,), std=(1.0,))
    model = trace(BasicModel_ConvNet_One_Conv(inplace), ModelSpec("one"), preprocess)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    maps = gradcam.of(model, x, [model.class_unit(0)], ["conv1", "relu1"])[0]
    np.testing.assert_array_equal(maps["conv1"].values, [[11.25, 13.5], [20.25, 22.5]])
    np.testing.assert_array_equal(maps["relu1"].values, [[0, 4], [28, 32.5]])
    assert (maps["conv1"].method, maps["conv1"].layer, maps["conv1"].unit) == ("Grad-CAM", "conv1", Unit("relu2", 0))


class Tiny(nn.Module):
    """Two 1x1 convolutions and two branches, small enough to differentiate by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, 1, bias=False)
        self.left, self.right = nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(2, 2, bias=False)
        for conv, weight in ((self.first, [[1, 0, 0], [0, 1, -1]]), (self.left, [[1, 2], [0, -1]]), (self.right, [[3, 0], [0, 3]])):
            conv.weight.data = torch.tensor(weight).float()[:, :, None, None]
        self.fc.weight.data = torch.tensor([[1.0, -1.0], [2.0, 0.0]])

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.fc(self.pool(self.left(x) + self.right(x)).flatten(1))


@pytest.fixture
def tiny() -> Model:
    return trace(Tiny(), ModelSpec("tiny"), Preprocess(size=(2, 2), resize=2, **PLAIN))


def test_signed_values_of_class_channel_and_neuron(tiny: Model) -> None:
    x = torch.tensor([[[[1.0, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 0]]]])
    a = np.array([[[1.0, 0], [0, 0]], [[0, 1], [-1, 0]]])  # maps of `first`
    # fc:0 = mean over places of (left + right)[0] - (left + right)[1] = mean(4 a0 + 2 a1) - mean(2 a1): d/da = (4, 0) / 4 places.
    unit_and_weights = [
        (Unit("fc", 0), (1.0, 0.0)),
        (Unit("fc", 1), (2.0, 1.0)),
        (Unit("left", 1), (0.0, -0.25)),  # mean over places of -a1
        (Unit("left", 0, (1, 0)), (0.25, 0.5)),  # a0 + 2 a1 at one of four places
    ]
    for unit, (first, second) in unit_and_weights:
        values = gradcam.of(tiny, x, [unit], ["first"])[0]["first"].values
        np.testing.assert_allclose(values, first * a[0] + second * a[1], atol=1e-7)
    together = gradcam.of(tiny, x.repeat(4, 1, 1, 1), [unit for unit, _ in unit_and_weights], ["first"])
    for maps, (_, (first, second)) in zip(together, unit_and_weights, strict=True):
        np.testing.assert_allclose(maps["first"].values, first * a[0] + second * a[1], atol=1e-7)


def test_a_layer_on_another_branch_is_refused_though_it_fires_before(tiny: Model) -> None:
    with pytest.raises(Unsupported, match="no Grad-CAM of 'right:0' at 'left', on which the unit does not depend: choose"):
        gradcam.of(tiny, torch.rand(1, 3, 2, 2), [Unit("right", 0)], ["first", "left"])
    # Not hidden by another image, whose unit does depend on the layer.
    with pytest.raises(Unsupported, match="no Grad-CAM of 'right:0' at 'left'"):
        gradcam.of(tiny, torch.rand(2, 3, 2, 2), [Unit("fc", 0), Unit("right", 0)], ["left"])


@pytest.mark.parametrize(
    ("unit", "layer", "message"),
    [
        (Unit("layer2.0.conv1", 5), "layer3.0.conv1", "'layer2.0.conv1:5' at 'layer3.0.conv1', which fires after the unit's layer: choose"),
        (Unit("layer2.0.conv1", 5), "layer2.0.conv1", "the unit's own layer: choose an earlier layer, such as 'layer1'"),
        (Unit("layer2.0.conv1", 5), "layer2.0", "at 'layer2.0', which fires after"),
        (Unit("conv1", 5), "bn1", "which fires after the unit's layer: no layer before it has places"),
        (Unit("fc", 5), "fc", r"layer 'fc' \(Linear\) gives a vector, which has no places: choose an earlier layer, such as 'layer4'"),
    ],
)
def test_layers_that_cannot_be_asked(resnet: Model, unit: Unit, layer: str, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        gradcam.of(resnet, images(1), [unit], [layer])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("given_images", "units", "layers", "message"),
    [
        (images(2), FC[:1], ["layer4"], "1 units for 2 images: give one unit per image"),
        (images(1), FC[0], ["layer4"], r"`units` is the unit 'fc:3': give a sequence with one unit per image"),
        (images(2), FC, [], r"`layers` is \[\]: give a sequence of layer names"),
        (images(2), FC, "layer4", "`layers` is 'layer4': give a sequence"),
        (images(2), FC, ["layer5"], "no layer 'layer5' in 'resnet18': did you mean 'layer"),
        (images(1), [Unit("fc", 1000)], ["layer4"], "layer 'fc' has 1000 channels, 0 to 999"),
        (images(1), [Unit("layer4", 0, (2, 0))], ["layer3"], "the maps of 'layer4' have 2 rows and 2 columns"),
        (images(1, 32), [Unit("layer4", 0, (1, 1))], ["layer3"], "no unit 'layer4:0@1,1' at this image size: .* 1 rows and 1 columns"),
        (images(2) * 4 - 2, FC, ["layer4"], r"`images` run from -2 to 2: give \[0, 1\] RGB"),
        (images(2)[0], FC, ["layer4"], r"`images` is a tensor of shape \(3, 64, 64\)"),
    ],
)
def test_bad_input(resnet: Model, given_images: Tensor, units: list[Unit], layers: list[str], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        gradcam.of(resnet, given_images, units, layers)


def test_layers_that_never_fire(traced: Make) -> None:
    model = vit(traced)
    with pytest.raises(UnknownName, match="out_proj' of 'visiontransformer' exists but never fires"):
        gradcam.of(model, images(1), [model.class_unit(0)], ["encoder.layers.encoder_layer_0.self_attention.out_proj"])


def vit(traced: Make) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = models.VisionTransformer(image_size=64, patch_size=16, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=5)
        nn.init.normal_(net.heads.head.weight)  # torchvision starts it at zero
        return traced(net)


def test_the_last_block_of_a_vit_is_zero_and_says_so(traced: Make) -> None:
    model = vit(traced)
    block = "encoder.layers.encoder_layer_"
    found = gradcam.of(model, images(1), [model.class_unit(1)], [f"{block}1", f"{block}2.ln_1", f"{block}2"])[0]
    assert [bool(found[name].values.any()) for name in found] == [True, True, False]
    assert [[d.fault for d in found[name].degenerations] for name in found] == [[], [], [Fault.CLASS_TOKEN_ONLY, Fault.ZERO]]
    assert found[f"{block}2"].values.shape == (4, 4)


@pytest.mark.parametrize(("values", "faults"), [([[0, 0]], [Fault.ZERO]), ([[0, -1e-30]], []), ([[0, np.nan]], [Fault.NOT_FINITE])])
def test_only_exact_zeros_are_a_zero_map(values: list[list[float]], faults: list[Fault]) -> None:
    assert [d.fault for d in of_values(np.array(values, np.float32))] == faults


def test_as_a_method_for_the_metrics(resnet: Model) -> None:
    maps = GradCAM("layer3")(resnet, images(), FC)
    same = gradcam.of(resnet, images(), FC, ["layer3", "layer1"])
    for one, other in zip(maps, same, strict=True):
        np.testing.assert_allclose(one.values, other["layer3"].values, rtol=1e-5, atol=1e-8)
    assert [m.unit for m in maps] == FC


def test_values_are_frozen_and_can_be_resized(resnet: Model) -> None:
    heatmap = gradcam.of(resnet, images(), FC, ["layer3"])[0]["layer3"]
    with pytest.raises(ValueError, match="read-only"):
        heatmap.values[0, 0] = 1
    assert heatmap.resized((64, 64)).values.shape == (64, 64)
    assert heatmap.positive.values.min() >= 0
    assert heatmap.values.dtype == np.float32


def test_one_forward_cut_short_and_one_backward(traced: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = traced(models.resnet18())
    grads, forwards, heads = [], [], []
    original = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (grads.append(1), original(*a, **k))[1])
    model.module.get_submodule("conv1").register_forward_hook(lambda *_: forwards.append(1))
    model.module.get_submodule("layer4").register_forward_hook(lambda *_: heads.append(1))
    names = [layer.name for layer in model.layers if layer.kind == "Conv2d" and not layer.name.startswith(("layer3", "layer4"))]
    gradcam.of(model, images(), [Unit("layer3", 0), Unit("layer3.0.conv1", 4)], names)
    assert (len(grads), len(forwards), len(heads)) == (1, 1, 0)


def state(module: nn.Module) -> list[object]:
    """Everything about a module that must be as before."""
    modes = [m.training for m in module.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in module.modules()]
    flags = [p.requires_grad for p in module.parameters()]
    grads = [None if p.grad is None else p.grad.sum().item() for p in module.parameters()]
    values = [t.double().sum().item() for t in (*module.buffers(), *module.parameters())]
    return [modes, hooks, flags, grads, values, sorted(name for m in module.modules() for name in vars(m))]


@pytest.mark.parametrize("fails", [False, True])
def test_model_and_images_are_left_as_they_were(traced: Make, fails: bool) -> None:
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
    leaf = images().requires_grad_()
    leaf.grad = torch.ones_like(leaf)
    x = leaf * 1.0  # part of the user's own graph
    if fails:
        with pytest.raises(RuntimeError, match="own hook fails"):
            gradcam.of(model, x, FC, ["conv1", "layer4"])
    else:
        gradcam.of(model, x, FC, ["conv1", "layer4"])
    assert state(module) == before
    assert users == [1]
    assert torch.equal(leaf.grad, torch.ones_like(leaf))
    x.sum().backward()  # the user's graph is still there
    assert torch.equal(leaf.grad, torch.full_like(leaf, 2))


def test_a_refusal_in_mid_flight_restores_the_model(tiny: Model) -> None:
    before = state(tiny.module)
    with pytest.raises(Unsupported, match="does not depend"):
        gradcam.of(tiny, torch.rand(1, 3, 2, 2), [Unit("right", 0)], ["left"])
    assert state(tiny.module) == before


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_inside_no_grad_and_inference_mode(resnet: Model, around: Callable[[], torch.no_grad]) -> None:
    outside = gradcam.of(resnet, images(), FC, ["layer2"])
    with around():
        inside = gradcam.of(resnet, images(), FC, ["layer2"])
        assert not torch.is_grad_enabled()
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(one["layer2"].values, other["layer2"].values)


def test_double_precision_models(tiny: Model) -> None:
    module = Tiny().double()
    with torch.no_grad():
        double = Model(module, tiny.spec, tiny.preprocess, tiny.layers, tiny.output)
    x = torch.rand(1, 3, 2, 2)
    one, other = (gradcam.of(m, x, [Unit("fc", 1)], ["first"])[0]["first"].values for m in (tiny, double))
    np.testing.assert_allclose(one, other, atol=1e-6)


@settings(deadline=None, max_examples=5)
@given(st.permutations(range(3)), st.lists(st.integers(0, 999), min_size=3, max_size=3))
def test_permuting_images_permutes_the_maps(resnet: Model, order: list[int], classes: list[int]) -> None:
    x, units = images(3, 32), [Unit("fc", c) for c in classes]
    straight = gradcam.of(resnet, x, units, ["layer1", "layer2"])
    moved = gradcam.of(resnet, x[order], [units[i] for i in order], ["layer1", "layer2"])
    for place, i in enumerate(order):
        assert moved[place]["layer1"].unit == units[i]
        for name in ("layer1", "layer2"):
            scale = np.abs(straight[i][name].values).max()
            np.testing.assert_allclose(moved[place][name].values, straight[i][name].values, atol=1e-5 * scale)
