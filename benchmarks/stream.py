"""How much more than a plain forward does one pass over a data set cost, how good are its quantiles, does its memory grow with the data?

Same pictures, same process, interleaved rounds, medians of CPU time; peak memory in a process of its own for each number of pictures.
Quantiles of a layer of large maps are of a sample: the share of all values that lie below each is compared with its level.

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
from interp.activations.stream.firing import forward
from interp.core.capture import quiet
from interp.core.model import Model
from interp.datasets import DataSet
from interp.images import Photo, Preprocess

_LAYER, _LEVELS = "layer1.0.conv1", (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


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
    model = zoo.load("resnet18", random_weights=True)
    data = Drawn(asked.images, 224, kept=True)
    _speed(model, data, asked.rounds, asked.batch, asked.threads)
    _quantiles(model, data, asked.batch)
    for count in asked.memory:
        again = [sys.executable, str(Path(__file__)), "--peak", str(count)]
        told = subprocess.run(again, capture_output=True, text=True, check=True).stdout.strip()
        print(f"{count:>6} pictures: peak memory {told} MB")


def _speed(model: Model, data: Drawn, rounds: int, batch: int, threads: int) -> None:
    layers = [layer.name for layer in model.layers if layer.kind == "Conv2d"]
    count = len(data)

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


def _quantiles(model: Model, data: Drawn, batch: int) -> None:
    """The error of the quantiles' ranks, root mean square over channels, beside the bound of its theory for independent draws."""
    found = scan(model, data, [_LAYER], ScanConfig(batch=batch, levels=_LEVELS)).layers[_LAYER]
    below = np.zeros(found.quantiles.shape)

    def count(name: str, maps: torch.Tensor) -> None:
        values = np.sort(maps.transpose(0, 1).flatten(1).numpy(), axis=1)
        for channel, row in enumerate(values):
            below[channel] += np.searchsorted(row, found.quantiles[channel].astype(np.float32))

    for start in range(0, len(data), batch):
        photos = [data.photo(index) for index in range(start, min(start + batch, len(data)))]
        forward(model, model.preprocess(photos), [_LAYER], count)
    errors = np.sqrt(np.square(below / found.values - _LEVELS).mean(0))
    bounds = np.sqrt(np.multiply(_LEVELS, np.subtract(1, _LEVELS)) / found.counted)
    print(f"{_LAYER}: quantiles of {found.counted:,} of {found.values:,} values of each of {found.channels} channels")
    for level, error, bound in zip(_LEVELS, errors, bounds, strict=True):
        print(f"  {100 * level:6.1f} %: off by {100 * error:.3f} % of the values, bound {100 * bound:.3f} %")


def _peak(count: int) -> int:
    """MB that a process takes at most while it passes over so many small pictures."""
    model: Model = zoo.load("embedded")
    model = Model(model.module, model.spec, Preprocess(size=(64, 64), resize=64), model.layers, model.output)
    scan(model, Drawn(count, 64, kept=False), [layer.name for layer in model.layers if layer.kind == "Conv2d"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
