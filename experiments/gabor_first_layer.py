"""Which first-layer filters are Gabor-like, beyond chance?

A Gabor function, a grating under a bell, has nine numbers, and a small kernel has few weights: noise is fitted well too. So each
filter's R^2 (of its principal plane over the colours) stands beside what the same fit reaches on 99 filters of re-drawn weights and on
99 of permuted ones, and a filter counts as Gabor-like where it beats both, at 5 % false discoveries. Beside it the same architecture
with random weights. Kernels below 5x5 are refused: there any noise is a Gabor function.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from interp import kernels
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.gabor import filters, numbers, ranks
from interp.core.depth import kernel_layer
from interp.core.model import Model
from interp.kernels import gabor
from interp.report.product import Figure, Product, Tick
from interp.runs import Tolerance

FILTERS = "Principal planes, each on its own scale, white for zero, and the fitted function: orientation of its stripes, cycles per pixel."
RANKS = "R\u00b2 from the best filter to the worst: what lies above both kinds of noise is more of a Gabor function than chance makes."


@dataclass(frozen=True)
class Config:
    """Which network's first layer (5x5 kernels or wider), or which layer of it."""

    model: str = "embedded"
    layer: str | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, _photos: object, tick: Tick) -> Product:
        fresh = replace(config.loading, weights=None, random_weights=True).load(config.model)
        layer = config.layer or kernel_layer(model, model.layers[0].name).name
        found = gabor.of(kernels.of(model, layer), config.loading.seed, partial(tick, "fits"))
        random = gabor.principal_planes(kernels.of(fresh, layer).weights.astype(np.float64))[0]
        untrained = np.array([gabor.fit(plane).r2 for plane in random])
        drawn = [
            Figure("filters", filters(found, f"{layer} of {config.model}"), "Filters and fitted Gabor functions", FILTERS, "Filters"),
            Figure("ranks", ranks(found, untrained, "How well a Gabor function fits"), "R\u00b2 beside noise", RANKS, "Beyond chance"),
        ]
        arrays = {"planes": found.planes, "r2/trained": found.r2, "r2/random": untrained, "p": found.p}
        arrays |= {f"r2/noise-{null.value}": r2 for null, r2 in found.noise.items()}
        lead, told = str(__doc__).split("\n\n", 1)[1], numbers(found) | {"r2_median_random": float(np.median(untrained))}
        return Product(
            "Which first-layer filters are Gabor-like?", lead, drawn, arrays, {"gabor": told}, tolerances={"*": Tolerance.DERIVED}
        )

    publish(
        "gabor_first_layer",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
    )


if __name__ == "__main__":
    experiment(Config, main)
