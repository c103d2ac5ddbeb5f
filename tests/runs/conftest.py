"""A small finished run, made once per test that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from interp.runs import InputEntry, Machine, ModelEntry, Program, Run

MODEL = ModelEntry("resnet18", "torchvision IMAGENET1K_V1", "a" * 64, 11_689_512)


@dataclass(frozen=True)
class Config:
    layer: str = "layer4.1.conv2"
    steps: int = 256


@pytest.fixture
def start() -> Callable[[Path], Run]:
    """Begin a run in a folder, with everything but the folder given."""

    def begin(folder: Path) -> Run:
        return Run.create(
            folder,
            experiment="tour",
            program=Program("command", "tour"),
            machine=Machine("Linux x86_64", "a processor"),
            config=Config(),
            seed=7,
            model=MODEL,
            inputs=[InputEntry.of_bytes("cat.png", b"cat")],
            command=["/usr/bin/interp", "tour", "--out=/home/me/x y", "docs/cat.png"],
        )

    return begin


@pytest.fixture
def made(tmp_path: Path, start: Callable[[Path], Run]) -> Path:
    """A finished run with two files in folders, two arrays and metrics."""
    folder = tmp_path / "made"
    with start(folder) as run:
        run.write("figures/grid.png", b"\x89PNG picture")
        run.text("index.html", "<p>h\u00e9</p>\n")
        run.arrays({"maps": np.arange(12, dtype=np.float32).reshape(3, 4), "scale": np.array(2, dtype=np.int16)})
        run.metrics({"insertion": {"value": 0.61, "random": 0.48}})
    return folder
