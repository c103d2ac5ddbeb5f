from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.attribution.channels import Reduction
from interp.attribution.gradcam import GradCAM
from interp.attribution.gradients import InputXGradient, Saliency
from interp.attribution.guided import Deconvolution, GuidedBackprop, GuidedGradCam
from interp.core.baseline import Baseline
from interp.core.method import Fault
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported

Make = Callable[..., Model]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def images(n: int = 2, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def plain(inplace: bool = True, activation: Callable[[], nn.Module] | None = None) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        relu = activation or (lambda: nn.ReLU(inplace=inplace))
        convs = nn.Conv2d(3, 6, 3), relu(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3), relu()
        return nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))


class Normalized(nn.Module):
    """What Captum is given when it is called directly: written without interp."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - MEAN) / STD)


def close(ours: Tensor, theirs: Tensor) -> None:
    scale = float(theirs.abs().max())
    assert scale > 0
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-6 * scale)


@pytest.fixture
def model(traced: Make) -> Model:
    return traced(plain(), 12)


UNITS = [Unit("7", 1), Unit("7", 3)]


def test_saliency_of_a_linear_network_is_its_largest_weight(traced: Make) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    model = traced(network, 2)
    weights = network[1].weight.detach().view(2, 3, 2, 2) / STD
    units = [Unit("1", 0), Unit("1", 1)]
    maps = Saliency()(model, images(2, 2), units)
    for heatmap, weight in zip(maps, weights, strict=True):
        np.testing.assert_allclose(heatmap.values, weight.abs().amax(dim=0), rtol=1e-6)
    signed = Saliency(Reduction.SUM)(model, images(2, 2), units)
    np.testing.assert_allclose(signed[1].values, weights[1].sum(dim=0), rtol=1e-5)
    assert (maps[1].method, maps[1].layer, maps[1].unit, maps[1].degenerations) == ("Saliency", "", units[1], ())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Saliency(), lambda f: captum.attr.Saliency(f)),
        (InputXGradient(Baseline.BLACK), captum.attr.InputXGradient),
        (GuidedBackprop(), captum.attr.GuidedBackprop),
        (Deconvolution(), captum.attr.Deconvolution),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_raw_values_are_captums(model: Model, ours: Saliency, theirs: Callable[[nn.Module], captum.attr.Attribution]) -> None:
    found = ours.raw(model, images(), UNITS)
    signed = {"abs": False} if isinstance(ours, Saliency) else {}
    close(found, theirs(Normalized(model.module).eval()).attribute(images(), target=torch.tensor([1, 3]), **signed))
    assert not found.requires_grad
    assert found.grad_fn is None


def test_input_x_gradient_is_captums_on_the_normalized_input(model: Model) -> None:
    method = InputXGradient()
    assert method.baseline is Baseline.MEAN
    normalized = ((images() - MEAN) / STD).requires_grad_()
    theirs = captum.attr.InputXGradient(model.module.eval()).attribute(normalized, target=torch.tensor([1, 3])).detach()
    close(method.raw(model, images(), UNITS), theirs)
    close(torch.tensor(np.stack([heatmap.values for heatmap in method(model, images(), UNITS)])), theirs.sum(dim=1))


@pytest.mark.parametrize(("kind", "colour"), [(Baseline.MEAN, MEAN), (Baseline.BLACK, torch.zeros(3, 1, 1))])
def test_input_x_gradient_is_zero_where_the_image_is_the_baseline(model: Model, kind: Baseline, colour: Tensor) -> None:
    x = images(1)
    x[:, :, 3:6] = colour
    heatmap = InputXGradient(kind)(model, x, [UNITS[0]])[0]
    slopes = Saliency().raw(model, x, [UNITS[0]])
    assert slopes[:, :, 3:6].any()
    assert not heatmap.values[3:6].any()
    assert heatmap.values[6:].any()
    np.testing.assert_allclose(heatmap.values, ((x - colour) * slopes).sum(dim=1)[0], rtol=1e-5, atol=1e-8)


def test_any_unit_is_explained_each_image_its_own(model: Model) -> None:
    units = [Unit("3", 2), Unit("0", 1, (4, 5)), Unit("7", 0)]
    maps = Saliency()(model, images(3), units)
    reach = np.argwhere(maps[1].values)
    assert (reach.min(axis=0).tolist(), reach.max(axis=0).tolist()) == ([4, 5], [6, 7])  # one neuron sees its 3 x 3 pixels
    first = model.module[0].weight.detach()[1] / STD
    np.testing.assert_allclose(maps[1].values[4:7, 5:8], first.abs().amax(dim=0), rtol=1e-5)
    for i, unit in enumerate(units):
        np.testing.assert_allclose(maps[i].values, Saliency()(model, images(3)[i : i + 1], [unit])[0].values, rtol=1e-5, atol=1e-8)


def test_guided_backprop_and_deconvolution_by_hand(traced: Make) -> None:
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU(), nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1) * STD[0])
        network[0].bias.copy_(MEAN[0, 0] - 0.5)
        network[2].weight.fill_(1)
        network[4].weight.copy_(torch.tensor([[1.0, -2.0]]))
    model = traced(nn.Sequential(nn.AdaptiveAvgPool2d((1, 2)), network), 2)
    x = torch.full((2, 3, 1, 2), 1.0)  # red minus a half goes into the ReLU: on at 1, off at 0
    x[1] = 0.0
    units = [Unit("1.4", 0)] * 2
    np.testing.assert_allclose(Saliency(Reduction.SUM).raw(model, x, units)[:, 0, 0], [[1, -2], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(GuidedBackprop().raw(model, x, units)[:, 0, 0], [[1, 0], [0, 0]], atol=1e-6)  # on, and positive
    np.testing.assert_allclose(Deconvolution().raw(model, x, units)[:, 0, 0], [[1, 0], [1, 0]], atol=1e-6)  # positive, on or off
    assert [d.fault for d in GuidedBackprop()(model, x, units)[1].degenerations] == [Fault.ZERO]


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("method", [GuidedBackprop(), Deconvolution()])
@pytest.mark.parametrize("kind", ["functional", "relu6", "gelu"])
def test_the_plain_gradient_under_another_name_is_told(traced: Make, method: GuidedBackprop, kind: str) -> None:
    networks = {"functional": Functional, "relu6": lambda: plain(activation=nn.ReLU6), "gelu": lambda: plain(activation=nn.GELU)}
    model = traced(networks[kind](), 12)
    unit = model.class_unit(1)
    (heatmap,) = method(model, images(1), [unit])
    np.testing.assert_allclose(heatmap.values, Saliency()(model, images(1), [unit])[0].values, rtol=1e-5)
    assert [(d.fault, d.label) for d in heatmap.degenerations] == [(Fault.PLAIN_GRADIENT, "plain gradient")]
    assert heatmap.degenerations[0].sentence.startswith(f"{method.title} changes the backward pass at nn.ReLU modules only")


def test_guided_backprop_behind_real_relus_is_no_plain_gradient(model: Model) -> None:
    for method in (GuidedBackprop(), Deconvolution(), GuidedGradCam("3")):
        faults = [d.fault for h in method(model, images(), UNITS) for d in h.degenerations]
        assert Fault.PLAIN_GRADIENT not in faults
    unit = Unit("0", 1)  # before any ReLU, guided backprop is the gradient
    assert GuidedBackprop()(model, images(1), [unit])[0].degenerations[0].fault is Fault.PLAIN_GRADIENT


@pytest.mark.filterwarnings("ignore")
def test_guided_gradcam_is_bilinear(model: Model) -> None:
    found = GuidedGradCam("3").raw(model, images(), UNITS)
    cams = np.stack([h.positive.resized((12, 12)).values for h in GradCAM("3")(model, images(), UNITS)])[:, None]
    close(found, GuidedBackprop().raw(model, images(), UNITS) * torch.tensor(cams))
    captums = captum.attr.GuidedGradCam(Normalized(model.module).eval(), model.module[3])
    close(found, captums.attribute(images(), target=torch.tensor([1, 3]), interpolate_mode="bilinear"))
    nearest = captums.attribute(images(), target=torch.tensor([1, 3])).detach()
    assert float((found - nearest).abs().max()) > 0.1 * float(nearest.abs().max())
    heatmap = GuidedGradCam("3")(model, images(), UNITS)[0]
    assert (heatmap.layer, heatmap.values.shape) == ("3", (12, 12))
    np.testing.assert_allclose(heatmap.values, found[0].abs().amax(dim=0), rtol=1e-6)


def test_guided_gradcam_inherits_plain_gradient_and_refuses_layers_as_gradcam_does(traced: Make) -> None:
    model = traced(plain(activation=nn.ReLU6), 12)
    assert GuidedGradCam("3")(model, images(1), UNITS[:1])[0].degenerations[0].fault is Fault.PLAIN_GRADIENT
    with pytest.raises(Unsupported, match=r"layer '7' \(Linear\) gives a vector, which has no places: choose an earlier layer"):
        GuidedGradCam("7")(model, images(1), UNITS[:1])


def test_values_are_read_only_and_hold_no_more_than_themselves(model: Model) -> None:
    values = Saliency()(model, images(), UNITS)[0].values
    assert values.base is None
    assert not values.flags.writeable
    assert values.dtype == np.float32
    with pytest.raises(ValueError, match=r"read-only"):
        values[0, 0] = 1


def test_a_constant_network_gives_a_zero_map_that_says_so(traced: Make) -> None:
    network = plain()
    nn.init.zeros_(network[7].weight)
    for method in (Saliency(), InputXGradient(), GuidedBackprop()):
        (heatmap,) = method(traced(network, 12), images(1), [Unit("7", 0)])
        assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]


def test_a_bad_weight_gives_a_map_that_says_so(traced: Make) -> None:
    model = traced(plain(), 12)
    with torch.no_grad():
        model.module[7].weight[1, 0] = float("nan")
    (heatmap,) = Saliency()(model, images(1), [Unit("7", 1)])
    assert [d.fault for d in heatmap.degenerations] == [Fault.NOT_FINITE]


def test_bad_questions(model: Model, unchecked: None) -> None:
    with pytest.raises(InterpError, match=r"^1 units for 2 images: give one unit per image$"):
        Saliency()(model, images(2), UNITS[:1])
    with pytest.raises(UnknownName, match=r"^no unit '7:9': layer '7' has 4 channels, 0 to 3$"):
        GuidedBackprop()(model, images(1), [Unit("7", 9)])
    with pytest.raises(InterpError, match=r"^`images` run from 0 to 254: give \[0, 1\] RGB"):
        InputXGradient()(model, torch.arange(0.0, 255).repeat(2)[:432].view(1, 3, 12, 12), UNITS[:1])
