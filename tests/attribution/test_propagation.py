from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from captum.attr._core.lrp import SUPPORTED_LAYERS_WITH_RULES, SUPPORTED_NON_LINEAR_LAYERS
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import GammaRule
from torch import Tensor, nn
from torchvision import models

from interp.attribution import deeplift, lrp
from interp.attribution.deeplift import DeepLift, DeepLiftShap
from interp.attribution.integrated import IntegratedGradients
from interp.attribution.lrp import LRP
from interp.core.baseline import Baseline, baseline
from interp.core.method import Fault, Heatmap
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported

Make = Callable[..., Model]
UNITS = [Unit("7", 1), Unit("7", 3)]


def images(n: int = 2, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def network(inplace: bool = True, pool: nn.Module | None = None, bias: bool = True, head: tuple[nn.Module, ...] = ()) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        convs = nn.Conv2d(3, 6, 3, bias=bias), nn.ReLU(inplace), pool or nn.AvgPool2d(2), nn.Conv2d(6, 5, 3, bias=bias), nn.ReLU(inplace)
        return nn.Sequential(*convs, nn.Dropout(), nn.Flatten(), nn.Linear(45, 4, bias=bias), *head)


class Normalized(nn.Module):
    """What Captum is given when it is called directly: written without interp."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module.eval()
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (model.preprocess.mean, model.preprocess.std))

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-6 * float(theirs.abs().max()))


def gap(heatmap: Heatmap) -> float:
    return dict(heatmap.measures)["completeness gap"]


def test_the_lists_of_rules_are_captums() -> None:
    assert set(deeplift.RULED) == set(SUPPORTED_NON_LINEAR)
    assert set(lrp.RULED) == set(SUPPORTED_LAYERS_WITH_RULES)
    assert set(lrp.PASSING) == set(SUPPORTED_NON_LINEAR_LAYERS)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_deeplift_is_captums_out_of_place_and_complete(traced: Make, inplace: bool) -> None:
    model, reference = traced(network(inplace), 12), traced(network(False), 12)
    x = images()
    start = baseline(model, x, Baseline.MEAN)
    expected = [
        captum.attr.DeepLift(Normalized(reference)).attribute(x[i : i + 1].clone(), start[i : i + 1], target=t) for i, t in ((0, 1), (1, 3))
    ]
    close(DeepLift().raw(model, x, UNITS), torch.cat(expected))
    for heatmap in DeepLift()(model, x, UNITS):
        assert gap(heatmap) < 1e-5
        assert heatmap.degenerations == ()


@pytest.mark.filterwarnings("ignore")
def test_deeplift_shap_is_captums_and_the_mean_of_deeplift(traced: Make) -> None:
    model = traced(network(), 12)
    kinds = (Baseline.BLACK, Baseline.WHITE, Baseline.BLUR)
    found = DeepLiftShap(kinds).raw(model, images(), UNITS)
    close(found, torch.stack([DeepLift(kind).raw(model, images(), UNITS) for kind in kinds]).mean(dim=0))
    x = images()[:1]
    starts = torch.cat([baseline(model, x, kind) for kind in kinds])
    close(found[:1], captum.attr.DeepLiftShap(Normalized(traced(network(False), 12))).attribute(x, starts, target=1))
    assert all(gap(h) < 1e-5 and h.degenerations == () for h in DeepLiftShap(kinds)(model, images(), UNITS))


def test_deeplift_of_one_relu_by_hand(traced: Make) -> None:
    net = nn.Sequential(nn.Conv2d(3, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([0.229, 0.0, 0.0]).view(1, 3, 1, 1))  # undoes the division by the standard deviation
        net[3].weight.fill_(1)
    x = torch.tensor([[0.985, 0.585], [0.385, 0.0]]).expand(1, 3, 2, 2)  # red minus its mean of .485: .5, .1, -.1, -.485
    (heatmap,) = DeepLift(Baseline.BLACK)(traced(net, 2), x, [Unit("3", 0)])
    np.testing.assert_allclose(heatmap.values, [[0.5, 0.1], [0, 0]], atol=1e-6)  # what comes out, not the slope times the way
    assert gap(heatmap) < 1e-5


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.relu, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Linear(256, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu(self.conv2(self.relu(self.conv1(x)))).flatten(1))


@pytest.mark.parametrize("method", [DeepLift(), DeepLiftShap()])
def test_deeplift_refuses_a_relu_used_twice_and_says_what_to_do(traced: Make, resnet: Model, method: DeepLift) -> None:
    model = traced(Reused(), 12)
    message = (
        rf"^no {method.title} of 'fc:1' on 'reused': its module 'relu' \(ReLU\) is used 2 times, and a rule needs one module for each use: "
        r"give each call its own nn\.ReLU, or choose 'integrated-gradients'$"
    )
    with pytest.raises(Unsupported, match=message):
        method(model, images(1), [Unit("fc", 1)])
    with pytest.raises(Unsupported, match=r"its module 'layer1\.0\.relu' \(ReLU\) is used 2 times"):
        method(resnet, images(1, 64), [Unit("fc", 1)])
    # A unit that the ReLU has reached only once is no problem.
    assert gap(method(model, images(1), [Unit("conv2", 1)])[0]) < 1e-4


def test_the_remedy_works(traced: Make) -> None:
    class Own(Reused):
        def __init__(self) -> None:
            super().__init__()
            self.again = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.again(self.conv2(self.relu(self.conv1(x)))).flatten(1))

    assert gap(DeepLift()(traced(Own(), 12), images(1), [Unit("fc", 1)])[0]) < 1e-4


@pytest.mark.parametrize(
    ("activation", "reason"),
    [
        (nn.GELU(), r"'1' \(GELU\), like 1 more, has no rule and passes the plain gradient; 'integrated-gradients' needs no rules$"),
        (nn.ReLU6(), r"'1' \(ReLU6\), like 1 more, has no rule"),
    ],
)
def test_a_missing_rule_shows_in_the_gap_and_is_named(traced: Make, activation: nn.Module, reason: str) -> None:
    net = network()
    with torch.no_grad():
        net[0].weight.mul_(8)
    net[1] = net[4] = activation
    net[4] = type(activation)()
    (heatmap,) = DeepLift()(traced(net, 12), images(1), [Unit("7", 1)])
    (found,) = heatmap.degenerations
    assert found.fault is Fault.INCOMPLETE
    assert gap(heatmap) > 0.05
    assert found.label == f"completeness gap {gap(heatmap):.0%}"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.sentence)


def test_what_is_computed_outside_of_modules_is_named(traced: Make) -> None:
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(400, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc((8 * self.conv(x)).relu().flatten(1))

    (heatmap,) = DeepLift()(traced(Loose(), 12), images(1), [Unit("fc", 1)])
    (found,) = heatmap.degenerations
    assert found.fault is Fault.INCOMPLETE
    assert "outside of modules (Mul, Relu) has no rule" in found.sentence


def test_overlapping_max_pooling_is_named(traced: Make) -> None:
    net = network(pool=nn.MaxPool2d(3, 2, 1))
    (heatmap,) = DeepLift(Baseline.BLUR)(traced(net, 12), images(1), [Unit("7", 1)])
    assert gap(heatmap) > 0.05
    assert "Captum's rule for max pooling" in heatmap.degenerations[0].sentence


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_lrp_is_captums_on_the_normalized_image(traced: Make, inplace: bool) -> None:
    head = nn.Linear(4, 4)
    nn.init.eye_(head.weight)
    net = network(inplace)
    flatten = net[6]
    model, reference = traced(net, 12), network(False)
    reference.eval()[6] = nn.Identity()  # Captum has no rule for Flatten: the reference flattens outside of modules

    class Flattening(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front, self.fc = nn.Sequential(*list(reference)[:6]), reference[7]

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.front(x).flatten(1))

    x = model.normalized(images())
    expected = captum.attr.LRP(Flattening().eval()).attribute(x.clone().requires_grad_(), target=torch.tensor([1, 3]))
    close(LRP().raw(model, images(), UNITS), expected)
    assert net[6] is flatten


def test_lrp_without_biases_is_complete_and_equals_input_times_gradient(traced: Make) -> None:
    model = traced(network(bias=False, pool=nn.MaxPool2d(3, 2, 1), head=(nn.Identity(),)), 12)
    # A network without biases is linear around each image, where the epsilon rule is the (normalized) image times the gradient.
    x = images()
    units = [
        Unit("8", 1),
        Unit("8", 3),
    ]
    normalized = model.normalized(x).requires_grad_()
    score = model.module.eval()(normalized)
    (gradient,) = torch.autograd.grad(score[0, 1] + score[1, 3], normalized)
    torch.testing.assert_close(LRP().raw(model, x, units), (normalized * gradient).detach(), rtol=1e-3, atol=1e-5)
    for heatmap in LRP()(model, x, units):
        assert gap(heatmap) < 1e-3
        assert heatmap.degenerations == ()
    np.testing.assert_allclose(
        np.stack([h.values for h in LRP()(model, x, units)]),
        np.stack([h.values for h in IntegratedGradients()(model, x, units)]),
        atol=1e-4,
    )


def test_lrp_of_a_channel_starts_at_what_each_place_contributes(traced: Make) -> None:
    net = nn.Sequential(nn.Conv2d(3, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([0.229, 0.0, 0.0]).view(1, 3, 1, 1))
    x = torch.tensor([[0.985, 0.585], [0.385, 0.0]]).expand(1, 3, 2, 2)
    model = traced(net, 2)
    (mean,) = LRP()(model, x, [Unit("1", 0)])
    np.testing.assert_allclose(mean.values, [[0.125, 0.025], [0, 0]], atol=1e-6)  # a quarter of each place's own, not of the mean
    (neuron,) = LRP()(model, x, [Unit("1", 0, (0, 1))])
    np.testing.assert_allclose(neuron.values, [[0, 0.1], [0, 0]], atol=1e-6)


def test_lrp_says_how_much_biases_absorb(traced: Make) -> None:
    net = network()
    nn.init.constant_(net[7].bias, 3.0)
    (heatmap,) = LRP()(traced(net, 12), images(1), UNITS[:1])
    assert gap(heatmap) > 0.5
    assert heatmap.degenerations[0].fault is Fault.INCOMPLETE
    assert "biases absorb relevance" in heatmap.degenerations[0].sentence


class Residual(nn.Module):
    def __init__(self, module: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False), nn.Linear(576, 3, bias=False)
        self.add = Addition_Module() if module else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        y = self.conv2(x)
        return self.fc((self.add(x, y) if self.add else x + y).flatten(1))


def test_lrp_refuses_additions_outside_of_modules_and_takes_them_as_modules(traced: Make, resnet: Model) -> None:
    message = (
        r"^no LRP of 'fc:1' on 'residual': it computes outside of its modules \(Add\), where no rule can be attached: "
        r"make additions captum's Addition_Module, or choose 'integrated-gradients'$"
    )
    with pytest.raises(Unsupported, match=message):
        LRP()(traced(Residual(False), 12), images(1), [Unit("fc", 1)])
    with pytest.raises(Unsupported, match=r"it computes outside of its modules \(Add\)"):
        LRP()(resnet, images(1, 64), [Unit("fc", 1)])
    assert gap(LRP()(traced(Residual(True), 12), images(1), [Unit("fc", 1)])[0]) < 1e-2


@pytest.mark.parametrize(
    ("make", "size", "reason"),
    [
        (lambda: models.mobilenet_v2(num_classes=5), 32, r"there is no rule for its layer 'features\.0\.2' \(ReLU6\)"),
        (lambda: models.VisionTransformer(16, 8, 1, 2, 8, 8, num_classes=5), 16, r"no rule for its layer '.*ln_1' \(LayerNorm\)"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(400, 2)), 12, r"its layer '1' \(SiLU\)"),
    ],
)
def test_lrp_names_the_layer_without_a_rule(traced: Make, make: Callable[[], nn.Module], size: int, reason: str) -> None:
    model = traced(make(), size)
    with pytest.raises(Unsupported, match=reason + ": choose 'integrated-gradients', which needs no"):
        LRP()(model, images(1, size), [model.class_unit(0)])


def test_lrp_ignores_what_is_not_on_the_way(traced: Make) -> None:
    net = network()
    net.add_module("late", nn.Softmax(dim=1))
    model = traced(net, 12)
    assert LRP()(model, images(1), [Unit("7", 1)])[0].values.any()
    with pytest.raises(Unsupported, match=r"its layer 'late' \(Softmax\)"):
        LRP()(model, images(1), [Unit("late", 1)])


def test_lrp_refuses_a_convolution_used_twice(traced: Make) -> None:
    conv = nn.Conv2d(3, 3, 1)
    model = traced(nn.Sequential(conv, nn.ReLU(), conv, nn.Flatten(), nn.Linear(432, 2)), 12)
    with pytest.raises(Unsupported, match=r"its module '0' \(Conv2d\) is used 2 times, and a rule needs one module for each use"):
        LRP()(model, images(1), [Unit("4", 1)])


def test_lrp_uses_and_keeps_a_users_own_rule(traced: Make) -> None:
    net = network()
    model = traced(net, 12)
    plainly = LRP().raw(model, images(), UNITS)
    rule, before = GammaRule(), {key: value.clone() for key, value in net.state_dict().items()}
    net[0].rule = rule
    ours = LRP().raw(model, images(), UNITS)
    assert net[0].rule is rule
    assert float((ours - plainly).abs().max()) > 0.01 * float(plainly.abs().max())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_too_few_baselines() -> None:
    with pytest.raises(InterpError, match=r"^`baselines` of DeepLIFT SHAP holds 1 kinds: give at least two, or use one baseline's method$"):
        DeepLiftShap((Baseline.BLACK,))
