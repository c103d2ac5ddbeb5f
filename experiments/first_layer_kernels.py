"""What did training do to the first layer?

A first layer is the only one whose weights are pictures. Trained on photographs, filters turn into edges,
gratings and colour blobs (Krizhevsky et al. 2012); drawn at random, they are noise. This figure shows both, and
the number beside it, Moran's I of the kernel planes, is the correlation of neighbouring weights: near zero for
noise, and high where a filter is smooth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from interp import kernels
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons import kernels as kernel_figures
from interp.core.depth import kernel_layer
from interp.core.model import Model
from interp.figures import Grid
from interp.kernels.correlation import neighbour_correlation
from interp.report import tolerances
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network's first layer, against random weights drawn from which seed."""

    model: str = "embedded"
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, _photos: object, tick: Tick) -> Product:
        untrained = replace(config.loading, weights=None, random_weights=True).load(config.model)
        layer = kernel_layer(model, model.layers[0].name).name
        both = {"trained": kernels.of(model, layer), "random": kernels.of(untrained, layer)}
        numbers = {name: float(np.median(neighbour_correlation(k.weights))) for name, k in both.items()}
        panels = tuple(kernel_figures.panel(k) for k in both.values())
        headers = tuple(f"{name} weights, median Moran's I {numbers[name]:.2f}" for name in both)
        grid = Grid((panels,), (), headers, f"First layer of {config.model}", panel_size=3.2)
        caption = "All filters of the first layer, trained and freshly initialized, each side on one scale with grey for zero."
        figure = Figure("first_layer", grid, "First-layer filters, trained beside random", caption, "Trained against random")
        arrays = {f"kernels/{name}": k.weights for name, k in both.items()}
        lead, metrics = str(__doc__).split("\n\n", 1)[1], {"moran_i_median": numbers}
        return Product("What did training do to the first layer?", lead, [figure], arrays, metrics, tolerances=tolerances.KERNELS)

    publish(
        "first_layer_kernels",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
    )


if __name__ == "__main__":
    experiment(Config, main)
