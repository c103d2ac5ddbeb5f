"""The way out of silence: which gradients pass a ReLU, by hand, and that no network but the one asked is changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from interp.featurevis.escape import escaping


def through(relu: nn.Module, x: list[list[float]], upstream: list[list[float]]) -> list[list[float]]:
    inputs = torch.tensor(x, requires_grad=True)
    with escaping(nn.Sequential(relu)):
        (gradient,) = torch.autograd.grad(relu(inputs), inputs, grad_outputs=torch.tensor(upstream))
    return gradient.tolist()


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()], ids=str)
def test_gradients_by_hand(relu: nn.Module) -> None:
    x = [[-1.0, 2.0, -3.0], [-1.0, -2.0, -3.0]]
    upstream = [[5.0, 7.0, -1.0], [5.0, -7.0, 0.0]]
    if getattr(relu, "inplace", False):
        # In place on a leaf is refused by autograd for the plain module; redirected, it is not in place.
        assert through(relu, x, upstream)[1] == [5.0, 0.0, 0.0]
    # First image: one gradient passes by itself, so nothing is redirected. Second: all would stop; what pushes up passes.
    assert through(relu, x, upstream) == [[0.0, 7.0, 0.0], [5.0, 0.0, 0.0]]


def test_a_ceiling_is_left_downwards_only() -> None:
    assert through(nn.ReLU6(), [[7.0, 8.0]], [[-1.0, 1.0]]) == [[-1.0, 0.0]]


def test_values_are_those_of_the_relu() -> None:
    x = torch.linspace(-9, 9, 37)
    for relu in (nn.ReLU(), nn.ReLU6()):
        expected = relu(x)
        with escaping(nn.Sequential(relu)):
            assert torch.equal(relu(x), expected)


def test_not_masked_already() -> None:
    """A redirect behind the ReLU's own backward would find only zeros: here something arrives."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.fill_(-10.0)
    image = torch.zeros(1, 1, 2, 2, requires_grad=True)
    assert not torch.autograd.grad(net(image).sum(), image)[0].any()
    with escaping(net):
        assert torch.autograd.grad(net(image).sum(), image)[0].eq(1).all()


def test_only_while_inside_and_only_there() -> None:
    net, other = nn.Sequential(nn.ReLU(), nn.LeakyReLU()), nn.ReLU()

    def fail() -> None:
        with escaping(net):
            assert "forward" in vars(net[0])
            assert "forward" not in vars(other)
            assert "forward" not in vars(net[1])
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fail()
    assert "forward" not in vars(net[0])
