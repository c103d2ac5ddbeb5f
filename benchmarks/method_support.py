"""Which attribution method works on which network, and what does the other say? Writes docs/method-support.md.

Every method on seven networks of torchvision, at 96 px where the network allows it, with few samples: what is asked is
whether it works, not how well. The real weights of squeezenet1_0 where the variable INTERP_ASSETS leads to them; else random
ones, seeded, and a head of a transformer that starts at zero is drawn too, or no class would depend on anything. Run:
python benchmarks/method_support.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from interp import zoo
from interp.attribution.registry import METHODS
from interp.core.depth import spread
from interp.core.method import Family, Heatmap, Method, Place
from interp.core.model import Model
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import sample

NETWORKS = ("resnet18", "vgg16", "squeezenet1_0", "mobilenet_v2", "convnext_tiny", "vit_b_16", "swin_t")
TARGET = Path(__file__).parent.parent / "docs" / "method-support.md"
# As few variants of the image as each method takes.
CHEAP: dict[str, int] = {"n_samples": 8, "n_steps": 8, "n_channels": 8, "n_segments": 12}


def main() -> None:
    torch.set_num_threads(1)
    found = {network: dict(row(network)) for network in NETWORKS}
    refusals = sorted({text for cells in found.values() for text in cells.values() if text.startswith("no: ")})
    notes = {text: str(number) for number, text in enumerate(refusals, 1)}
    lines = [f"| method | {' | '.join(NETWORKS)} |", "|---|" + "---|" * len(NETWORKS)]
    for name, kind in METHODS.items():
        cells = [found[network][name] for network in NETWORKS]
        title = kind.title.replace("|", "\\|")
        lines.append(f"| {title} (`{name}`) | {' | '.join(f'no [{notes[c]}]' if c in notes else c for c in cells)} |")
    said = [f"{number}. {text.removeprefix('no: ')}" for text, number in notes.items()]
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join([*HEAD, *lines, "", "## What is said where it does not work", "", *said, ""]), encoding="utf-8")
    print(TARGET.read_text(encoding="utf-8"))


HEAD = (
    "# Which method works on which network",
    "",
    "Made by `python benchmarks/method_support.py`: every method explains the prediction for one photograph. *yes*: a finite map that",
    "is not zero; other words are those that the map carries itself (and that stand below it in a figure); a number leads to the",
    "sentence in which the method is refused. Methods that work at a layer are asked at the deepest one that `interp compare` chooses;",
    "attention at an attention layer.",
    "",
    "squeezenet1_0 has real weights, the others random ones; images of 96 px, 224 px for vit_b_16. Few samples are drawn (8 samples, steps",
    "and channels, 12 superpixels), so that completeness gaps are wider, and maps of LIME emptier, than with the methods' own settings.",
    "",
)


def row(network: str) -> Iterator[tuple[str, str]]:
    """What each method says on one network."""
    model = prepared(network)
    images = model.preprocess(sample("cat"))
    with torch.no_grad():
        unit = Unit(model.output, int(model(images)[0].argmax()))
    layer = [found.name for found in spread(model)][-1]
    for name, kind in METHODS.items():
        start = time.process_time()
        cell = asked(model, images, unit, kind, attention_layer(model, layer) if kind.family is Family.ATTENTION else layer)
        print(f"{network:14s} {name:28s} {time.process_time() - start:7.1f} s  {cell}", flush=True)
        yield name, cell


def prepared(network: str) -> Model:
    """The network with random weights, at 96 px where it is not bound to its own size."""
    weights = Path(os.environ.get("INTERP_ASSETS", "")) / f"{network}_imagenet.safetensors"
    model = zoo.load(network, weights=weights) if weights.is_file() else zoo.load(network, random_weights=True)
    if network != "vit_b_16":
        small = replace(model.preprocess, size=(96, 96), resize=96)
        model = replace(zoo.load(model.module, preprocess=small), spec=model.spec)
    head = model.module.get_submodule(model.output) if network == "vit_b_16" else None
    if head is not None:
        torch.nn.init.normal_(head.weight, std=0.02, generator=generator(0, "head"))
    return model


def attention_layer(model: Model, otherwise: str) -> str:
    from interp.attribution import attention

    found = attention.layers(model)
    return found[-2] if len(found) > 1 else otherwise


def asked(model: Model, images: torch.Tensor, unit: Unit, kind: type[Method], layer: str) -> str:
    fields: dict[str, Any] = kind.__dataclass_fields__
    options: dict[str, Any] = {name: value for name, value in CHEAP.items() if name in fields}
    if kind.place is Place.LAYER:
        options["layer"] = layer
    try:
        heatmap: Heatmap = kind(**options)(model, images, [unit])[0]
    except InterpError as error:
        return f"no: {error}"
    return "; ".join(degeneration.label for degeneration in heatmap.degenerations) or "yes"


if __name__ == "__main__":
    main()
