"""Whatever is done with a network, and wherever it fails: afterwards the network, and all around it, is as it was, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import tried
from random_networks import SIZE, Drawn, differences, drawn, networks, state, surroundings, unchanged
from torch import Tensor

from interp import activations, kernels
from interp.attribution import METHODS, Saliency
from interp.core.model import Model
from interp.core.randomize import randomized_weights, weighted_layers
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, visualize
from interp.metrics import METRICS, Evidence

Mission = Callable[[Model, Tensor], object]

# What is small in these networks is small in these options.
FEW = {"n_steps": 3, "n_samples": 3, "n_segments": 4, "n_channels": 2, "percentiles": (50,), "bins": 10, "cells": 3}


def units(model: Model, count: int) -> list[Unit]:
    return [Unit(model.output, number % model.classes) for number in range(count)]


def few(kind: type, **others: object) -> object:
    """A method or metric with few steps, at the stem where it is about a layer."""
    wanted = {field.name: field.default for field in fields(kind) if field.init}
    options = {name: value for name, value in FEW.items() if name in wanted}
    layer = {"layer": "stem"} if wanted.get("layer") is MISSING else {}
    return kind(**options, **layer, **others)


def method(name: str) -> Mission:
    return lambda model, images: few(METHODS[name])(model, images, units(model, len(images)))  # type: ignore[operator]


def metric(name: str) -> Mission:
    def ask(model: Model, images: Tensor) -> object:
        asked, about = Saliency(), units(model, len(images))
        return few(METRICS[name])(Evidence(model, images, tuple(about), tuple(asked(model, images, about)), asked))  # type: ignore[operator]

    return ask


def all_activations(model: Model, images: Tensor) -> object:
    return activations.of(model, images, [layer.name for layer in model.layers if layer.layout is not None])


def all_kernels(model: Model, images: Tensor) -> object:
    return [kernels.of(model, name) for name in ("stem", "head")]


def two_images(model: Model, images: Tensor) -> object:
    return visualize(model, [Unit("stem", 1), Unit(model.output, 2)], AscentConfig(steps=2, size=(SIZE, SIZE)), seed=3)


def random_weights(model: Model, images: Tensor) -> object:
    with randomized_weights(model, weighted_layers(model), seed=1), torch.no_grad():
        return model(images)


def traced(model: Model, images: Tensor) -> object:
    return Drawn(model.module, None, (), 0).model()  # type: ignore[arg-type]


MISSIONS: dict[str, Mission] = {
    "load": traced,
    "activations": all_activations,
    "kernels": all_kernels,
    "visualize": two_images,
    "random weights": random_weights,
    **{name: method(name) for name in METHODS if "attention" not in name and "rollout" not in name},
    **{name: metric(name) for name in ("deletion", "road", "infidelity", "sensitivity", "randomization", "smprt", "emprt")},
}


@pytest.mark.parametrize("name", MISSIONS)
@tried(examples=2)
@given(drawn=networks(), fuse=st.none() | st.integers(0, 4), error=st.sampled_from([OSError, KeyboardInterrupt, RuntimeError]))
def test_a_network_is_as_it_was(name: str, drawn: Drawn, fuse: int | None, error: type[BaseException]) -> None:
    model, images = drawn.model(), drawn.images()
    before, around, given_images = state(drawn.net), surroundings(), images.clone()
    drawn.called.modules.clear()
    switch = drawn.net.fuse.switch
    switch.calls_left, switch.error = fuse, error
    try:
        MISSIONS[name](model, images)
    except InterpError:
        pass
    except error:
        assert fuse is not None
    switch.calls_left = None
    assert differences(before, state(drawn.net)) == []
    assert unchanged(around)
    assert torch.equal(images, given_images)
    assert images.grad is None
    assert not images.requires_grad
    kinds = {type(module) for module in drawn.net.modules()}
    assert all(type(module) in kinds for module in drawn.called.modules)
    if name != "visualize":  # which works on a copy
        own = set(drawn.net.modules())
        assert all(module in own for module in drawn.called.modules)
    assert works_as(drawn, drawn.twin, given_images)


def works_as(drawn: Drawn, twin: Drawn, images: Tensor) -> bool:
    """Whether training goes on as if nothing had happened: the same scores, gradients, statistics and calls of the user's hooks."""
    found = []
    for each in (drawn, twin):
        each.called.modules.clear()
        names = {module: name for name, module in each.net.named_modules()}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            scores = each.net(images)
            if scores.requires_grad:
                scores.square().sum().backward()
        grads = {name: parameter.grad for name, parameter in each.net.named_parameters()}
        found.append((scores.detach(), grads, dict(each.net.named_buffers()), [names[module] for module in each.called.modules]))
    (one, other) = found
    return (
        torch.equal(one[0], other[0])
        and all(same(one[1][name], other[1][name]) for name in one[1] | other[1])
        and all(torch.equal(one[2][name], other[2][name]) for name in one[2] | other[2])
        and one[3] == other[3]
    )


def same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


def test_what_is_changed_is_seen() -> None:
    """The comparison itself can fail: each of these changes is named."""
    for change, named in CHANGES.items():
        net = drawn(("residual", "attended")).net
        before = state(net)
        change(net)
        assert named in differences(before, state(net))


def _step(net: torch.nn.Module) -> None:
    net(torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))


CHANGES: dict[Callable[[torch.nn.Module], object], str] = {
    lambda net: net.blocks[0].eval() if net.blocks[0].training else net.blocks[0].train(): "blocks.0_residual",
    lambda net: net.head.register_forward_hook(lambda *_: None): "head",
    lambda net: net.head.register_forward_pre_hook(lambda *_: None, with_kwargs=True): "head",
    lambda net: net.stem.weight.requires_grad_(not net.stem.weight.requires_grad): "parameter stem.weight",
    lambda net: setattr(net.stem.weight, "grad", torch.ones_like(net.stem.weight)): "parameter stem.weight",
    lambda net: net.stem.weight.data.add_(1e-6): "parameter stem.weight",
    lambda net: setattr(net.stem.weight, "data", net.stem.weight.data.clone()): "parameter stem.weight",
    lambda net: net.train() and _step(net): "buffer blocks.0_residual.bn.running_mean",
    lambda net: setattr(net.act, "inplace", False): "act",
    lambda net: net.register_buffer("more", torch.zeros(1)): "buffer more",
}
