"""What must hold for every gradient and propagation method: the model as before, maps independent of company, networks of all kinds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.swin_transformer import SwinTransformer

from interp.attribution import deeplift as deeplift_module
from interp.attribution.deeplift import DeepLift, DeepLiftShap
from interp.attribution.gradients import InputXGradient, Saliency
from interp.attribution.guided import Deconvolution, GuidedBackprop, GuidedGradCam
from interp.attribution.integrated import IntegratedGradients
from interp.attribution.layerwise import Conductance, InternalInfluence, LayerIntegratedGradients
from interp.attribution.lrp import LRP
from interp.attribution.shap import GradientShap
from interp.attribution.smoothing import SmoothGrad, SmoothGradSquared, VarGrad
from interp.core.method import Family, Fault, Method, Place
from interp.core.model import Model
from interp.errors import Unsupported

Make = Callable[..., Model]
ANYWHERE: list[Callable[[str], Method]] = [
    *(lambda _, kind=kind: kind() for kind in (Saliency, InputXGradient, GuidedBackprop, Deconvolution)),
    lambda layer: GuidedGradCam(layer),
    lambda _: IntegratedGradients(n_steps=4, batch_size=3),
    lambda _: GradientShap(n_samples=4, batch_size=3),
    *(lambda _, kind=kind: kind(n_samples=2) for kind in (SmoothGrad, SmoothGradSquared, VarGrad)),
    *(lambda layer, kind=kind: kind(layer, n_steps=4) for kind in (LayerIntegratedGradients, Conductance, InternalInfluence)),
]
RULED: list[Callable[[str], Method]] = [lambda _: DeepLift(), lambda _: DeepLiftShap(), lambda _: LRP()]
EVERY = [*ANYWHERE, *RULED]
NAMES = [make("conv").name for make in EVERY]


class Net(nn.Module):
    """BatchNorm, in-place ReLUs, dropout, max pooling; every module used once and nothing outside of them but a flattening."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv, self.bn, self.relu = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)
            self.pool, self.conv2, self.relu2 = nn.MaxPool2d(2), nn.Conv2d(6, 5, 3), nn.ReLU(inplace=True)
            self.drop, self.fc = nn.Dropout(), nn.Linear(45, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.pool(self.relu(self.bn(self.conv(x))))))
        return self.fc(self.drop(x.flatten(1)))


def images(n: int = 3, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net(traced: Make) -> Model:
    return traced(Net(), 12)


def state(module: nn.Module) -> list[Any]:
    """All that a method could leave behind on a module, comparable."""
    found: list[Any] = []
    for name, m in module.named_modules():
        hooks = [len(v) for k, v in sorted(vars(m).items()) if k.endswith("_hooks") and v is not None]
        plain = {k: v for k, v in vars(m).items() if isinstance(v, (bool, int, float, str))}
        found.append((name, sorted(vars(m)), hooks, plain))
    tensors = [*module.named_parameters(), *module.named_buffers()]
    found.append(
        [(name, t.detach().numpy().tobytes(), t.requires_grad, None if t.grad is None else t.grad.sum().item()) for name, t in tensors]
    )
    return found


def draws() -> tuple[Any, ...]:
    numpys = np.random.get_state()  # noqa: NPY002 - the global one must stay as it is
    return torch.get_rng_state().tolist(), numpys[1].tolist(), numpys[2:]


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_everything_is_as_before(net: Model, make: Callable[[str], Method]) -> None:
    net.module.train()
    net.module.bn.eval()
    net.module.conv.weight.requires_grad_(False)
    net.module.fc.weight.grad = torch.ones_like(net.module.fc.weight)
    x = images().requires_grad_()
    x.grad = torch.ones_like(x)
    before, drawn, pixels = state(net.module), draws(), x.detach().clone()
    maps = make("conv")(net, x, [net.class_unit(i) for i in (1, 2, 1)])
    assert len(maps) == 3
    assert all(np.isfinite(h.values).all() and h.values.any() for h in maps)
    assert state(net.module) == before
    assert draws() == drawn
    assert x.requires_grad
    assert torch.equal(x.grad, torch.ones_like(x))
    assert torch.equal(x.detach(), pixels)


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_everything_is_as_before_after_an_error(net: Model, make: Callable[[str], Method], monkeypatch: pytest.MonkeyPatch) -> None:
    before, drawn = state(net.module), draws()

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("backward")

    monkeypatch.setattr(torch.autograd, "grad", broken)
    with pytest.raises(KeyError, match=r"backward"):
        make("conv")(net, images(), [net.class_unit(i) for i in (1, 2, 1)])
    assert state(net.module) == before
    assert draws() == drawn


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_a_map_does_not_depend_on_company_mode_or_surroundings(net: Model, make: Callable[[str], Method]) -> None:
    units = [net.class_unit(i) for i in (1, 2, 3)]
    together = make("conv")(net, images(), units)
    (alone,) = make("conv")(net, images()[1:2], units[1:2])
    scale = np.abs(alone.values).max()
    np.testing.assert_allclose(together[1].values, alone.values, rtol=0, atol=1e-5 * scale)
    for parameter in net.module.parameters():
        parameter.requires_grad_(False)
    net.module.train()
    torch.rand(5)
    for surroundings in (torch.no_grad, torch.inference_mode):
        with surroundings():
            (inside,) = make("conv")(net, images()[1:2].clone(), units[1:2])
        np.testing.assert_allclose(inside.values, alone.values, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("make", EVERY, ids=NAMES)
def test_what_a_method_says_of_itself(net: Model, make: Callable[[str], Method]) -> None:
    method = make("conv")
    assert method.family is Family.GRADIENT
    assert isinstance(method.place, Place)
    assert method.source
    assert method.name == method.name.lower()
    (heatmap,) = method(net, images(1), [net.class_unit(0)])
    assert heatmap.method == method.title
    assert heatmap.layer == getattr(method, "layer", "")
    assert heatmap.values.shape == ((12, 12) if method.place is Place.INPUT or method.name == "guided-gradcam" else (10, 10))
    assert heatmap.values.dtype == np.float32
    assert heatmap.values.base is None


def test_what_captum_cannot_do_becomes_one_sentence(net: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, _: nn.Module) -> None: ...

        def attribute(self, *_: Any, **__: Any) -> Tensor:
            raise RuntimeError("line one\n  line two")

    monkeypatch.setattr(deeplift_module.captum.attr, "DeepLift", Broken)
    message = r"^no DeepLIFT of 'fc:0' on 'net': line one line two; choose 'integrated-gradients', which needs no rules$"
    with pytest.raises(Unsupported, match=message):
        DeepLift()(net, images(1), [net.class_unit(0)])


def tiny(name: str) -> tuple[nn.Module, int, str]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "resnet18":
            return models.resnet18(num_classes=5), 32, "layer3"
        if name == "vgg":
            cut = models.vgg.make_layers([8, "M", 16, "M"], batch_norm=True)
            return nn.Sequential(cut, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 5)), 32, "0.4"
        if name == "squeezenet1_1":
            return models.squeezenet1_1(num_classes=5), 64, "features.7"
        if name == "mobilenet_v2":
            return models.mobilenet_v2(num_classes=5), 32, "features.5"
        if name == "convnext":
            return ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)], num_classes=5), 32, "features.1"
        if name == "swin":
            return SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=5), 32, "features.1"
        vit = models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
        nn.init.normal_(vit.heads.head.weight)  # zero when new
        return vit, 32, "encoder.layers.encoder_layer_0"


# Which of the methods that need rules refuse, on which networks, and what they name. All others work everywhere.
REFUSED = {
    ("resnet18", "deeplift"): r"'layer1\.0\.relu' \(ReLU\) is used 2 times",
    ("resnet18", "deeplift-shap"): r"'layer1\.0\.relu' \(ReLU\) is used 2 times",
    ("resnet18", "lrp"): r"computes outside of its modules \(Add\)",
    ("mobilenet_v2", "lrp"): r"no rule for its layer 'features\.0\.2' \(ReLU6\)",
    ("convnext", "lrp"): r"no rule for its layer 'features\.0\.1' \(LayerNorm2d\)",
    ("vit", "lrp"): r"no rule for its layer 'encoder\.layers\.encoder_layer_0\.ln_1' \(LayerNorm\)",
    ("swin", "lrp"): r"no rule for its layer 'features\.0\.1' \(Permute\)",
}
PLAIN = {"mobilenet_v2", "convnext", "vit", "swin"}


@pytest.mark.parametrize("name", ["resnet18", "vgg", "squeezenet1_1", "mobilenet_v2", "convnext", "vit", "swin"])
def test_networks_of_all_kinds(traced: Make, name: str) -> None:
    module, size, layer = tiny(name)
    model, x = traced(module, size), images(1, size)
    before, unit = state(module), [model.class_unit(1)]
    for make in EVERY:
        method = make(layer)
        reason = REFUSED.get((name, method.name))
        if reason:
            with pytest.raises(Unsupported, match=reason):
                method(model, x, unit)
            continue
        (heatmap,) = method(model, x, unit)
        faults = {d.fault for d in heatmap.degenerations}
        assert np.isfinite(heatmap.values).all()
        assert heatmap.values.any()
        if method.name in ("guided-backprop", "deconvolution", "guided-gradcam") and Fault.ZERO not in faults:
            assert (Fault.PLAIN_GRADIENT in faults) == (name in PLAIN)
    assert state(module) == before
