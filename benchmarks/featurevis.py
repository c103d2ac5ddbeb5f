"""What does an optimized image cost? Four questions, each with its rival in the same process, rounds interleaved, medians.

score     seconds per unit until 32 units score as lucent's do after 512 steps, at an early, a middle and a deep layer
overhead  one step beside the bare truncated forward + backward to the input; target: at most 1.25x
scaling   milliseconds per unit and step, and peak memory, for 8 to 512 units; target: flat, below 4 GiB
parts     what truncation, freezing, batching, precision and fused transforms bring, each left out in turn

resnet18 and resnet50 with random weights, squeezenet1_0 with real ones (from the folder $INTERP_ASSETS). A score is
that of the finished 8-bit image without transforms, enlarged to 224 px as lucent does, in float32, for both alike.
Run: python benchmarks/featurevis.py --part score --out score.md (rows are kept in score.json, from which it goes on)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timing import timed
from torch import Tensor
from torchvision.models import get_model

import interp
from interp.core.model import Model, ModelSpec
from interp.core.trace import model as traced
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Channel, Feature, visualize
from interp.featurevis.ascent import Ascent
from interp.featurevis.batching import most_images
from interp.featurevis.config import Precision
from interp.featurevis.engine import Engine, engine
from interp.featurevis.lucent import clean_scores, render
from interp.featurevis.presets import Scaled
from interp.featurevis.schedule import Linear
from interp.featurevis.transform import Compose, Jitter, Resize, Transform
from interp.images import Preprocess

SIDE, INPUT = 128, 224
LAYERS = {
    "resnet18": ("layer1.0.conv1", "layer3.0.conv1", "layer4.1.conv2"),
    # Behind its in-place ReLUs lucent sees no convolution, so blocks are compared.
    "squeezenet1_0": ("features.3", "features.7", "features.12"),
    "resnet50": ("layer1.0.conv2", "layer3.0.conv2", "layer4.2.conv2"),
}
WEIGHTS = {"squeezenet1_0": "squeezenet1_0_imagenet.safetensors"}
LADDER = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# The settings on which lucent's score depends.
LUCENTS = ("part", "units", "lucent_units", "lucent_steps", "device", "torch")
# Steps before one is measured: the first ones wait for silent units.
WARM_STEPS = 20


def recipe(steps: int) -> AscentConfig:
    """How our images are made: the one place to change it."""
    # Few steps must be wide ones; they end at a quarter of their width.
    rate = min(1.0, math.sqrt(32 / steps))
    transform = Compose((Jitter(8), Resize(INPUT, INPUT)))
    return AscentConfig(steps=steps, size=(SIDE, SIDE), rate=Linear(rate, rate / 4), transform=transform, best=False)


def lucents(steps: int) -> AscentConfig:
    return AscentConfig(steps=steps, size=(SIDE, SIDE))


# Networks and tables.


def network(name: str, device: str) -> Model | None:
    """The traced network on ``device``; None where its weights are not at hand."""
    torch.manual_seed(0)
    module = get_model(name, weights=None)
    if name in WEIGHTS:
        path = Path(os.environ.get("INTERP_ASSETS", "")) / WEIGHTS[name]
        if not path.is_file():
            print(f"{name}: skipped, as there is no {WEIGHTS[name]} in the folder $INTERP_ASSETS")
            return None
        module.load_state_dict(load_file(path))
    return traced(module.eval().to(device), ModelSpec(name), Preprocess())


def units_of(model: Model, layer: str, count: int) -> list[Unit]:
    """Channels spread evenly over the layer, the same for every count of a power of two."""
    channels = model.layer(layer).channels
    step = max(1, channels // count)
    return [Unit(layer, channel) for channel in range(0, channels, step)][:count]


def cases(options: argparse.Namespace) -> Iterator[tuple[str, Model, str]]:
    """(network, model, layer), each network built once."""
    for name in options.networks:
        model = network(name, options.device)
        for layer in LAYERS[name] if model is not None else ():
            if not options.layers or layer in options.layers:
                yield name, model, layer


class Rows:
    """Finished rows of a part, kept in a file so that a run that was cut off goes on where it was."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.path: Path | None = options.rows or (options.out.with_suffix(".json") if options.out else None)
        self.settings = {key: str(value) for key, value in vars(options).items() if key not in ("out", "rows", "networks", "layers", "one")}
        self.settings |= {"recipe": repr(recipe(64)), "code": _code(), "torch": torch.__version__}
        self.kept: list[dict[str, Any]] = json.loads(self.path.read_text()) if self.path and self.path.exists() else []

    def row(self, *name: object, made: Callable[[], dict[str, Any]], depends: Sequence[str] = ()) -> dict[str, Any]:
        """The row of that name under the same settings (of these only those it ``depends`` on) if it is kept, else the one made now."""
        settings = {key: value for key, value in self.settings.items() if not depends or key in depends}
        key = {"name": [str(part) for part in name], "settings": settings}
        for kept in self.kept:
            if kept["key"] == key:
                print(f"{' '.join(key['name'])}: kept in {self.path}", flush=True)
                return dict(kept["row"])
        row = made()
        self.kept.append({"key": key, "row": row})
        if self.path is not None:
            partial = self.path.with_suffix(".partial")
            partial.write_text(json.dumps(self.kept, indent=1))
            partial.replace(self.path)
        print(f"{' '.join(key['name'])}: {row}", flush=True)
        return row


def _code() -> str:
    """A hash of our own code: a row holds for the code that it was measured with."""
    files = sorted(Path(interp.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    lines = [list(head), ["---" if k == 0 else "---:" for k in range(len(head))], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def machine(options: argparse.Namespace) -> str:
    return f"torch {torch.__version__}, {options.threads} thread(s), {options.rounds} round(s), {options.device}"


# Part one: time to the same score.


@dataclass(frozen=True)
class Reached:
    """The least number of steps of the ladder whose median score is at least the wanted one; else its best, with steps None."""

    steps: int | None
    score: float
    tried: dict[int, float]


def score_of(model: Model, units: Sequence[Unit], features: Sequence[Feature]) -> float:
    return statistics.median(clean_scores(model, units, [f.image for f in features], (INPUT, INPUT)))


def reach(model: Model, units: Sequence[Unit], judged: int, wanted: float, ladder: Sequence[int]) -> Reached:
    """Whole runs of the first ``judged`` units (an image does not depend on its company), each with its own schedule, until they score."""
    tried: dict[int, float] = {}
    for steps in ladder:
        features = visualize(model, units[:judged], recipe(steps), seed=0)
        tried[steps] = score_of(model, units[:judged], features)
        print(f"  {units[0].layer}: {steps} steps, score {tried[steps]:.4g} of {wanted:.4g}", flush=True)
        if tried[steps] >= wanted:
            return Reached(steps, tried[steps], tried)
    return Reached(None, max(tried.values()), tried)


def judged_units(model: Model, layer: str, options: argparse.Namespace) -> list[Unit]:
    return units_of(model, layer, options.units)[: options.lucent_units]


def lucents_score(model: Model, layer: str, options: argparse.Namespace) -> dict[str, Any]:
    judged = judged_units(model, layer, options)
    start = time.process_time()
    features = render(model, judged, lucents(options.lucent_steps), seed=0)
    return {"score": score_of(model, judged, features), "s_per_unit": (time.process_time() - start) / len(judged)}


def same_score(model: Model, layer: str, theirs: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    units, judged, wanted = units_of(model, layer, options.units), judged_units(model, layer, options), theirs["score"]
    found = reach(model, units, len(judged), wanted, options.ladder)
    row: dict[str, Any] = {"score": wanted, "steps": found.steps, "our_score": found.score, "tried": found.tried}
    ours = timed({"ours": lambda: visualize(model, units, recipe(found.steps or options.ladder[-1]), seed=0)}, options.rounds, warm=False)
    row |= {"lucent_s": theirs["s_per_unit"], "ours_s": ours["ours"] / len(units)}
    return row | {"ratio": row["lucent_s"] / row["ours_s"] if found.steps else None}


def score_part(options: argparse.Namespace) -> str:
    rows, kept = [], Rows(options)
    for name, model, layer in cases(options):
        # What lucent reaches does not depend on our code.
        theirs = kept.row(
            name, layer, "lucent", made=lambda model=model, layer=layer: lucents_score(model, layer, options), depends=LUCENTS
        )
        made = kept.row(name, layer, made=lambda model=model, layer=layer, theirs=theirs: same_score(model, layer, theirs, options))
        values = (made[key] for key in ("lucent_s", "score", "steps", "ours_s", "our_score", "ratio"))
        rows.append((f"{name} {layer}", *values))
    ratios = [float(row[-1]) for row in rows if row[-1] is not None]
    head = ("layer", "lucent, CPU s/unit", "its score", "our steps", "ours, CPU s/unit", "our score", "ratio")
    return "\n\n".join(
        [
            f"Time to the same score: the median of {options.lucent_units} units after {options.lucent_steps} steps of lucent, which "
            f"ran on these alone; ours ran on {options.units} units at once, and is judged by the same {options.lucent_units}. "
            f"{machine(options)}.",
            table(head, rows),
            f"Median ratio {statistics.median(ratios):.1f}x, least {min(ratios):.1f}x." if ratios else "No score was reached.",
        ]
    )


# Part two: one step beside the bare network.


class _Cut(Exception):
    """Ends a forward at a layer."""


@contextmanager
def bare(made: Engine, units: Sequence[Unit], whole: bool = False, trained: bool = False) -> Iterator[Callable[[], None]]:
    """Forward to the units' layer and backward to the input, nothing else.

    ``whole``: forward to the end; ``trained``: gradients of the weights too.
    """
    module, kept = made.model.module, []

    def cut(_m: object, _i: object, output: Tensor) -> None:
        kept.append(output)
        if not whole:
            raise _Cut

    inputs = torch.randn(len(units), 3, INPUT, INPUT, device=made.model.device).contiguous(memory_format=torch.channels_last)
    inputs.requires_grad_()
    channels = [unit.channel for unit in units]

    def step() -> None:
        kept.clear()
        try:
            with made.computing():
                module(inputs)
        except _Cut:
            pass
        value = kept[0][list(range(len(units))), channels].float().flatten(1).mean(1).sum()
        if trained:
            value.backward()
        else:
            torch.autograd.grad(value, inputs)
        _wait(made.model.device)

    handle = module.get_submodule(units[0].layer).register_forward_hook(cut)
    flags = [(p, p.requires_grad) for p in module.parameters()]
    for parameter, _ in flags:
        parameter.requires_grad_(trained)
    try:
        yield step
    finally:
        handle.remove()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
            parameter.grad = None


def ours(made: Engine, model: Model, units: Sequence[Unit], config: AscentConfig) -> Callable[[], None]:
    """One step of the ascent of ``units`` as one batch, warmed up."""
    ascent = Ascent(made, model, [Channel(unit) for unit in units], 1, replace(config, steps=10**6), (SIDE, SIDE), 0)
    for _ in range(WARM_STEPS):
        ascent.step()

    def step() -> None:
        ascent.step()
        _wait(model.device)

    return step


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def batch_of(made: Engine, layer: str) -> int:
    """Images per forward as the engine chooses them."""
    return most_images(made, [layer], recipe(1), (INPUT, INPUT))


def overhead(model: Model, layer: str, options: argparse.Namespace) -> dict[str, Any]:
    made = engine(model, Precision.AUTO)
    units = units_of(model, layer, batch_of(made, layer))
    # A second copy: a hook in the first would cut our forward too.
    with bare(engine(model, made.precision), units) as alone:
        seconds = timed({"ours": ours(made, model, units, recipe(1)), "bare": alone}, options.rounds)
    ms = {name: 1000 * value / len(units) for name, value in seconds.items()}
    return {
        "batch": len(units),
        "precision": str(made.precision),
        "bare_ms": ms["bare"],
        "ours_ms": ms["ours"],
        "ratio": ms["ours"] / ms["bare"],
    }


def overhead_part(options: argparse.Namespace) -> str:
    rows, kept = [], Rows(options)
    for name, model, layer in cases(options):
        made = kept.row(name, layer, made=lambda model=model, layer=layer: overhead(model, layer, options))
        rows.append((f"{name} {layer}", *(made[key] for key in ("batch", "precision", "bare_ms", "ours_ms", "ratio"))))
    head = ("layer", "batch", "precision", "bare, ms per unit and step", "ours", "ratio")
    return f"One step beside the bare truncated forward + backward, {INPUT} px. {machine(options)}.\n\n{table(head, rows)}"


# Part three: many units.


def one_size(options: argparse.Namespace) -> None:
    """In a process of its own: time and peak memory of ``options.one`` units, as a line of JSON."""
    model = network("resnet18", options.device)
    assert model is not None
    layer = LAYERS["resnet18"][-1]
    units = units_of(model, layer, options.one)
    visualize(model, units[:1], recipe(1), seed=0)
    start = time.perf_counter()
    visualize(model, units, recipe(options.steps), seed=0)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"ms": 1000 * seconds / len(units) / options.steps, "gib": peak}))


def scaling_part(options: argparse.Namespace) -> str:
    kept, rows = Rows(options), []

    def measured(count: int) -> dict[str, Any]:
        command = [sys.executable, __file__, "--part", "scaling", "--one", str(count), "--steps", str(options.steps)]
        command += ["--threads", str(options.threads), "--device", options.device]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            for _ in range(options.rounds)
        ]
        return {"ms": statistics.median(run["ms"] for run in runs), "gib": max(run["gib"] for run in runs)}

    for count in options.counts:
        made = kept.row("resnet18", count, made=lambda count=count: measured(count))
        rows.append((str(count), made["ms"], made["gib"]))
    title = f"Many units of resnet18 {LAYERS['resnet18'][-1]}, {options.steps} steps, setup included. {machine(options)}."
    return f"{title}\n\n{table(('units', 'ms per unit and step', 'peak memory, GiB'), rows)}"


# Part four: what each part brings.


class Apart(Transform):
    """Our transforms one at a time, each with an interpolation of its own."""

    def size(self, before: tuple[int, int]) -> tuple[int, int]:
        return recipe(1).transform.size(before)

    def __call__(self, images: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        for part in _flat(recipe(1).transform, (images.shape[2], images.shape[3])):
            images = part(images, generators)
        return images


def _flat(transform: Transform, size: tuple[int, int]) -> list[Transform]:
    if isinstance(transform, Scaled):
        transform = transform.chain(size)
    if not isinstance(transform, Compose):
        return [transform]
    found = []
    for part in transform.parts:
        found += _flat(part, size)
        size = part.size(size)
    return found


def parts(model: Model, layer: str, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds per unit and step of the whole, of the whole without one part, and of the bare network without one part."""
    made, plain = engine(model, Precision.AUTO), engine(model, Precision.FLOAT32)
    units, config = units_of(model, layer, batch_of(made, layer)), recipe(1)
    count = len(units)
    steps = {
        "ours": (ours(made, model, units, config), count),
        "batches of 1": (ours(made, model, units[:1], config), 1),
        "float32": (ours(plain, model, units, config), count),
        "transforms apart": (ours(made, model, units, replace(config, transform=Apart())), count),
        "lucent": (lambda: render(model, units[:1], lucents(options.steps), seed=0), options.steps),
    }
    seconds = timed({name: step for name, (step, _) in steps.items()}, options.rounds)
    ms = {name: 1000 * seconds[name] / share for name, (_, share) in steps.items()}
    # Our engine neither runs to the end nor trains: what that would cost is seen on the bare network.
    for name, whole, trained in (("bare", False, False), ("bare, whole forward", True, False), ("bare, weight gradients", False, True)):
        with bare(engine(model, made.precision), units, whole, trained) as step:
            ms[name] = 1000 * timed({name: step}, options.rounds)[name] / count
    return {"batch": count} | ms


def parts_part(options: argparse.Namespace) -> str:
    rows, kept = [], Rows(options)
    columns = ("ours", "batches of 1", "float32", "transforms apart", "bare", "bare, whole forward", "bare, weight gradients", "lucent")
    for name, model, layer in cases(options):
        made = kept.row(name, layer, made=lambda model=model, layer=layer: parts(model, layer, options))
        rows.append((f"{name} {layer}", made["batch"], *(made[column] for column in columns)))
    return f"Milliseconds per unit and step, with each part left out. {machine(options)}.\n\n{table(('layer', 'batch', *columns), rows)}"


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "score": score_part,
    "overhead": overhead_part,
    "scaling": scaling_part,
    "parts": parts_part,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time to the same score, overhead, scaling and parts of feature visualization.")
    parser.add_argument("--part", choices=PARTS, default="score")
    parser.add_argument("--networks", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--layers", nargs="+", default=[], help="of the benchmark's layers, these only")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--lucent-units", type=int, default=8, help="how many of the units lucent is run on")
    parser.add_argument("--lucent-steps", type=int, default=512)
    parser.add_argument("--ladder", type=int, nargs="+", default=list(LADDER), help="numbers of our steps to try")
    parser.add_argument("--steps", type=int, default=8, help="steps of a measured run, in scaling and for lucent in parts")
    parser.add_argument("--counts", type=int, nargs="+", default=[8, 32, 128, 512], help="numbers of units in scaling")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path, help="write the table here too")
    parser.add_argument("--rows", type=Path, help="where finished rows are kept; beside --out by default")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.one:
        one_size(options)
        return
    text = PARTS[options.part](options)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
