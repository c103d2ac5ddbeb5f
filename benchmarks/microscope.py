"""How many units does the microscope make in an hour? Optimized images with their measurements, on all cores or one GPU.

Of each layer as many chunks are made as there are workers, and the whole network is taken to go on at that speed; ``--whole`` builds the
site of the embedded network from nothing instead, and looks at the clock. Target: the whole embedded network (64 px, 256 steps, sample
photographs) within 20 minutes on 2 cores; on a GPU, all block outputs of resnet50 within one hour.
Run: python benchmarks/microscope.py [--networks embedded resnet18] [--layers GLOB ...] [--workers 2] [--whole]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from interp import parallel
from interp.microscope import About, Building, Data, Options, Recipe, build, layers_of
from interp.microscope.building import store_of
from interp.microscope.optimizing import Kind
from interp.parallel import Runner, Task
from interp.runs.entries import Program

# Of resnet18 three convolutions stand for all: the first, one in the middle, the last.
LAYERS = {"embedded": (), "resnet18": ("conv1", "layer2.0.conv1", "layer4.1.conv2")}
SIZES = {"embedded": 64}


@dataclass(frozen=True)
class Config:
    """What a manifest would record."""

    network: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["embedded", "resnet18"], help="others than embedded with random weights")
    parser.add_argument(
        "--layers", nargs="+", default=[], help="names or globs; every convolution and the classes, of resnet18 three layers"
    )
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--size", type=int, default=None, help="64 px for embedded, 128 for others, if not given")
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--workers", type=int, default=parallel.cores())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--whole", action="store_true", help="build the site of the embedded network from nothing")
    given = parser.parse_args()
    gpu = given.device != "cpu"
    runner: Runner = parallel.Here() if gpu or given.workers == 1 else parallel.Processes(given.workers)
    with runner, tempfile.TemporaryDirectory() as folder:
        print(f"{runner.workers} worker(s), one thread each; {given.steps} steps, chunks of {given.chunk}, torch {torch.__version__}")
        for network in ["embedded"] if given.whole else given.networks:
            building = of(network, given, Path(folder) / network)
            if given.whole:
                whole(building, runner)
            else:
                by_layer(building, runner)


def of(network: str, given: argparse.Namespace, site: Path) -> Building:
    recipe = Recipe(network, random_weights=network != "embedded", device=given.device)
    model = recipe.load()
    side = given.size or SIZES.get(network, 128)
    options = Options(steps=given.steps, size=(side, side), chunk=given.chunk)
    about = About(Program("command", "microscope"), Config(network), ("interp", "microscope", network), 0)
    layers = layers_of(model, given.layers or LAYERS.get(network, ()))
    return Building(model, replace(recipe, sha256=model.spec.sha256), Data(), site, layers, options, about)


def by_layer(building: Building, runner: Runner) -> None:
    from interp.microscope.work import carry_out

    store = store_of(building.site)
    plan = building.plan(store.folder, store.open())
    warm(building, runner)
    print(f"\n{building.model.spec.reference}, {plan.size[0]} px")
    print(f"{'layer':24} {'units':>6} {'s / unit':>9} {'units / hour':>13} {'minutes':>8}")
    total = 0.0
    for layer in plan.layers:
        count = building.model.layer(layer).channels
        chunks = plan.chunks(layer)[: runner.workers]
        orders = [plan.optimize(layer, channels, Kind.CHANNEL, ()) for channels in chunks]
        since = time.perf_counter()
        parallel.run([Task(f"{layer}:{order.stage.first}", carry_out, (order,)) for order in orders], runner)  # type: ignore[attr-defined]
        each = (time.perf_counter() - since) / sum(map(len, chunks))
        total += each * count
        print(f"{layer:24} {count:6} {each:9.3f} {3600 / each:13.0f} {each * count / 60:8.1f}", flush=True)
    print(f"{'all of these':24} {building.units:6} {total / building.units:9.3f} {3600 * building.units / total:13.0f} {total / 60:8.1f}")


def warm(building: Building, runner: Runner) -> None:
    """Let every worker load the network, which is no part of the speed."""
    from interp.microscope.work import carry_out

    short = replace(building, options=replace(building.options, steps=1))
    store = store_of(short.site)
    plan = short.plan(store.folder, store.open())
    chunks = plan.chunks(plan.layers[-1])[: 2 * runner.workers]
    orders = [plan.optimize(plan.layers[-1], channels, Kind.CHANNEL, ()) for channels in chunks]
    parallel.run([Task(order.key, carry_out, (order,)) for order in orders], runner)


def whole(building: Building, runner: Runner) -> None:
    since = time.perf_counter()
    stages: dict[str, float] = {}

    def tick(stage: str, done: int, total: int) -> None:
        now = time.perf_counter() - since
        if stage not in stages:
            print(f"{now:8.1f} s  {stage}", flush=True)
        stages[stage] = now
        if sys.stderr.isatty():
            print(f"\r{done} of {total}", end="", file=sys.stderr)

    built = build(building, runner, tick)
    seconds = time.perf_counter() - since
    print(f"{seconds:8.1f} s  done: {built.units} units, {built.files} files, {built.size / 1e6:.1f} MB")
    print(f"{3600 * built.units / seconds:.0f} units an hour")


if __name__ == "__main__":
    main()
