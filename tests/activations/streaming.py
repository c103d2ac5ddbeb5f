"""What the tests of a pass over a data set share: small networks, pictures in memory, and brute force over all maps at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from interp import activations
from interp.activations.stream import ScanConfig, scan
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.datasets import DataSet
from interp.errors import BadFile
from interp.images import Photo, Preprocess

SIDE = 12


class InMemory(DataSet):
    """8-bit RGB pictures by number; those whose pixels are None cannot be read."""

    def __init__(self, pixels: Sequence[np.ndarray | None], labels: Sequence[str | None] = ()) -> None:
        self.pixels, self._labels = list(pixels), list(labels)

    @property
    def title(self) -> str:
        return "memory"

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, index: int) -> str:
        return f"{index}.png"

    def label(self, index: int) -> str | None:
        return self._labels[index] if self._labels else None

    def photo(self, index: int) -> Photo:
        pixels = self.pixels[index]
        if pixels is None:
            raise BadFile(f"'{index}.png' is damaged")
        return Photo(self.name(index), pixels, hashlib.sha256(pixels.tobytes()).hexdigest(), pixels.nbytes)


def pictures(count: int, seed: int = 0) -> list[np.ndarray | None]:
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(count)]


class Small(nn.Module):
    """Two convolutions, an in-place ReLU that is used twice, a dead channel, a Linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 5, 3, stride=2)
        self.fc = nn.Linear(5, 4)
        with torch.no_grad():
            self.conv2.weight[3] = 0
            self.conv2.bias[3] = -1.0

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


LAYERS = ("conv1", "relu", "conv2", "fc")


def small(module: nn.Module | None = None) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = Small() if module is None else module
    return trace(net, ModelSpec("small"), Preprocess(size=(SIDE, SIDE), resize=SIDE))


def maps_of(model: Model, data: InMemory, layers: Sequence[str] = LAYERS) -> Mapping[str, np.ndarray]:
    """The maps of all pictures that can be read, at once."""
    good = [data.photo(k) for k in range(len(data)) if data.pixels[k] is not None]
    found = activations.of(model, model.preprocess(good), list(layers))
    return {name: value.maps for name, value in found.items()}


def passed(model: Model, data: DataSet, layers: Sequence[str] = LAYERS, **options: object):  # type: ignore[no-untyped-def]
    return scan(model, data, list(layers), ScanConfig(**options))  # type: ignore[arg-type]
