"""A tiny network in training with a recorder, in this process or in one of its own, for the tests of the live page."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interp.watching import Detail, Recorder, watch

STEPS = 10
"""A record is made every so many."""


class Tiny(nn.Module):
    """(n, 1, 8, 8) -> (n, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def tiny() -> Tiny:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tiny()


def begun(folder: Path, network: nn.Module, *, resume: bool = False, start: int | None = None) -> Recorder:
    """A recorder without a budget, of two probes, the first layers' weights and two units."""
    probes = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return watch(
        network,
        folder,
        probes,
        every=STEPS,
        budget=None,
        kernels=["conv1", "conv2"],
        activations=["conv1"],
        gradcam=["conv2"],
        units=["conv1:0-1"],
        resume=resume,
        start=start,
        detail=Detail(channels=2, steps=1, tested=0),
    )


def train(network: nn.Module, recorder: Recorder, steps: int, pause: float = 0.0) -> None:
    """SGD on noise up to step ``steps``."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    draws = torch.Generator().manual_seed(2)
    while recorder.last_step < steps:
        images = torch.rand(8, 1, 8, 8, generator=draws)
        loss = F.cross_entropy(network(images), torch.randint(3, (8,), generator=draws))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.step(loss=loss.item())
        time.sleep(pause)


def recorded(folder: Path, steps: int = 3 * STEPS, *, close: bool = True) -> Recorder:
    """A recording of so many steps."""
    network = tiny()
    recorder = begun(folder, network)
    train(network, recorder, steps)
    if close:
        recorder.close()
    return recorder


def in_a_process(folder: Path, steps: int, pause: float, start: int | None = None) -> subprocess.Popen[str]:
    """The same in a process of its own, which goes on from ``start`` where that is given."""
    words = [sys.executable, str(Path(__file__)), str(folder), str(steps), str(pause), *([] if start is None else [str(start)])]
    return subprocess.Popen(words, text=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained = tiny()
    given = int(sys.argv[4]) if len(sys.argv) > 4 else None
    running = begun(Path(sys.argv[1]), trained, resume=given is not None, start=given)
    train(trained, running, int(sys.argv[2]), float(sys.argv[3]))
    running.close()
