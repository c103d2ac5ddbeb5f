"""Capture: what the layer gave, and nothing left behind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interp.core.capture import hooked, quiet, record
from interp.core.model import Model
from interp.errors import UnknownName


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Nothing of ``module`` differs after the block: weights, buffers, modes, flags, gradients, hooks."""

    def state() -> dict[str, Any]:
        return {
            "values": {k: v.clone() for k, v in module.state_dict().items()},
            "modes": [m.training for m in module.modules()],
            "flags": [p.requires_grad for p in module.parameters()],
            "grads": [None if p.grad is None else p.grad.clone() for p in module.parameters()],
            "hooks": [(list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks)) for m in module.modules()],
        }

    before = state()
    yield
    after = state()
    assert all(torch.equal(before["values"][k], after["values"][k]) for k in before["values"])
    for a, b in zip(before.pop("grads"), after.pop("grads"), strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    before.pop("values"), after.pop("values")
    assert before == after


@pytest.fixture
def lived_in(trap_net: nn.Module) -> nn.Module:
    """Training mode in parts, one frozen parameter, gradients from an earlier step."""
    trap_net.train()
    trap_net.get_submodule("conv2").eval()
    trap_net.get_parameter("conv1.bias").requires_grad_(False)
    trap_net(torch.rand(2, 3, 12, 12)).sum().backward()
    return trap_net


def test_values_before_an_inplace_relu(trap_model: Model, images: Tensor) -> None:
    outputs, result = trap_model.capture(["conv1", "bn", "conv2"], images)
    net = copy.deepcopy(trap_model.module).eval()
    conv1 = net.conv1(trap_model.normalized(images))
    bn = net.bn(conv1)
    assert torch.equal(outputs["conv1"], conv1)
    assert torch.equal(outputs["bn"], bn)
    assert outputs["bn"].min() < 0
    assert torch.equal(outputs["conv2"], net.conv2(bn.clone().relu()))
    assert torch.equal(result, net(trap_model.normalized(images)))


def test_of_a_module_called_twice_the_last_call_is_kept(trap_model: Model, images: Tensor) -> None:
    outputs, _ = trap_model.capture(["conv2", "relu"], images)
    assert torch.equal(outputs["relu"], outputs["conv2"].relu())


def test_nothing_is_left_behind(trap_model: Model, lived_in: nn.Module, images: Tensor) -> None:
    with unchanged(lived_in):
        trap_model.capture(["conv1", "relu", "fc"], images)
        trap_model.capture(["conv1"], images, truncate=True)
        outputs, result = trap_model.capture(["conv1", "bn"], images, gradients=True)
        assert result is not None
        torch.autograd.grad(result[:, 0].sum(), list(outputs.values()))
        trap_model(images)


def test_nothing_is_left_behind_when_the_forward_raises(trap_model: Model, lived_in: nn.Module, images: Tensor) -> None:
    with unchanged(lived_in), hooked({"pair": lived_in.get_submodule("pair")}, _explode), pytest.raises(ZeroDivisionError):
        trap_model.capture(["conv1", "fc"], images)
    assert not any(m._forward_hooks for m in lived_in.modules())


def _explode(_name: str, _output: Any) -> None:
    raise ZeroDivisionError


def test_quiet_inside_and_as_before_outside(lived_in: nn.Module) -> None:
    with unchanged(lived_in), quiet(lived_in):
        assert not any(m.training for m in lived_in.modules())
        assert not any(p.requires_grad for p in lived_in.parameters())


def test_the_users_own_hooks_survive_and_still_fire(trap_model: Model, images: Tensor) -> None:
    seen: list[int] = []
    handle = trap_model.module.get_submodule("conv1").register_forward_hook(lambda *_: seen.append(1))
    trap_model.capture(["conv1"], images)
    trap_model(images)
    assert len(seen) == 2
    handle.remove()


def test_truncation_runs_nothing_behind(trap_model: Model, images: Tensor) -> None:
    ran: list[str] = []
    names = ("conv1", "bn", "relu", "conv2", "fc")
    with hooked({n: trap_model.module.get_submodule(n) for n in names}, lambda name, _: ran.append(name)):
        outputs, result = trap_model.capture(["conv2", "bn"], images, truncate=True)
    assert result is None
    assert list(outputs) == ["bn", "conv2"]
    assert ran == ["conv1", "bn", "relu", "conv2"]


def test_truncation_waits_for_the_last_call(trap_model: Model, images: Tensor) -> None:
    whole, _ = trap_model.capture(["relu"], images)
    cut, _ = trap_model.capture(["relu"], images, truncate=True)
    assert torch.equal(whole["relu"], cut["relu"])


def test_gradients_at_layers_are_those_of_autograd(trap_model: Model, images: Tensor) -> None:
    outputs, result = trap_model.capture(["conv2", "pair"], images, gradients=True)
    assert result is not None
    at_conv2, at_pair = torch.autograd.grad(result[:, 1].sum(), [outputs["conv2"], outputs["pair"]])
    weight = trap_model.module.get_parameter("fc.weight")[1]
    # fc(mean(x) + mean(x + 1)): each place weighs 2 w / 25; pair doubles; ReLU lets the positive through.
    expected = (2 * weight / 25)[None, :, None, None].expand_as(at_pair)
    assert torch.allclose(at_pair, expected, atol=1e-7)
    assert torch.allclose(at_conv2, 2 * expected * (outputs["conv2"] > 0), atol=1e-7)


def test_no_graph_is_kept_without_gradients(trap_model: Model, images: Tensor) -> None:
    outputs, result = trap_model.capture(["conv1"], images)
    assert not outputs["conv1"].requires_grad
    assert result is not None
    assert not result.requires_grad


def test_the_model_is_differentiable_in_its_images(trap_model: Model, images: Tensor) -> None:
    images = images.requires_grad_()
    trap_model(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_unknown_layers_are_refused_before_the_forward(trap_model: Model, images: Tensor) -> None:
    with pytest.raises(UnknownName, match=r"no layer 'conv3' in 'TrapNet': did you mean 'conv2' or 'conv1'\?"):
        trap_model.capture(["conv3"], images)


def test_record_of_a_bare_module() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    x = torch.randn(4, 2)
    outputs, _ = record(net, lambda: net(x), {"0": 1})
    assert torch.equal(outputs["0"], net[0](x).detach())
