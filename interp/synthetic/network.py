"""A small residual network for drawn shapes, made so that every attribution method runs on it.

Each ReLU is a module of its own, used once and not in place (DeepLift, LRP and guided backprop need that), and Captum's
LRP has a rule for each module; the maps stay 8 x 8 at 64 px up to global average pooling (CAMs need that).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp.core.model import Model, ModelSpec
from interp.core.rng import generator
from interp.core.trace import model as trace
from interp.errors import BadFile
from interp.images import Preprocess
from interp.synthetic.options import ShapeOptions

WIDTHS = (16, 32, 64)


class ShapeNet(nn.Module):
    """(N, 3, rows, cols), normalized -> logits (N, classes).

    Strides 2, 4, 8: at 64 px the maps of stem and stages have 32, 16 and 8 rows.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.stem = ConvUnit(3, widths[0], stride=2)
        # A block at the stem's size would cost as much as all the others: there are none.
        self.stage1 = nn.Sequential(ConvUnit(widths[0], widths[1], stride=2), Block(widths[1]))
        self.stage2 = nn.Sequential(ConvUnit(widths[1], widths[2], stride=2), Block(widths[2]))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, images: Float[Tensor, "n 3 rows cols"]) -> Float[Tensor, "n classes"]:
        logits: Tensor = self.fc(self.pool(self.stage2(self.stage1(self.stem(images)))).flatten(1))
        return logits


class ConvUnit(nn.Module):
    """Convolution 3 x 3, batch normalization, ReLU."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n d rows2 cols2"]:
        y: Tensor = self.relu(self.bn(self.conv(x)))
        return y


class Block(nn.Module):
    """Two convolutions, and around them the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()

    def forward(self, x: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n c rows cols"]:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(x + y)
        return out


def untrained(options: ShapeOptions, seed: int = 0, widths: tuple[int, int, int] = WIDTHS) -> ShapeNet:
    """The network with weights drawn from ``seed``; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "weights").initial_seed())
        return ShapeNet(len(options.classes), widths)


def model_of(net: nn.Module, options: ShapeOptions) -> Model:
    """``net`` in eval mode, traced, with the names of the classes."""
    net.eval()
    preprocess = Preprocess(options.size, min(options.size), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return trace(net, ModelSpec("shapes", "trained on drawn shapes", digest(net), options.names), preprocess)


def digest(net: nn.Module) -> str:
    """SHA-256 of names, types, shapes and values of all weights and statistics."""
    sha = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        values = np.ascontiguousarray(tensor.detach().cpu().numpy())
        sha.update(f"{name} {values.dtype} {values.shape}\n".encode())
        sha.update(values.tobytes())
    return sha.hexdigest()


def weights(model: Model) -> dict[str, np.ndarray]:
    """All weights and statistics of a model as arrays by name, fit for a run's record; copies."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in model.module.state_dict().items()}


def restored(arrays: Mapping[str, np.ndarray], options: ShapeOptions) -> Model:
    """The model whose `weights` these are. Raises BadFile where they do not fit a network for these classes."""
    try:
        first, second, third = (len(arrays[f"{unit}.bn.weight"]) for unit in ("stem", "stage1.0", "stage2.0"))
        net = untrained(options, widths=(first, second, third))
        net.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in arrays.items()})
    except (KeyError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise BadFile(f"these {len(arrays)} arrays are not the weights of a network for {len(options.classes)} shapes: {reason}") from None
    return model_of(net, options)
