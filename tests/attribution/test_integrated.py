from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interp.attribution import completeness
from interp.attribution.integrated import IntegratedGradients
from interp.attribution.scoped import drawing
from interp.attribution.shap import GradientShap
from interp.core.baseline import Baseline, baseline
from interp.core.method import Fault
from interp.core.model import Model, ModelSpec
from interp.core.rng import content
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Preprocess

Make = Callable[..., Model]
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}


def images(n: int = 2, size: int = 12, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def curved() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Conv2d(6, 5, 3), nn.ReLU(True), nn.Flatten(), nn.Linear(320, 4))


def linear() -> tuple[Model, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    return trace(network, ModelSpec("linear"), Preprocess(size=(2, 2), resize=2, **PLAIN)), network[1].weight.detach().view(2, 3, 2, 2)


@given(st.sampled_from(list(Baseline)), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_of_a_linear_network_it_is_weight_times_difference_whatever_the_steps(kind: Baseline, n_steps: int, seed: int) -> None:
    model, weights = linear()
    x = images(2, 2, seed)
    maps = IntegratedGradients(n_steps, kind)(model, x, [Unit("1", 0), Unit("1", 1)])
    expected = (weights * (x - baseline(model, x, kind))).sum(dim=1)
    np.testing.assert_allclose(np.stack([h.values for h in maps]), expected, atol=1e-6)
    for heatmap, total in zip(maps, expected.sum(dim=(1, 2)), strict=True):
        # The gap is relative to the difference of the scores, which rounding fills where it is close to zero.
        assert heatmap.measures[0][0] == "completeness gap"
        assert abs(float(total)) < 1e-4 or heatmap.measures[0][1] * abs(float(total)) < 1e-5


class Saturating(nn.Module):
    """1 - relu(1 - 4 mean(x)) of each channel: the gradient is zero at a bright image, though the brightness is the whole score."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.relu, self.flat = nn.AdaptiveAvgPool2d(1), nn.ReLU(), nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.flat(1 - self.relu(1 - 4 * self.pool(x)))


def test_saturation_is_seen_and_steps_close_the_gap() -> None:
    model = trace(Saturating(), ModelSpec("saturating"), Preprocess(size=(2, 2), resize=2, **PLAIN))
    x, unit = torch.full((1, 3, 2, 2), 1.0), model.class_unit(0)
    (coarse,) = IntegratedGradients(3, Baseline.BLACK)(model, x, [unit])
    (fine,) = IntegratedGradients(200, Baseline.BLACK)(model, x, [unit])
    np.testing.assert_allclose(fine.values, 0.25, rtol=0.02)  # four pixels share a score of 1
    assert dict(fine.measures)["completeness gap"] < 0.02
    assert Fault.INCOMPLETE not in [d.fault for d in fine.degenerations]
    gap = abs(float(coarse.values.sum()) - 1.0)
    np.testing.assert_allclose(dict(coarse.measures)["completeness gap"], gap, rtol=1e-5)
    (found,) = [d for d in coarse.degenerations if d.fault is Fault.INCOMPLETE]
    assert found.label == f"completeness gap {gap:.0%}"
    assert found.sentence.endswith("so raise `n_steps`")


def test_a_gap_is_a_fault_above_five_percent_only() -> None:
    assert completeness.gap(1.05, 1.0) == pytest.approx(0.05)
    assert completeness.gap(-2.0, -1.0) == 1
    assert completeness.gap(0.0, 0.0) == 0
    assert completeness.gap(1.0, 0.0) > 1e6
    assert completeness.doubts(0.05, "c") == ()
    assert completeness.doubts(0.0501, "c")[0].fault is Fault.INCOMPLETE
    assert completeness.doubts(float("nan"), "c")[0].fault is Fault.INCOMPLETE
    assert completeness.doubts(40.0, "c")[0].label == "completeness gap > 1000%"


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_raw_values_are_captums_whatever_the_batch_size(traced: Make, batch_size: int) -> None:
    model = traced(curved(), 12)
    units = [Unit("5", 1), Unit("5", 3)]
    found = IntegratedGradients(n_steps=8, batch_size=batch_size).raw(model, images(), units)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.preprocess.mean, model.preprocess.std))
    method = captum.attr.IntegratedGradients(lambda x: model.module((x - mean) / std))
    expected = method.attribute(images(), mean.expand(2, 3, 12, 12), target=torch.tensor([1, 3]), n_steps=8)
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-6 * float(expected.abs().max()))


def test_gradient_shap_of_a_linear_network_is_exact_for_every_draw() -> None:
    model, weights = linear()
    x = images(2, 2)
    kinds = (Baseline.BLACK, Baseline.WHITE, Baseline.GREY)
    maps = GradientShap(n_samples=7, baselines=kinds, batch_size=2)(model, x, [Unit("1", 0), Unit("1", 1)])
    expected = (weights * (x - 0.5)).sum(dim=1)  # black, white and grey are a half on average
    np.testing.assert_allclose(np.stack([h.values for h in maps]), expected, atol=1e-6)
    assert all(dict(h.measures)["completeness gap"] < 1e-4 for h in maps)


def test_gradient_shap_is_captums_with_the_same_draws(traced: Make) -> None:
    model = traced(curved(), 12)
    unit, x = Unit("5", 1), images(1)
    ours = GradientShap(n_samples=6, baselines=(Baseline.BLACK, Baseline.WHITE), seed=5)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.preprocess.mean, model.preprocess.std))
    method = captum.attr.GradientShap(lambda x: model.module((x - mean) / std))
    with drawing(x.device, 5, "gradient-shap", content(x[0])):
        theirs = [method.attribute(x, torch.full_like(x, level), n_samples=3, target=1).detach() for level in (0.0, 1.0)]
    expected = torch.stack(theirs).mean(dim=0)
    torch.testing.assert_close(ours.raw(model, x, [unit]), expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
    other = GradientShap(n_samples=6, baselines=(Baseline.BLACK, Baseline.WHITE), seed=6).raw(model, x, [unit])
    assert float((other - expected).abs().max()) > 1e-3 * float(expected.abs().max())


def test_bad_options() -> None:
    with pytest.raises(InterpError, match=r"^`n_steps` is 0: give at least 1$"):
        IntegratedGradients(n_steps=0)
    with pytest.raises(InterpError, match=r"^`batch_size` is 0: give at least 1$"):
        IntegratedGradients(batch_size=0)
    with pytest.raises(InterpError, match=r"^`n_samples` is 3: give at least 4$"):
        GradientShap(n_samples=3)
    with pytest.raises(InterpError, match=r"^`baselines` of GradientSHAP holds 1 kinds: give at least two"):
        GradientShap(baselines=(Baseline.BLACK,))
