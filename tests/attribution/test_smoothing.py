from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.attribution.channels import Reduction
from interp.attribution.gradcam import GradCAM
from interp.attribution.gradients import Saliency
from interp.attribution.guided import GuidedBackprop
from interp.attribution.integrated import IntegratedGradients
from interp.attribution.smoothing import SmoothGrad, SmoothGradSquared, VarGrad
from interp.core.method import Fault
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError

Make = Callable[..., Model]
UNITS = [Unit("5", 1), Unit("5", 3)]
ALL = [SmoothGrad, SmoothGradSquared, VarGrad]


def images(n: int = 2, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(True), nn.Conv2d(6, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(320, 4))


@pytest.fixture
def model(traced: Make) -> Model:
    return traced(network(), 12)


@pytest.mark.parametrize(("kind", "captums"), [(SmoothGrad, "smoothgrad"), (SmoothGradSquared, "smoothgrad_sq"), (VarGrad, "vargrad")])
def test_the_statistic_is_captums_over_the_same_copies(
    model: Model, kind: type[SmoothGrad], captums: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = kind(Saliency(Reduction.SUM), n_samples=8, noise=0.1)
    copies = method.copies(images()[0])
    monkeypatch.setattr(captum.attr.NoiseTunnel, "_add_noise_to_input", staticmethod(lambda *_: copies.clone()))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.preprocess.mean, model.preprocess.std))
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(lambda x: model.module((x - mean) / std)))
    theirs = tunnel.attribute(images()[:1], captums, 8, stdevs=0.1, target=1, abs=False).sum(dim=1)[0]
    (heatmap,) = method(model, images()[:1], UNITS[:1])
    # Captum takes the mean's square from the mean square in single precision: its rounding is the mean square's.
    scale = np.abs(
        heatmap.values if kind is SmoothGrad else SmoothGradSquared(method.around, 8, 0.1)(model, images()[:1], UNITS[:1])[0].values
    )
    np.testing.assert_allclose(heatmap.values, theirs, rtol=0, atol=1e-6 * float(scale.max()))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("around", [Saliency(), IntegratedGradients(n_steps=4)])
def test_channels_are_reduced_last(model: Model, kind: type[SmoothGrad], around: Saliency) -> None:
    method = kind(around, n_samples=5)
    raw = around.raw(model, method.copies(images()[0]), [UNITS[0]] * 5).double()
    statistics = {SmoothGrad: raw.mean(0), SmoothGradSquared: raw.square().mean(0), VarGrad: raw.var(0, correction=0)}
    expected = statistics[kind].abs().amax(0) if isinstance(around, Saliency) else statistics[kind].sum(0)
    values = method(model, images()[:1], UNITS[:1])[0].values
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("kind", ALL)
def test_around_a_method_at_a_layer_its_maps_enter(model: Model, kind: type[SmoothGrad]) -> None:
    method = kind(GradCAM("1"), n_samples=5)
    maps = np.stack([h.values for h in GradCAM("1")(model, method.copies(images()[0]), [UNITS[0]] * 5)]).astype(float)
    statistics = {SmoothGrad: maps.mean(0), SmoothGradSquared: (maps**2).mean(0), VarGrad: maps.var(0)}
    (heatmap,) = method(model, images()[:1], UNITS[:1])
    assert (heatmap.method, heatmap.layer, heatmap.values.shape) == (kind.title, "1", (10, 10))
    np.testing.assert_allclose(heatmap.values, statistics[kind], rtol=1e-4, atol=1e-6 * np.abs(maps).max())


def test_noise_is_a_share_of_the_images_range_and_stays_near_it() -> None:
    method = SmoothGrad(n_samples=50, noise=0.1)
    dull = 0.4 + 0.2 * images(1, 32)[0]
    noise = method.copies(dull) - dull
    np.testing.assert_allclose(float(noise.std()), 0.1 * float(dull.max() - dull.min()), rtol=0.02)
    assert abs(float(noise.mean())) < 1e-3
    loud = SmoothGrad(n_samples=50, noise=1.0).copies(images(1, 32)[0])
    assert (float(loud.min()), float(loud.max())) == (-0.5, 1.5)


@pytest.mark.parametrize("kind", ALL)
def test_a_map_depends_on_seed_and_image_only(model: Model, kind: type[SmoothGrad]) -> None:
    together = kind(n_samples=6, batch_size=4)(model, images(), UNITS)
    torch.rand(3)
    alone = kind(n_samples=6, batch_size=16)(model, images()[1:], UNITS[1:])
    np.testing.assert_allclose(alone[0].values, together[1].values, rtol=1e-4, atol=1e-8)
    other = kind(n_samples=6, seed=1)(model, images()[1:], UNITS[1:])
    assert np.abs(other[0].values - alone[0].values).max() > 1e-3 * alone[0].values.max()
    assert torch.equal(kind(n_samples=6).copies(images()[0])[:3], kind(n_samples=3).copies(images()[0]))


def test_a_linear_network_has_no_variance(traced: Make) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    (heatmap,) = VarGrad()(traced(net, 2), images(1, 2), [Unit("1", 0)])
    assert [d.fault for d in heatmap.degenerations] == [Fault.ZERO]
    assert not heatmap.values.any()


def test_faults_that_every_copy_shares_are_kept(traced: Make) -> None:
    net = network()
    net[1] = nn.ReLU6()
    (heatmap,) = SmoothGrad(GuidedBackprop(), n_samples=3)(traced(net, 12), images(1), UNITS[:1])
    assert [d.fault for d in heatmap.degenerations] == [Fault.PLAIN_GRADIENT]
    net[1] = nn.ReLU()
    assert SmoothGrad(GuidedBackprop(), n_samples=3)(traced(net, 12), images(1), UNITS[:1])[0].degenerations == ()


def test_bad_options() -> None:
    with pytest.raises(InterpError, match=r"^`noise` is 0: give a share of the image's range above 0 and up to 1, such as 0\.15$"):
        SmoothGrad(noise=0)
    with pytest.raises(InterpError, match=r"^`n_samples` is 0: give at least 1$"):
        SmoothGrad(n_samples=0)
    with pytest.raises(InterpError, match=r"^`n_samples` is 1: give at least 2$"):
        VarGrad(n_samples=1)
    with pytest.raises(InterpError, match=r"^`batch_size` is 0: give at least 1$"):
        SmoothGradSquared(batch_size=0)
