from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.swin_transformer import SwinTransformer

from interp.attribution.layerwise import AlongPath, Conductance, InternalInfluence, LayerIntegratedGradients
from interp.core.baseline import Baseline, baseline
from interp.core.method import Fault
from interp.core.model import Model
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported

Make = Callable[..., Model]
KINDS = [LayerIntegratedGradients, Conductance, InternalInfluence]
CAPTUMS = [captum.attr.LayerIntegratedGradients, captum.attr.LayerConductance, captum.attr.InternalInfluence]
UNITS = [Unit("5", 1), Unit("5", 3)]


def images(n: int = 2, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def network(inplace: bool = True) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace), nn.Conv2d(6, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(320, 4))


class Normalized(nn.Module):
    """What Captum is given when it is called directly: written without interp."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module.eval()
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (model.preprocess.mean, model.preprocess.std))

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


@pytest.mark.parametrize(("kind", "theirs"), list(zip(KINDS, CAPTUMS, strict=True)))
@pytest.mark.parametrize("batch_size", [2, 5, 32])
def test_maps_are_captums_summed_over_channels(traced: Make, kind: type[AlongPath], theirs: type, batch_size: int) -> None:
    model, reference = traced(network(), 12), traced(network(inplace=False), 12)  # before an in-place ReLU Captum sees what is behind it
    x = images()
    found = kind("0", n_steps=8, batch_size=batch_size)(model, x, UNITS)
    method = theirs(Normalized(reference), reference.module[0])
    expected = method.attribute(x, baseline(model, x, Baseline.MEAN), target=torch.tensor([1, 3]), n_steps=8).detach().sum(dim=1)
    for heatmap, values in zip(found, expected, strict=True):
        np.testing.assert_allclose(heatmap.values, values, rtol=0, atol=2e-6 * float(expected.abs().max()))
        assert (heatmap.method, heatmap.layer, heatmap.values.shape) == (kind.title, "0", (10, 10))


@pytest.mark.parametrize("kind", [LayerIntegratedGradients, Conductance])
def test_where_nothing_goes_round_the_layer_the_score_is_shared_out(traced: Make, kind: type[AlongPath]) -> None:
    model = traced(network(), 12)
    x = images()
    difference = evaluate(model, x, UNITS) - evaluate(model, baseline(model, x, Baseline.BLUR), UNITS)
    maps = kind("1", n_steps=128, baseline=Baseline.BLUR)(model, x, UNITS)
    np.testing.assert_allclose([h.values.sum() for h in maps], difference, rtol=0.02, atol=1e-3)


def test_of_what_is_linear_behind_the_layer_both_are_weight_times_difference(traced: Make) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    model, unit, x = traced(net, 2), Unit("3", 1), images(1, 2)
    (at,), (start,) = (net[:2](model.normalized(v)).detach() for v in (x, baseline(model, x, Baseline.MEAN)))
    weights = net[3].weight.detach()[1].view(2, 2, 2)
    expected = (weights * (at - start)).sum(dim=0)
    np.testing.assert_allclose(LayerIntegratedGradients("1", n_steps=5)(model, x, [unit])[0].values, expected, atol=1e-6)
    # Captum's first and last points are not quite the baseline and the image.
    np.testing.assert_allclose(Conductance("1", n_steps=100)(model, x, [unit])[0].values, expected, rtol=1e-3)
    np.testing.assert_allclose(InternalInfluence("1")(model, x, [unit])[0].values, weights.sum(dim=0), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_channels_last_are_seen_as_maps(traced: Make, kind: type[AlongPath]) -> None:
    vit = models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4)
    nn.init.normal_(vit.heads.head.weight, std=0.5)
    model, x = traced(vit, 32), images(1, 32)
    (heatmap,) = kind("encoder.layers.encoder_layer_0", n_steps=4)(model, x, [model.class_unit(1)])
    assert heatmap.values.shape == (4, 4)
    assert heatmap.degenerations == ()
    (attention,) = kind("encoder.layers.encoder_layer_0.self_attention", n_steps=4)(model, x, [model.class_unit(1)])  # (tensor, None)
    assert attention.values.shape == (4, 4)
    assert attention.values.any()
    (last,) = kind("encoder.layers.encoder_layer_1", n_steps=4)(model, x, [model.class_unit(1)])
    assert [d.fault for d in last.degenerations] == [Fault.CLASS_TOKEN_ONLY, Fault.ZERO]
    swin = traced(SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=4), 32)
    (heatmap,) = kind("features.1", n_steps=4)(swin, x, [swin.class_unit(1)])
    method = CAPTUMS[KINDS.index(kind)](Normalized(swin), swin.module.features[1])
    expected = method.attribute(x, baseline(swin, x, Baseline.MEAN), target=1, n_steps=4).detach().sum(dim=3)[0]
    np.testing.assert_allclose(heatmap.values, expected, rtol=0, atol=2e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_module_called_twice_the_last_call_counts(traced: Make, kind: type[AlongPath]) -> None:
    class Twice(nn.Module):
        def __init__(self, own: bool) -> None:
            super().__init__()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self.first, self.second, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(256, 3)
            self.relu = nn.ReLU()
            self.last = nn.ReLU() if own else self.relu

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.last(self.second(self.relu(self.first(x)))).flatten(1))

    unit = Unit("fc", 1)
    (reused,) = kind("relu", n_steps=6)(traced(Twice(False), 12), images(1), [unit])
    (own,) = kind("last", n_steps=6)(traced(Twice(True), 12), images(1), [unit])
    np.testing.assert_allclose(reused.values, own.values, rtol=1e-5, atol=1e-7)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.side, self.main, self.fc = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3), nn.Linear(200, 2)

    def forward(self, x: Tensor) -> Tensor:
        side = self.side(x)
        main = self.main(x)
        return self.fc((side + main).flatten(1))


@pytest.mark.parametrize("kind", KINDS)
def test_refusals(traced: Make, kind: type[AlongPath]) -> None:
    model, x = traced(Branches(), 12), images(1)
    with pytest.raises(
        Unsupported, match=rf"^no {kind.title} of 'main:1' at 'side', on which the unit does not depend: no layer before it has places"
    ):
        kind("side")(model, x, [Unit("main", 1)])
    with pytest.raises(Unsupported, match=rf"^no {kind.title} of 'side:1' at 'side', the unit's own layer: no layer before it has places$"):
        kind("side")(model, x, [Unit("side", 1)])
    with pytest.raises(Unsupported, match=r"at 'main', which fires after the unit's layer"):
        kind("main")(model, x, [Unit("side", 1)])
    with pytest.raises(Unsupported, match=r"^layer 'fc' \(Linear\) gives a vector, which has no places: .* 'main' or 'side'$"):
        kind("fc")(model, x, [Unit("fc", 1)])
    with pytest.raises(UnknownName, match=r"^no layer 'man' in 'branches': did you mean 'main'"):
        kind("man")(model, x, [Unit("fc", 1)])
    with pytest.raises(InterpError, match=r"^`batch_size` is 1: give at least 2$"):
        kind("main", batch_size=1)
    with pytest.raises(InterpError, match=r"^`n_steps` is 0: give at least 1$"):
        kind("main", n_steps=0)
