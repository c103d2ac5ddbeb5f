"""The CAM family beside pytorch-grad-cam and Captum in the same run; the peers' defects, each as a promise of ours."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import pytorch_grad_cam as peer
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from captum.testing.helpers.basic_models import BasicModel_MultiLayer
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchvision import models

from interp.attribution import cams, gradcam
from interp.attribution.cams import CAM, EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from interp.core.capture import record
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.images import Preprocess

Make = Callable[..., Model]
TARGETS = [3, 7]
UNITS = [Unit("fc", target) for target in TARGETS]
PAIRS = [
    (GradCAM, peer.GradCAM),
    (GradCAMPlusPlus, peer.GradCAMPlusPlus),
    (HiResCAM, peer.HiResCAM),
    (XGradCAM, peer.XGradCAM),
    (LayerCAM, peer.LayerCAM),
]


def images(size: int = 64) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(4))


def close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-5) -> None:
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.fixture(scope="module")
def steep() -> Model:
    """A resnet18 with large gradients, beside which the small numbers that pytorch-grad-cam adds to denominators vanish."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        net = models.resnet18(num_classes=10)
        net.fc.weight.data *= 1e4
    return trace(net, ModelSpec("steep"), Preprocess(size=(64, 64), resize=64))


def raw(model: Model, kind: type[peer.base_cam.BaseCAM], layer: str) -> np.ndarray:
    """pytorch-grad-cam's signed maps (2, rows, cols), before its ReLU, scaling and resizing."""
    module = model.module.get_submodule(layer)
    x, targets = model.normalized(images()), [ClassifierOutputTarget(t) for t in TARGETS]
    with kind(model=model.module, target_layers=[module]) as cam:
        cam(x, targets)
        seen = cam.activations_and_grads
        gradient = seen.gradients[0].numpy() if cam.uses_gradients else None
        values: np.ndarray = cam.get_cam_image(x, module, targets, seen.activations[0].numpy(), gradient, False)
    return values


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3", "layer4"])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_pytorch_grad_cam_behind_relus(steep: Model, ours: type[CAM], theirs: type[peer.base_cam.BaseCAM], layer: str) -> None:
    expected = raw(steep, theirs, layer)
    for mine, other in zip(ours(layer)(steep, images(), UNITS), expected, strict=True):
        close(mine.values, other)


@pytest.mark.parametrize("layer", ["layer1", "layer2.0.conv1", "layer4"])
def test_pytorch_grad_cam_eigencam_up_to_its_sign(steep: Model, layer: str) -> None:
    expected = raw(steep, peer.EigenCAM, layer)
    activations = steep.maps(layer, steep.capture([layer], images())[0][layer]).detach().numpy()
    for mine, other, channels in zip(EigenCAM(layer)(steep, images(), UNITS), expected, activations, strict=True):
        close(mine.values, other * np.sign((other * mine.values).sum()))
        assert (mine.values * channels.mean(0)).sum() > 0


def test_pytorch_grad_cam_plus_plus_drowns_small_gradients(steep: Model) -> None:
    # alpha does not change by more than its sum(A) g when the score is scaled: for gradients that are small beside 1 / sum(A)
    # the maps are proportional. Theirs adds 1e-6 to a denominator of the order of g^2.
    with torch.no_grad():
        steep.module.fc.weight.mul_(1e-9)
    try:
        ours = GradCAMPlusPlus("layer3")(steep, images(), UNITS)
        theirs = raw(steep, peer.GradCAMPlusPlus, "layer3")
        a, g = by_hand(steep, "layer3")
    finally:
        with torch.no_grad():
            steep.module.fc.weight.mul_(1e9)
    for i in range(2):
        expected = np.einsum("k,kij->ij", np.maximum(g[i], 0).sum((1, 2)) / 2, a[i])
        close(ours[i].values, expected, 1e-3)
        assert np.abs(theirs[i]).max() < 1e-3 * np.abs(expected).max()


def by_hand(model: Model, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Maps and gradient (2, c, rows, cols) by a plain hook and ``backward``."""
    seen: list[Tensor] = []
    handle = model.module.get_submodule(layer).register_forward_hook(lambda _m, _i, out: (out.retain_grad(), seen.append(out))[1])
    model.module.eval()
    model.forward(images().requires_grad_())[torch.arange(2), TARGETS].sum().backward()
    handle.remove()
    model.module.zero_grad()
    assert seen[0].grad is not None
    return seen[0].detach().double().numpy(), seen[0].grad.double().numpy()


def test_captum_at_many_layers_of_one_pass(steep: Model) -> None:
    layers = [layer.name for layer in steep.layers if layer.kind in ("Conv2d", "BasicBlock")]
    found = cams.of(steep, images(), UNITS, layers, [LayerCAM, GradCAM])
    for layer in layers:
        theirs = LayerGradCam(steep, steep.module.get_submodule(layer)).attribute(images(), TARGETS).detach().numpy()
        for i in range(2):
            close(found[i]["gradcam", layer].values, theirs[i, 0], 1e-6)


def unit_range(values: Tensor) -> Tensor:
    values = values - values.min()
    return values / (1e-7 + values.max())


def test_captum_relu_scaled_and_resized_is_pytorch_grad_cam(steep: Model) -> None:
    module = steep.module.get_submodule("layer2")
    maps = LayerGradCam(steep, module).attribute(images(), TARGETS).detach()[:, 0]
    with peer.GradCAM(model=steep.module, target_layers=[module]) as cam:
        theirs = cam(steep.normalized(images()), [ClassifierOutputTarget(t) for t in TARGETS])
    ours = gradcam.of(steep, images(), UNITS, ["layer2"])
    for i in range(2):
        for values in (maps[i], torch.from_numpy(ours[i]["layer2"].values.copy())):
            positive = unit_range(values.clamp(min=0))
            resized = F.interpolate(positive[None, None], (64, 64), mode="bilinear", align_corners=False)[0, 0]
            np.testing.assert_allclose(unit_range(resized).numpy(), theirs[i], rtol=0, atol=1e-6)


# Defects of the peers, as promises of ours.


def test_layers_are_not_averaged(steep: Model) -> None:
    names = ["layer2", "layer4"]
    ours = cams.of(steep, images(), UNITS, names, [GradCAM])[0]
    assert [heatmap.values.shape for heatmap in ours.values()] == [(8, 8), (2, 2)]
    with peer.GradCAM(model=steep.module, target_layers=[steep.module.get_submodule(name) for name in names]) as cam:
        theirs = cam(steep.normalized(images()), [ClassifierOutputTarget(t) for t in TARGETS])[0]
    scaled = [scale_cam_image(heatmap.positive.values[None], (64, 64)) for heatmap in ours.values()]
    close(scale_cam_image(np.mean(scaled, axis=0))[0], theirs)  # theirs is the mean of the two
    assert min(np.abs(one[0] - theirs).max() for one in scaled) > 0.1  # and neither of them


def test_gradients_and_modes_of_the_user_are_kept(traced: Make) -> None:
    model = traced(models.resnet18(num_classes=10))
    module = model.module.train()
    module.fc.weight.grad = torch.full_like(module.fc.weight, 3.0)
    statistics = module.bn1.running_mean.clone()
    cams.of(model, images(), UNITS, ["layer1", "layer4"], cams.FAMILY)
    assert torch.equal(module.fc.weight.grad, torch.full_like(module.fc.weight, 3.0))
    assert module.conv1.weight.grad is None
    assert module.training
    assert module.layer1.training
    assert torch.equal(module.bn1.running_mean, statistics)


class Normed(nn.Module):
    """A BatchNorm that gives negative values, and a ReLU behind it."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace)
        self.conv2, self.fc = nn.Conv2d(6, 8, 3), nn.Linear(8, 10)
        self.bn.bias.data = torch.linspace(-1, 1, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv(x)))
        return self.fc(self.conv2(x).relu().mean((2, 3)))


def normed(traced: Make, inplace: bool) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        return traced(Normed(inplace), 16)


@pytest.mark.parametrize("kind", cams.FAMILY)
def test_a_batchnorm_before_an_in_place_relu(traced: Make, kind: type[CAM]) -> None:
    ours = kind("bn")(normed(traced, True), images(16), UNITS)
    apart = kind("bn")(normed(traced, False), images(16), UNITS)
    for one, other in zip(ours, apart, strict=True):
        close(one.values, other.values, 1e-6)


def test_pytorch_grad_cam_reads_behind_the_in_place_relu(traced: Make) -> None:
    # On the CPU it keeps the tensor that the ReLU then overwrites.
    model = normed(traced, True)
    with peer.HiResCAM(model=model.module, target_layers=[model.module.bn]) as cam:
        cam(model.normalized(images(16)), [ClassifierOutputTarget(t) for t in TARGETS])
        assert cam.activations_and_grads.activations[0].min() >= 0
    bn = model.capture(["bn"], images(16))[0]["bn"]
    assert bn.min() < -1


def numbers(outputs: dict[str, Tensor], names: Sequence[str]) -> list[list[float]]:
    return [outputs[name][0].tolist() for name in names]


def test_captum_numbers_before_an_in_place_relu() -> None:
    net = BasicModel_MultiLayer(inplace=True)
    outputs, result = record(net, lambda: net(torch.tensor([[2.0, -5.0, 4.0]])), {"linear1": 1, "relu": 1})
    assert numbers(outputs, ["linear1", "relu"]) == [[-9, 2, 2, 2], [0, 2, 2, 2]]
    assert result is not None
    assert result.tolist() == [[5, 7]]
