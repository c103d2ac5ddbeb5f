"""How much more than a plain forward does one pass over a data set cost, and does its memory grow with the number of pictures?

Same pictures, same process, interleaved rounds, medians of CPU time; peak memory in a process of its own for each number of pictures.

    uv run python benchmarks/stream.py [--images 128] [--rounds 5] [--threads 1] [--memory 1000 10000]
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from timing import timed

from interp import zoo
from interp.activations.stream import ScanConfig, scan
from interp.core.capture import quiet
from interp.core.model import Model
from interp.datasets import DataSet
from interp.images import Photo, Preprocess


class Drawn(DataSet):
    """Pictures of smooth noise, drawn when they are asked for, so that none takes memory; ``kept`` ones are drawn once."""

    def __init__(self, count: int, side: int, kept: bool) -> None:
        self._count, self._side = count, side
        self._kept = [self._draw(index) for index in range(count)] if kept else None

    @property
    def title(self) -> str:
        return "drawn"

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return f"{index}.png"

    def label(self, index: int) -> str | None:
        return None

    def photo(self, index: int) -> Photo:
        return self._kept[index] if self._kept is not None else self._draw(index)

    def _draw(self, index: int) -> Photo:
        coarse = np.random.default_rng(index).integers(0, 256, (self._side // 8, self._side // 8, 3), dtype=np.uint8)
        pixels = np.ascontiguousarray(coarse.repeat(8, 0).repeat(8, 1))
        return Photo(str(index), pixels, hashlib.sha256(pixels.tobytes()).hexdigest())


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--images", type=int, default=128)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--batch", type=int, default=32)
    words.add_argument("--memory", type=int, nargs="*", default=[1000, 10_000])
    words.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    asked = words.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.peak is not None:
        print(_peak(asked.peak))
        return
    _speed(asked.images, asked.rounds, asked.batch, asked.threads)
    for count in asked.memory:
        again = [sys.executable, str(Path(__file__)), "--peak", str(count)]
        told = subprocess.run(again, capture_output=True, text=True, check=True).stdout.strip()
        print(f"{count:>6} pictures: peak memory {told} MB")


def _speed(count: int, rounds: int, batch: int, threads: int) -> None:
    model = zoo.load("resnet18", random_weights=True)
    layers = [layer.name for layer in model.layers if layer.kind == "Conv2d"]
    data = Drawn(count, 224, kept=True)

    def plain() -> None:
        with quiet(model.module), torch.no_grad():
            for start in range(0, count, batch):
                photos = [data.photo(index) for index in range(start, min(start + batch, count))]
                model.forward(model.preprocess(photos))

    seconds = timed({"plain": plain, "pass": lambda: scan(model, data, layers, ScanConfig(batch=batch))}, rounds, time.process_time)
    print(
        f"resnet18, {count} pictures, 224 px, {len(layers)} convolutions, batches of {batch}, {threads} threads, medians of {rounds} rounds"
    )
    for name, value in seconds.items():
        print(f"  {name:<6}{1000 * value / count:7.1f} ms a picture")
    print(f"  ratio {seconds['pass'] / seconds['plain']:.2f}")


def _peak(count: int) -> int:
    """MB that a process takes at most while it passes over so many small pictures."""
    model: Model = zoo.load("embedded")
    model = Model(model.module, model.spec, Preprocess(size=(64, 64), resize=64), model.layers, model.output)
    scan(model, Drawn(count, 64, kept=False), [layer.name for layer in model.layers if layer.kind == "Conv2d"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
