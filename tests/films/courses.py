"""Trainings made by hand, and a small real one, for the tests of films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor, nn

from interp.films import Curve, Timeline
from interp.watching import Detail, watch

DETAIL = Detail(channels=2, side=8, steps=1, tested=4)


class Digits(nn.Module):
    """(n, 1, 8, 8) -> (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(self.relu(self.conv1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


SOURCE = """
import torch.nn as nn
import torch.nn.functional as F


class Digits(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, 8, 3)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(F.relu(self.conv2(self.relu(self.conv1(x)))).mean((2, 3)))


def factory():
    return Digits()


preprocess = {"size": (8, 8), "resize": 8, "mean": (0.0,), "std": (1.0,)}
"""


def trained(folder: Path, steps: int = 40, every: int = 10, *, close: bool = True, units: Sequence[str] = ()) -> Digits:
    """A recording of so many steps on scikit-learn's digits, with images of ``units``; the network at the end."""
    data = load_digits()
    images, labels = torch.tensor(data.images / 16, dtype=torch.float32)[:, None], torch.tensor(data.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Digits()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.3, momentum=0.9)
        kept: dict[str, Any] = {"kernels": ["conv1", "conv2"], "detail": DETAIL, "units": units}
        recorder = watch(network, folder, images[:2], every=every, budget=None, **kept)
        for step in range(steps):
            batch = slice(32 * step, 32 * step + 32)
            loss = F.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss.item())
        if close:
            recorder.close()
    return network


def timeline(weights: Float[np.ndarray, "moments out in rows cols"], layer: str = "conv1", *, coloured: bool = False) -> Timeline:
    """A training of one layer, at steps 0, 10, 20, ..."""
    moments = len(weights)
    steps = tuple(range(0, 10 * moments, 10))
    norms = np.sqrt(np.square(weights).sum(axis=(2, 3, 4))).mean(axis=1)
    return Timeline(
        "net",
        "step",
        steps,
        tuple(f"step {step}" for step in steps),
        {layer: weights},
        {layer: np.full(weights.shape[:2], np.nan)},
        frozenset([layer] if coloured else []),
        {layer: {"norm": Curve("norm", np.array(steps), norms.astype(np.float64))}},
    )
