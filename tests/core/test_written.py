"""Networks whose forward writes into themselves: counters, caches, running means, modes; afterwards all is as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interp.attribution import Saliency, gradcam
from interp.core.capture import quiet
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, visualize
from interp.images import Preprocess
from interp.zoo.loading import load


class Writing(nn.Module):
    """Counts its calls in place and out of place, keeps what it saw, sets a BatchNorm to train, registers and deletes."""

    def __init__(self, returns: Callable[[Tensor], Any] = lambda scores: scores) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 3)
        self.returns = returns
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("unset", None)
        self.kept: dict[str, int] = {}
        self.goes = "here"

    def forward(self, images: Tensor) -> Any:
        self.steps += 1
        self.calls = self.calls + 1
        self.calls.data.add_(1)
        self.unset = torch.ones(1)
        self.register_buffer("cache", images.mean(0))
        self.last, self.cached = images, len(images)
        if hasattr(self, "goes"):
            del self.goes
        self.norm.train()
        self.kept["calls"] = self.kept.get("calls", 0) + 1
        return self.returns(self.fc(self.norm(self.conv(images)).relu().mean((2, 3))))


SMALL = Preprocess(size=(8, 8), resize=8)


def images() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def state(net: nn.Module) -> tuple[dict[str, Any], ...]:
    """Every buffer and attribute by its identity, the bits of the buffers, and by how often they were written to."""
    attributes = {f"{name}.{key}": id(value) for name, module in net.named_modules() for key, value in vars(module).items()}
    buffers = {name: (id(tensor), tensor._version, tensor.tolist()) for name, tensor in net.named_buffers()}
    return attributes, buffers, {"training": [m.training for m in net.modules()]}


MISSIONS: dict[str, Callable[[Model], object]] = {
    "scores": lambda model: model(images()),
    "Grad-CAM": lambda model: gradcam.of(model, images(), [Unit("fc", 0)] * 2, ["conv"]),
    "saliency": lambda model: Saliency()(model, images(), [Unit("fc", 0)] * 2),
    "visualize": lambda model: visualize(model, [Unit("conv", 1)], AscentConfig(steps=2, size=(8, 8)), seed=0),
}


@pytest.mark.parametrize("mission", MISSIONS)
def test_what_a_forward_writes_comes_back(mission: str) -> None:
    net = Writing().train()
    before = state(net)
    model = load(net, preprocess=SMALL)
    assert net.kept["calls"] > 0  # what is inside of an object does not come back
    MISSIONS[mission](model)
    assert state(net) == before


def test_of_a_network_that_is_read_by_its_output_too() -> None:
    net = Writing(lambda scores: {"scores": scores})
    before = state(net)
    model = load(net, preprocess=SMALL, output="scores")
    model(images())
    assert state(net) == before


def test_after_an_error_too() -> None:
    net = Writing(lambda scores: scores.nonsense)
    before = state(net)
    with quiet(net), pytest.raises(AttributeError, match="nonsense"):
        net(images())
    assert state(net) == before


class Scaled(nn.Module):
    """The score is the images' sum times a buffer that the forward raises to 2 first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.factor += 1
        return (x * self.factor).sum()


def test_gradients_are_those_of_the_values_that_were_used() -> None:
    net, x = Scaled(), torch.ones(3, requires_grad=True)
    with quiet(net):
        score = net(x)
    score.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    assert float(net.factor) == 1


def test_a_callers_inference_mode_leaves_no_tensor_that_a_graph_cannot_hold() -> None:
    net, x = Scaled(), torch.ones(3, requires_grad=True)
    with torch.inference_mode(), quiet(net), torch.inference_mode(False):
        net(x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


class Shared(nn.Module):
    """One buffer in two modules, which stays one."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Module(), nn.Module()
        self.one.register_buffer("both", torch.zeros(()))
        self.other.register_buffer("both", self.one.both)

    def forward(self, x: Tensor) -> Tensor:
        self.one.both += 1
        return x * self.other.both


def test_a_shared_buffer_is_shared_inside_too() -> None:
    net = Shared()
    with quiet(net):
        assert float(net(torch.ones(()))) == 1
    assert net.one.both is net.other.both
    assert float(net.one.both) == 0


class Building(nn.Module):
    """Makes its layer in the first forward, and remembers that it did."""

    def __init__(self) -> None:
        super().__init__()
        self.built = False
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.built:
            self.fc, self.built = nn.Linear(x.shape[1], 2), True
            self.register_buffer("size", torch.tensor(x.shape[1]))
        self.steps += 1
        scores: Tensor = self.fc(x)
        return scores


def test_a_network_that_builds_itself_stays_built() -> None:
    net = Building()
    steps = net.steps
    with quiet(net):
        first = net(torch.ones(1, 3))
    assert net.steps is steps
    assert (net.built, int(net.size), float(net.steps)) == (True, 3, 0)
    with quiet(net):
        assert torch.equal(net(torch.ones(1, 3)), first)
