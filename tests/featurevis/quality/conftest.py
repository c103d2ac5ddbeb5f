"""Models, objectives and images whose quality is known in closed form."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.featurevis.feature import Feature
from interp.featurevis.objective import Activations, Objective
from interp.images import Photo, Preprocess

WEIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, -1.0], [0.0, 0.0, 0.0], [-1.0, -1.0, -1.0]], np.float32)
BIAS = np.array([0.0, 0.5, 0.25, -0.5], np.float32)
PLAIN = Preprocess(size=(32, 32), resize=32, mean=(0.0,) * 3, std=(1.0,) * 3)
CLASSES = ("red, ruddy", "green", "nothing", "dark")


def linear(classes: tuple[str, ...] = CLASSES, size: int = 32) -> Model:
    """Channel c of every layer has the mean WEIGHT[c] @ mean colour + BIAS[c]; nothing is normalized."""
    conv = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(WEIGHT)[..., None, None])
        conv.bias.copy_(torch.from_numpy(BIAS))  # type: ignore[union-attr]
    module = nn.Sequential(OrderedDict(conv=conv, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten()))
    return trace(module, ModelSpec("linear", classes=classes), replace(PLAIN, size=(size, size), resize=size))


def expected(channel: int, images: np.ndarray) -> np.ndarray:
    """What the linear model's channel gives for images (..., h, w, 3)."""
    value: np.ndarray = images.astype(np.float64).mean((-3, -2)) @ WEIGHT[channel] + BIAS[channel]
    return value


@pytest.fixture
def linear_model() -> Model:
    return linear()


@dataclass(frozen=True)
class Apart(Objective):
    """Of two images: how much more of a channel each has than the other."""

    unit: Unit

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.unit.layer,)

    @property
    def images(self) -> int:
        return 2

    def __call__(self, activations: Activations) -> Tensor:
        means = activations[self.unit.layer][:, self.unit.channel].mean((1, 2))
        return means - means.flip(0)


@dataclass(frozen=True)
class Undefined(Objective):
    """NaN for every image."""

    @property
    def layers(self) -> tuple[str, ...]:
        return ("conv",)

    def __call__(self, activations: Activations) -> Tensor:
        return activations["conv"][:, 0].mean((1, 2)) * float("nan")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def flat(*colour: float, size: int = 32) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.float32), (size, size, 3)).copy()


def feature(image: np.ndarray, unit: Unit | str = Unit("conv", 0), dead: bool = False) -> Feature:  # noqa: B008 - a value
    return Feature(unit, image.astype(np.float32), np.zeros(1, np.float32), 0.0, dead)


def photo(name: str, pixels: np.ndarray) -> Photo:
    return Photo(name, pixels.astype(np.uint8), "")


def flat_photos() -> list[Photo]:
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)}
    return [photo(name, np.broadcast_to(np.array(c), (48, 40, 3))) for name, c in colours.items()]
