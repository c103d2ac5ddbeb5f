"""Small networks in training, a clock that is moved by hand, and a training loop, for the tests of the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.watching import Detail

SIZE, CLASSES = 12, 3
QUICK = Detail(channels=2, side=8, steps=2, tested=2)


class Net(nn.Module):
    """BatchNorm, dropout, an in-place ReLU, and noise of its own from NumPy's global generator in training mode."""

    def __init__(self, channels: int = 3, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, 4, 3)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv1(x)))
        x = F.relu(self.conv2(x)).mean((2, 3))
        if self.training:
            x = x + 0.1 * float(np.random.rand())  # noqa: NPY002 - what users do
        logits: Tensor = self.fc(self.drop(x))
        return logits


def net(seed: int = 0, **options: int) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(**options)


def probes(count: int = 2, channels: int = 3, size: int = SIZE) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(1))


@dataclass
class Clock:
    """Seconds that pass only when told to; ``tick`` of them at each look at the clock."""

    now: float = 0.0
    tick: float = 0.0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def train(network: nn.Module, steps: int, after_step: Callable[[int, float], None], channels: int = 3) -> list[float]:
    """SGD with momentum on random pictures, drawn from the global generator as a data loader would; the losses."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(steps):
        images, labels = torch.rand(8, channels, SIZE, SIZE), torch.randint(CLASSES, (8,))
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        after_step(step + 1, losses[-1])
    return losses


def hooks(network: nn.Module) -> int:
    """How many hooks there are on all modules and parameters."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    on_modules = sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)
    return on_modules + sum(len(parameter._backward_hooks or {}) for parameter in network.parameters())
