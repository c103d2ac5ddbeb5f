"""What interp says of random networks, against the same computed by hand: activations, Grad-CAM, kernels, one image among many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import tried
from random_networks import CLASSES, SIZE, Drawn, networks
from torch import Tensor, nn

from interp import activations, kernels
from interp.attribution import gradcam
from interp.core.capture import tensor_of
from interp.core.layout import Maps
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, visualize


@contextmanager
def plain(net: nn.Module) -> Iterator[nn.Module]:
    """The network in eval mode, as a user would switch it by hand."""
    modes = {module: module.training for module in net.modules()}
    try:
        yield net.eval()
    finally:
        for module, training in modes.items():
            module.training = training


def hooked(model: Model, images: Tensor, keep: dict[str, Tensor], *, graph: bool) -> Tensor:
    """The scores; into ``keep`` each module's last output, taken before anything in place behind it."""
    handles = []

    def hook(name: str, output: object) -> object:
        tensor = tensor_of(output)
        if tensor is None:
            return None
        if not graph:
            keep[name] = tensor.clone()
            return None
        keep[name] = tensor
        if isinstance(output, tuple):
            return tuple(item.clone() if isinstance(item, Tensor) else item for item in output)
        return tensor.clone()

    for name, module in model.module.named_modules():
        if name:
            handles.append(module.register_forward_hook(lambda _m, _i, out, name=name: hook(name, out)))
    try:
        with plain(model.module):
            scores: Tensor = model.module(model.normalized(images))
            return scores
    finally:
        for handle in handles:
            handle.remove()


@tried(examples=5)
@given(drawn=networks())
def test_activations_are_what_a_hook_that_clones_sees(drawn: Drawn) -> None:
    model, images = drawn.model(), drawn.images(3)
    kept: dict[str, Tensor] = {}
    with torch.no_grad():
        hooked(model, images, kept, graph=False)
    layers = [layer for layer in model.layers if layer.layout is not None]
    found = activations.of(model, images, [layer.name for layer in layers])
    assert {"stem", "act", "head"} <= found.keys()
    assert "never" not in kept
    for layer in layers:
        assert layer.layout is not None
        expected = layer.layout.maps(kept[layer.name]).numpy()
        np.testing.assert_array_equal(found[layer.name].maps, expected, err_msg=layer.name)


@tried(examples=5)
@given(drawn=networks(), classes=st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)))
def test_gradcam_is_its_equation(drawn: Drawn, classes: tuple[int, int]) -> None:
    model, images = drawn.model(), drawn.images()
    flags = {parameter: parameter.requires_grad for parameter in drawn.net.parameters()}
    kept: dict[str, Tensor] = {}
    try:
        drawn.net.requires_grad_(False)
        scores = hooked(model, images.requires_grad_(), kept, graph=True)
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
    score = scores[0, classes[0]] + scores[1, classes[1]]
    names = [
        layer.name for layer in model.layers if isinstance(layer.layout, Maps) and layer.map_shape[1] > 1 and kept[layer.name].requires_grad
    ]
    grads = torch.autograd.grad(score, [kept[name] for name in names], allow_unused=True)
    found = gradcam.of(
        model, images.detach(), [Unit("head", k) for k in classes], [n for n, g in zip(names, grads, strict=True) if g is not None]
    )
    for name, gradient in zip(names, grads, strict=True):
        if gradient is None:
            continue
        expected = (gradient.mean(dim=(2, 3), keepdim=True) * kept[name]).sum(dim=1).detach().numpy()
        scale = max(float(np.abs(expected).max()), 1e-12)
        for i in range(2):
            np.testing.assert_allclose(found[i][name].values, expected[i], atol=1e-5 * scale, rtol=1e-4, err_msg=name)


@tried(examples=5)
@given(drawn=networks())
def test_kernels_are_the_weights(drawn: Drawn) -> None:
    model = drawn.model()
    for layer in model.layers:
        module = drawn.net.get_submodule(layer.name)
        if isinstance(module, nn.Conv2d):
            np.testing.assert_array_equal(kernels.of(model, layer.name).weights, module.weight.detach().numpy())
        elif isinstance(module, nn.ConvTranspose2d):
            np.testing.assert_array_equal(kernels.of(model, layer.name).weights, module.weight.detach().transpose(0, 1).numpy())
        elif isinstance(module, nn.Linear):
            np.testing.assert_array_equal(kernels.of(model, layer.name).weights[..., 0, 0], module.weight.detach().numpy())


@tried(examples=3)
@given(drawn=networks(), data=st.data())
def test_an_image_does_not_depend_on_the_others(drawn: Drawn, data: st.DataObject) -> None:
    model = drawn.model()
    layers = [layer for layer in model.layers if layer.layout is not None]
    named = st.sampled_from(layers).flatmap(lambda layer: st.integers(0, layer.channels - 1).map(lambda k: Unit(layer.name, k)))
    wanted = data.draw(st.lists(named, min_size=2, max_size=4, unique=True))
    config = AscentConfig(steps=2, size=(SIZE, SIZE))
    try:
        together = visualize(model, wanted, config, seed=4)
    except InterpError:
        return  # a score that is no number, or a unit that does not depend on the image
    for unit, feature in zip(wanted, together, strict=True):
        alone = visualize(model, [unit], config, seed=4)[0]
        np.testing.assert_allclose(alone.image, feature.image, atol=1e-4, rtol=0, err_msg=str(unit))
