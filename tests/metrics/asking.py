"""Networks, methods and evidence small enough to be computed by hand, for the tests of metrics that ask a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from interp.core.method import Family, Heatmap, Method, Place
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.images import Preprocess
from interp.metrics.evidence import Evidence, Metric


class LinearNet(nn.Module):
    """Logit k is the sum over all pixels and channels of ``weights[k] * x``."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.flat = nn.Flatten()
        self.fc = nn.Linear(weights[0].numel(), len(weights), bias=False)
        self.fc.weight.data = weights.flatten(1).clone()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.flat(x))
        return logits


def linear(weights: Tensor) -> Model:
    """Of weights (classes, channels, rows, cols); it normalizes nothing, so that its baseline ``MEAN`` is black."""
    channels, rows, cols = weights.shape[1:]
    plain = Preprocess(size=(rows, cols), resize=rows, mean=(0.0,) * channels, std=(1.0,) * channels)
    return trace(LinearNet(weights), ModelSpec("linear"), plain)


def convnet(size: int = 16) -> Model:
    """Two convolutions and four classes, normalized as ImageNet is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        convs = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()]
        net = nn.Sequential(*convs, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4))
        net[-1].weight.data *= 8  # so that the probabilities differ
    return trace(net, ModelSpec("convnet"), Preprocess(size=(size, size), resize=size))


@dataclass(frozen=True)
class Gradient:
    """The sum over channels of the score's gradient."""

    name: ClassVar[str] = "gradient"
    title: ClassVar[str] = "Gradient"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.GRADIENT
    source: ClassVar[str] = "a test"

    def __call__(self, model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
        x = images.detach().clone().requires_grad_()
        score = sum(row[unit.channel] for row, unit in zip(model(x), units, strict=True))
        (slopes,) = torch.autograd.grad(score, x)
        return heatmaps(slopes.sum(1).numpy(), units)


def heatmaps(maps: np.ndarray, units: Sequence[Unit]) -> list[Heatmap]:
    return [Heatmap(values.astype(np.float32), unit, "Given") for values, unit in zip(maps, units, strict=True)]


def noise(count: int, size: int = 16, channels: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


def given(model: Model, images: Tensor, maps: np.ndarray, units: Sequence[Unit] | None = None, method: Method | None = None) -> Evidence:
    """Evidence of these maps, for the classes 0, 1, ... unless units are given."""
    units = units or [Unit(model.output, i % model.classes) for i in range(len(images))]
    return Evidence(model, images, tuple(units), tuple(heatmaps(maps, units)), method or Gradient())


def distinct(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """Maps without ties: a shuffle of whole numbers, half of them negative."""
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(size * size).reshape(size, size) - size * size // 2 for _ in range(count)]).astype(np.float32)


def check_each_sample_stands_alone(metric: Metric, evidence: Evidence) -> None:
    """A sample's value is the same beside others, whatever these are, and in batches of any size."""
    together = metric(evidence)
    assert together.shape == (len(evidence.images),)
    assert np.isfinite(together).all()
    assert len(np.unique(together)) > 1
    for i, value in enumerate(together):
        part = replace(evidence, images=evidence.images[[i]], units=evidence.units[i : i + 1], heatmaps=evidence.heatmaps[i : i + 1])
        np.testing.assert_allclose(metric(part), [value], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(replace(metric, batch_size=3)(evidence), together, rtol=1e-4, atol=1e-6)  # type: ignore[type-var]
    np.testing.assert_array_equal(metric(evidence), together)


def check_a_map_that_tells_nothing_is_nan(metric: Metric, evidence: Evidence) -> None:
    """NaN for a map that is not finite, zero or constant, for that sample alone, and for all where no map tells anything."""
    broken = evidence.heatmaps[1].values.copy()
    broken[0, 0] = np.nan
    rest = metric(evidence)
    rest[1] = np.nan
    for values in (
        broken,
        np.full_like(broken, np.inf),
        np.zeros_like(broken),
        np.full_like(broken, 0.1),
        np.full((3, 3), -0.1, np.float32),
    ):
        spoilt = replace(evidence.heatmaps[1], values=values)
        found = metric(replace(evidence, heatmaps=(evidence.heatmaps[0], spoilt, *evidence.heatmaps[2:])))
        np.testing.assert_allclose(found, rest, rtol=1e-4, atol=1e-6)
        assert np.isnan(metric(replace(evidence, heatmaps=(spoilt,) * len(evidence.images)))).all()


@contextmanager
def untouched(model: Model, images: Tensor) -> Iterator[None]:
    """Weights, modes, flags, hooks, images and both global generators are afterwards as they were before."""
    before, pixels = _state(model), images.clone()
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  the global one is what is watched
    model.module.train()
    yield
    assert all(module.training for module in model.module.modules())
    model.module.eval()
    assert _state(model) == before
    assert torch.equal(images, pixels)
    assert images.grad is None
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def _state(model: Model) -> list[object]:
    values = {name: value.tolist() for name, value in model.module.state_dict().items()}
    flags = [(p.requires_grad, p.grad is None) for p in model.module.parameters()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.module.modules()]
    return [values, flags, hooks]


class Watched:
    """A score that remembers the size of each batch it was given: what bounds the memory."""

    def __init__(self, score: Callable[[Tensor, Sequence[int]], np.ndarray]) -> None:
        self.score = score
        self.sizes: list[int] = []

    def __call__(self, images: Tensor, samples: Sequence[int]) -> np.ndarray:
        self.sizes.append(len(images))
        return self.score(images, samples)


def total(images: Tensor, samples: Sequence[int]) -> np.ndarray:
    """The sum of all values."""
    return images.double().sum((1, 2, 3)).numpy()
