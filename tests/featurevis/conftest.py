"""Small models whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from interp.core.model import Model, ModelSpec
from interp.core.rng import generator
from interp.core.trace import model as trace
from interp.images import Preprocess


class SmallNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn(self.conv1(x)))
        x = self.relu2(self.conv2(x))
        scores: torch.Tensor = self.fc(self.pool(x).flatten(1))
        return scores


def traced(module: nn.Module) -> Model:
    return trace(module, ModelSpec("tiny"), Preprocess(size=(32, 32), resize=32))


def initialized(module: nn.Module) -> nn.Module:
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * (0.3 if parameter.ndim > 1 else 0.1))
    return module


@pytest.fixture
def cnn() -> Model:
    return traced(initialized(SmallNet()))


@pytest.fixture
def vit() -> Model:
    return traced(initialized(VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=10)))


def generators(count: int, seed: int = 0) -> Sequence[torch.Generator]:
    return [generator(seed, "test", i) for i in range(count)]
