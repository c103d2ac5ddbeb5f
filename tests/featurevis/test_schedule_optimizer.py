"""Schedules by hand, and optimizers against torch's own."""

from __future__ import annotations

import math

import pytest
import torch

from interp.errors import InterpError, Unsupported
from interp.featurevis.optimizer import Adam, Optimizer, Torch
from interp.featurevis.schedule import Cosine, Linear, check, ends, value


def test_schedules_by_hand() -> None:
    assert [value(Linear(1.0, 3.0), p) for p in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]
    assert value(0.25, 0.9) == 0.25
    assert [value(Cosine(2.0), p) for p in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 1.0, 0.0])
    assert value(Cosine(2.0, 1.0), 1 / 3) == pytest.approx(1 + (1 + math.cos(math.pi / 3)) / 2)
    warm = Cosine(2.0, 0.0, warmup=0.5)
    assert [value(warm, p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx([0.0, 1.0, 2.0, 1.0, 0.0])
    assert ends(Cosine(2.0, 1.0)) == (2.0, 1.0)
    assert ends(0.5) == (0.5, 0.5)


def test_schedules_refused() -> None:
    with pytest.raises(InterpError, match=r"`warmup` of Cosine is 1.0"):
        Cosine(1.0, warmup=1.0)
    for bad in (-1.0, float("nan"), Linear(0.0, -1.0), Cosine(float("inf"))):
        with pytest.raises(InterpError, match=r"`rate` is .*: give a number"):
            check(bad, "rate", "a number")
    with pytest.raises(InterpError, match=r"`rate` is 0.0"):
        check(0.0, "rate", "a positive number", positive=True)
    check(Linear(1.0, 0.0), "rate", "a positive number", positive=True)


def hill(tensor: torch.Tensor) -> torch.Tensor:
    return (-((tensor - 1) ** 2 + 1).sqrt() * torch.arange(1, 5)).sum()


def climb(optimizer: Optimizer, start: torch.Tensor, steps: int = 20) -> torch.Tensor:
    """Towards 1 from ``start``, up the gradient of a bell curve on a slope, whose size differs from number to number."""
    tensor = start.clone().requires_grad_()
    step = optimizer.begin([tensor])
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(hill(tensor), tensor)
        step([gradient], 0.05)
    return tensor.detach()


START = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)) * 2


def reference(name: str, **options: float) -> torch.Tensor:
    tensor = START.clone().requires_grad_()
    optimizer = getattr(torch.optim, name)([tensor], lr=0.05, maximize=True, **options)
    for _ in range(20):
        optimizer.zero_grad()
        hill(tensor).backward()
        optimizer.step()
    return tensor.detach()


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RMSprop", "SGD", "Adagrad", "AdamW", "RAdam", "Adamax"])
def test_torch_s_optimizers_are_torch_s(name: str) -> None:
    torch.testing.assert_close(climb(Torch(name), START), reference(name))


def test_options_reach_torch() -> None:
    torch.testing.assert_close(climb(Torch("SGD", (("momentum", 0.9),)), START), reference("SGD", momentum=0.9))
    assert not torch.allclose(climb(Torch("SGD"), START), reference("SGD", momentum=0.9))


def test_adam_is_torch_s_adam_up_to_its_floor() -> None:
    torch.testing.assert_close(climb(Adam(), START), reference("Adam"), rtol=0, atol=5e-3)


@pytest.mark.parametrize("optimizer", [Adam(), Torch("NAdam"), Torch("SGD"), Torch("Rprop")], ids=str)
def test_images_do_not_mix(optimizer: Optimizer) -> None:
    together = climb(optimizer, START)
    alone = torch.cat([climb(optimizer, START[k : k + 1]) for k in range(3)])
    assert torch.equal(together, alone)


def test_rounding_is_not_made_large() -> None:
    tensor = torch.zeros(1, 2, requires_grad=True)
    step = Adam().begin([tensor])
    step([torch.tensor([[1.0, 1e-9]])], 0.1)
    assert float(tensor[0, 0].detach()) == pytest.approx(0.1, rel=1e-2)
    assert abs(float(tensor[0, 1].detach())) < 1e-6


def test_refusals() -> None:
    with pytest.raises(InterpError, match=r"no optimizer 'Adamm' in torch.optim: did you mean"):
        Torch("Adamm")
    with pytest.raises(Unsupported, match=r"LBFGS needs more than the gradient of each number: use one of .*Adam"):
        Torch("LBFGS")
    with pytest.raises(InterpError, match=r"torch.optim.SGD does not take"):
        Torch("SGD", (("beta", 0.9),))
    with pytest.raises(InterpError, match=r"`beta1` of Adam is 1.0"):
        Adam(beta1=1.0)
