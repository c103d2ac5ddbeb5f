"""Small networks, traced, with weights that tests choose."""

from collections.abc import Callable, Iterator

import pytest
import torch
from jaxtyping import config
from torch import nn
from torchvision import models

from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.images import Preprocess


@pytest.fixture
def traced() -> Callable[..., Model]:
    def make(module: nn.Module, size: int = 64) -> Model:
        return trace(module, ModelSpec(type(module).__name__.lower()), Preprocess(size=(size, size), resize=size))

    return make


@pytest.fixture(scope="session")
def resnet() -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return trace(models.resnet18(), ModelSpec("resnet18"), Preprocess(size=(64, 64), resize=64))


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without the tests' own run-time type check, which users do not have: what they see is interp's message."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
