"""How does a photograph change on its way through the network, and how much of each layer stays silent?

Early maps are the photograph, filtered; late maps answer in few places and few channels. Sparsity alone proves
nothing, since a ReLU silences half of random responses too: the curve shows the share of zeros at each layer
beside the same network with random weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from interp import activations
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.subjects import subjects
from interp.core.depth import spread
from interp.core.model import Model
from interp.figures import CurvePanel, Grid
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.compose import activation_figures_of
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network, which photographs; ``depth`` layers are drawn, all of them are counted."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    depth: int = 6
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        untrained = replace(config.loading, weights=None, random_weights=True).load(config.model)
        images, people = subjects(model, photos)
        figures, arrays = activation_figures_of(people, activations.of(model, images, [la.name for la in spread(model, config.depth)]))
        counted = [layer.name for layer in spread(model, len(model.layers))]
        shares = {
            name: np.array([float(a.zeros.mean()) for a in activations.of(m, images, counted).values()])
            for name, m in (("trained", model), ("random weights", untrained))
        }
        curve = CurvePanel(
            tuple((name, 100 * share) for name, share in shares.items()), f"layer, {counted[0]} to {counted[-1]}", "zeros, %"
        )
        caption = f"Share of values that are exactly zero, mean over {len(photos)} photographs, at {len(counted)} layers in firing order."
        grid = Grid(((curve,),), title=f"Silence across {config.model}", panel_size=4.0)
        figures.append(Figure("zeros", grid, "Share of zeros by layer", caption, "Silence"))
        arrays |= {f"zeros/{name.split()[0]}": share for name, share in shares.items()}
        zeros = {name: dict(zip(counted, map(float, share), strict=True)) for name, share in shares.items()}
        lead = str(__doc__).split("\n\n", 1)[1]
        title = "A photograph on its way through the network"
        return Product(title, lead, figures, arrays, {"zeros": zeros}, tolerances=tolerances.ACTIVATIONS)

    publish(
        "activations_across_layers",
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
