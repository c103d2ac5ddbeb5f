"""What many tests share: the assets, networks by name, one small network with every trap in it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model
from interp.images import Preprocess
from interp.zoo.loading import load


def pytest_configure(config: pytest.Config) -> None:
    """Workers share the cores, of which torch would take all in each of them; and Ctrl-C is heard, also by a job in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which processes that tests start would inherit
        signal.signal(signal.SIGINT, signal.default_int_handler)
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    if workers > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by playwright, which asks nothing of any network by itself."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield opened
        opened.close()


class TrapNet(nn.Module):
    """In-place ReLU used twice, BatchNorm, a tuple output, a module that never fires; (N, 3, 12, 12) -> (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 5, 3, stride=2)
        self.pair = Pair()
        self.both = Both()
        self.unused = nn.Conv2d(5, 5, 1)
        self.fc = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv1(x)))
        x = self.relu(self.conv2(x))
        x, _ = self.pair(x)
        x, y = self.both(x)
        logits: Tensor = self.fc((x + y).mean((2, 3)))
        return logits


class Pair(nn.Module):
    """One tensor and None, as nn.MultiheadAttention(need_weights=False) gives."""

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return x * 2, None


class Both(nn.Module):
    """Two tensors: none of them is the output."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x + 1


@pytest.fixture(autouse=True)
def _the_same_draws_alone_and_among_others() -> Iterator[None]:
    """Networks that a test builds have weights from torch's global generator: the same whichever tests ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def trap_net() -> TrapNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TrapNet()


@pytest.fixture
def trap_model(trap_net: TrapNet) -> Model:
    return load(trap_net, preprocess=Preprocess(size=(12, 12), resize=12), classes=["ant", "bee", "cat", "bee"])


@cache
def _network(name: str) -> Model:
    return load(name, random_weights=True)


@pytest.fixture(scope="session")
def network() -> Callable[[str], Model]:
    """Networks by reference with random weights, each made once."""
    return _network


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with pretrained weights and photographs; tests that need it are skipped where there is none."""
    folder = os.environ.get("INTERP_ASSETS")
    if not folder:
        pytest.skip("needs the test assets: set INTERP_ASSETS to their folder")
    return Path(folder)
