"""At which layer does Grad-CAM say something about the object, and does it depend on what was learned?

Selvaraju et al. (2017) take the last convolution; earlier layers are sharper and less about the class. Every layer
is shown here, from one backward pass, above the same network with random weights (Adebayo et al. 2018): a map that
survives the loss of all that was learned explains nothing. The number is the Spearman correlation of the two maps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import spearmanr

from interp import gradcam
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.gradcam import figure as gradcam_grid
from interp.comparisons.subjects import subjects
from interp.core.depth import spread
from interp.core.model import Model
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.compose import explainable, heatmap_arrays, predictions, shape_header
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network, which photographs, how many layers, which class (the top prediction if None)."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee")
    target: str | None = None
    depth: int = 6
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        untrained = replace(config.loading, weights=None, random_weights=True).load(config.model)
        images, people = subjects(model, photos, None if config.target is None else model.class_unit(config.target))
        names = explainable(model, [layer.name for layer in spread(model, config.depth)], people[0].unit)
        labels = {name: shape_header(model.layer(name)) for name in names}
        units = [s.unit for s in people]
        both = {"trained": gradcam.of(model, images, units, names), "random": gradcam.of(untrained, images, units, names)}
        figures = [
            Figure(
                f"gradcam-{kind}",
                gradcam_grid(people, maps, labels, title=f"{config.model}, {kind} weights"),
                f"Grad-CAM with {kind} weights",
                "Signed Grad-CAM, each map divided by its own largest magnitude; predictions are those of the trained network.",
                f"{kind} weights".capitalize(),
            )
            for kind, maps in both.items()
        ]
        similar = {
            name: float(
                np.mean([spearmanr(a[name].values.ravel(), b[name].values.ravel()).statistic for a, b in zip(*both.values(), strict=True)])
            )
            for name in names
        }
        arrays = {f"{kind}/{key}": value for kind, maps in both.items() for key, value in heatmap_arrays(people, maps).items()}
        metrics = {"predictions": predictions(people), "spearman_trained_random": similar}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("Grad-CAM across layers", lead, figures, arrays, metrics, tolerances=tolerances.GRADCAM)

    publish(
        "gradcam_across_layers",
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
