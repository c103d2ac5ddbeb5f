"""Maps in other tools' hands: files read back, Quantus and Captum's pictures without conversion code."""

from __future__ import annotations

import copy
import io
import warnings

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from interp.attribution import GradCAM, InputXGradient, Saliency, export
from interp.core.method import Heatmap
from interp.core.unit import Unit
from interp.errors import InterpError

UNIT = Unit("fc", 2)
RAMP = Heatmap(np.arange(6, dtype=np.float32).reshape(2, 3) - 2, UNIT, "Ramp", "conv2")
FLAT = Heatmap(np.full((1, 1), 0.25, dtype=np.float32), UNIT, "Flat")


@pytest.fixture
def images():
    return torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def test_a_batch_is_bilinear_and_signed():
    found = export.batch([RAMP, FLAT], (4, 6))
    assert found.shape == (2, 1, 4, 6)
    np.testing.assert_allclose(found[0, 0, 0], [-2, -1.75, -1.25, -0.75, -0.25, 0], err_msg="corners not aligned: ends are held")
    np.testing.assert_allclose(found[0, 0, :, 0], [-2, -1.25, 0.25, 1])
    assert (found[1] == 0.25).all()


def test_channels_last_is_the_same_with_the_channel_behind():
    found = export.channels_last(RAMP, (4, 6))
    assert found.shape == (4, 6, 1)
    assert np.array_equal(found[..., 0], export.batch([RAMP], (4, 6))[0, 0])


def test_files_hold_the_raw_values():
    read = np.load(io.BytesIO(export.npy(RAMP)), allow_pickle=False)
    assert read.dtype == np.float32
    assert np.array_equal(read, RAMP.values)
    data = export.safetensors({"cat/ramp": RAMP, "cat/flat": FLAT})
    tensors = load(data)
    assert np.array_equal(tensors["cat/ramp"], RAMP.values)
    assert np.array_equal(tensors["cat/flat"], FLAT.values)
    assert b'"cat/ramp":"Ramp of fc:2 at conv2"' in data
    assert b'"cat/flat":"Flat of fc:2"' in data


def test_values_that_do_not_lie_in_order_are_written_in_order():
    turned = Heatmap(RAMP.values.T, UNIT, "Turned")
    assert np.array_equal(load(export.safetensors({"t": turned}))["t"], RAMP.values.T)
    assert np.array_equal(np.load(io.BytesIO(export.npy(turned))), RAMP.values.T)


def test_captum_draws_a_map_as_it_is(trap_model, images):
    from captum.attr import visualization

    (heatmap,) = GradCAM("conv1")(trap_model, images[:1], [UNIT])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, axes = visualization.visualize_image_attr(export.channels_last(heatmap, (12, 12)), sign="all", outlier_perc=0, use_pyplot=False)
    drawn = np.asarray(axes.images[0].get_array())
    expected = export.batch([heatmap], (12, 12))[0, 0]
    np.testing.assert_allclose(drawn, expected / np.abs(expected).max(), atol=1e-6)


def test_pixels_is_the_network_on_unit_range_images(trap_model, images):
    module = export.Pixels(trap_model)
    assert torch.equal(module(images), trap_model(images))
    assert module.seen().module is trap_model.module


def test_pixels_leaves_the_modes_of_the_network_alone(trap_model, images):
    trap_model.module.train()
    trap_model.module.bn.eval()
    before = {name: module.training for name, module in trap_model.module.named_modules()}
    module = export.Pixels(trap_model)
    statistics = trap_model.module.bn.running_mean.clone()
    module(images)
    assert module.training
    assert {name: module.training for name, module in trap_model.module.named_modules()} == before
    assert torch.equal(trap_model.module.bn.running_mean, statistics)
    assert all(p.requires_grad for p in trap_model.module.parameters())


def test_a_changed_copy_is_explained_as_it_is(trap_model, images):
    """What Quantus does to randomize weights: a deep copy, then other weights in it."""
    module = export.Pixels(trap_model)
    changed = copy.deepcopy(module)
    explain = export.Explainer(InputXGradient())
    numbers, targets = images.numpy(), np.array([0, 1, 2])
    with torch.no_grad():
        changed.network.fc.weight.mul_(-3)
    mine, other = (explain(m, numbers, targets) for m in (module, changed))
    np.testing.assert_allclose(other, -3 * mine, rtol=1e-4, atol=1e-7)
    expected = InputXGradient()(trap_model, images, [Unit("fc", k) for k in range(3)])
    assert np.array_equal(mine[:, 0], np.stack([h.values for h in expected]))


def test_an_explainer_takes_what_is_read_only_and_more_arguments(trap_model, images):
    numbers = images.numpy().astype(np.float64)
    numbers.flags.writeable = False
    found = export.Explainer(Saliency())(export.Pixels(trap_model), numbers, np.array([1, 1, 1]), device="cpu", normalise=False)
    assert found.shape == (3, 1, 12, 12)


def test_an_explainer_wants_pixels(trap_model, images, unchecked):
    with pytest.raises(InterpError, match=r"an Explainer is asked with a TrapNet: give Quantus interp.attribution.export.Pixels\(model\)"):
        export.Explainer(Saliency())(trap_model.module, images.numpy(), np.array([0, 0, 0]))


def test_quantus_takes_maps_network_and_method_without_conversion(trap_model, images):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus
        from quantus.metrics import MPRT, Sparseness

        heatmaps = Saliency()(trap_model, images, [UNIT] * 3)
        maps = export.batch(heatmaps, (12, 12))
        given = {"x_batch": images.numpy(), "y_batch": np.array([2, 2, 2]), "channel_first": True}
        plain = {"disable_warnings": True, "display_progressbar": False}
        module = export.Pixels(trap_model)
        found = Sparseness(**plain)(model=module, a_batch=maps, **given)
        explain = export.Explainer(Saliency())
        same = Sparseness(**plain)(model=module, a_batch=None, explain_func=explain, **given)
        likeness = MPRT(similarity_func=quantus.similarity_func.correlation_spearman, layer_order="independent", seed=1, **plain)
        curve = likeness(model=module, a_batch=maps, explain_func=explain, **given)
    np.testing.assert_allclose(found, [gini(h.values) for h in heatmaps], atol=1e-6)
    np.testing.assert_allclose(same, found, err_msg="asked for by Quantus, the maps are the same")
    assert any("fc" in layer for layer in curve)
    assert all(np.isfinite(scores).all() for scores in curve.values())
    assert min(np.min(scores) for scores in curve.values()) < 0.9, "another network, another map"
    assert np.array_equal(export.batch(Saliency()(trap_model, images, [UNIT] * 3), (12, 12)), maps), "the network is as it was"


def gini(values: np.ndarray) -> float:
    ordered = np.sort(np.abs(values.astype(np.float64)).ravel())
    n = len(ordered)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))
