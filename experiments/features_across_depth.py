"""What do units look for, from the first layer to the last?

One column per depth, a few units each, optimized from the same seed with the same recipe: edges and colours first,
then textures, patterns and parts. An image of gradient ascent always looks like something, so the score of each
unit stands beside the largest value that the unit reaches on the photographs: below one, the image has found
less than a photograph has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp import activations
from interp.activations import Rank
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons import features as feature_figures
from interp.comparisons.subjects import subjects
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Feature
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.features import FLOAT32, feature_arrays, feature_caption, optimize, scores, suitable_size
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network, how many depths and units of each, how long."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    depth: int = 6
    units: int = 4
    steps: int = 256
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        images, _ = subjects(model, photos)
        found = activations.of(model, images, [layer.name for layer in spread(model, config.depth)])
        units = [Unit(name, channel) for name, a in found.items() for channel in a.top(config.units, Rank.MEAN)]
        ascent = AscentConfig(config.steps, suitable_size(model), precision=FLOAT32)
        features = optimize(model, units, ascent, config.loading.seed, tick)
        columns: dict[str, list[Feature]] = {}
        for unit, feature in zip(units, features, strict=True):
            columns.setdefault(unit.layer, []).append(feature)
        natural = {str(u): float(found[u.layer].strength(Rank.MEAN)[:, u.channel].max()) for u in units}
        ratios = {str(f.unit): f.final / natural[str(f.unit)] if natural[str(f.unit)] > 0 else None for f in features}
        names = {unit: f"{unit}, {ratio:.1f}x photographs" for unit, ratio in ratios.items() if ratio is not None}
        grid = feature_figures.figure(columns, f"Optimized images across {config.model}", names)
        caption = f"Columns: layers; rows: the channels with the largest mean on the photographs. {feature_caption(ascent)}"
        figure = Figure("features", grid, "Optimized images by depth", caption, "From edges to parts")
        metrics = {"features": scores(units, features), "ratio_to_photographs": ratios}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("What units look for", lead, [figure], feature_arrays(units, features), metrics, tolerances=tolerances.DEPTH)

    publish(
        "features_across_depth",
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
