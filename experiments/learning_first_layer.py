"""What do first-layer filters become while a network learns, and is it what lies next to what in a picture that shapes them?

The same architecture starts from the same random weights twice, and learns from which photograph a small window was cut; windows
of the right quarter of each photograph, which it never learns from, are the test. The second time the pixels of all windows are
in one and the same random order: same colours, same answers, but no neighbours. What happens to its filters too is not owed to
edges in pictures. Half a minute on six photographs is not hours on 100,000: the filters of the network as it is stand beside both
(those of the embedded network were made by `python -m interp.cli.train_embedded`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import torch

from interp import kernels
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.learning import Lessons, filters, learned, progress, smoothness
from interp.core.depth import kernel_layer
from interp.core.model import Model
from interp.core.rng import generator
from interp.images import SAMPLES, Photo, load
from interp.report.product import Figure, Product, Tick
from interp.runs import Tolerance

FILTERS = "All filters of the first layer, grey for zero, and the change; Moran's I (median): how alike neighbouring weights are."
CURVES = "On windows that were never learned from, at moments on the way; by chance {:.0%} are right."


@dataclass(frozen=True)
class Config:
    """Which architecture learns from which photographs: ``steps`` of ``batch`` windows of ``side`` px, looked at ``moments`` times."""

    model: str = "embedded"
    images: tuple[str, ...] = SAMPLES
    steps: int = 120
    batch: int = 64
    side: int = 32
    rate: float = 0.1
    tested: int = 192
    moments: int = 7
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        places = config.side**2
        orders = {"in their order": torch.arange(places), "scrambled": torch.randperm(places, generator=generator(0, "scrambled"))}
        fresh = replace(config.loading, weights=None, random_weights=True)
        lessons = Lessons(config.steps, config.batch, config.side, config.rate, config.tested, config.moments, config.loading.seed)
        found = {
            way: learned(fresh.load(config.model), photos, order, lessons, partial(tick, f"pixels {way}")) for way, order in orders.items()
        }
        ready = kernels.of(model, kernel_layer(model, model.layers[0].name).name)
        images, curves = filters(found, ready, f"First layer of {config.model}"), progress(found, ready, "While it learns")
        drawn = [
            Figure("filters", images, "First-layer filters before and after learning", FILTERS, "Filters"),
            Figure("curves", curves, "Right answers and Moran's I against steps", CURVES.format(1 / len(photos)), "Curves"),
        ]
        arrays = {f"filters/{way}/{step}": k.weights for way, course in found.items() for step, k in course.filters.items()}
        metrics = {way: course.numbers for way, course in found.items()} | {"as it is": {"moran_i": smoothness(ready)}}
        lead, how = str(__doc__).split("\n\n", 1)[1], {"*": Tolerance.DERIVED}
        return Product("A first layer while it learns", lead, drawn, arrays, {"learning": metrics}, tolerances=how)

    publish(
        "learning_first_layer",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
        pictures=load(config.images),
    )


if __name__ == "__main__":
    experiment(Config, main)
