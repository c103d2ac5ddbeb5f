"""How many faces has a unit: what does a diversity term bring, and what does it cost?

A unit that answers to several things shows one of them in an optimized image. Images from other seeds may show the same
again; a penalty on the likeness of their Gram matrices drives images apart that are optimized together (Olah, Mordvintsev &
Schubert 2017). Both stand side by side, with how alike each two images are, in pixels (SSIM) and to the layer (cosine of
Gram matrices), and with the scores without the term: what is given up for the difference. Images that are less alike are
no proof of several faces: a term that is strong enough draws what the unit does not ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.faces import CAPTION, faces, figure
from interp.comparisons.feature_grids import arrays, strongest_of_each
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Channel, Diversity, Feature, visualize
from interp.featurevis.quality import maxima, views
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network, how many deep layers, ``pictures`` of each unit; ``strengths``: the term's weights, in what photographs reach."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    pictures: int = 3
    strengths: tuple[float, ...] = (2.0, 6.0)
    depth: int = 2
    steps: int = 128
    size: int | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def rows(model: Model, unit: Unit, ascent: AscentConfig, scale: float, config: Config) -> dict[str, list[Feature]]:
    """The images of each row: from several seeds, then together, once per weight."""
    found = {f"{config.pictures} seeds": [visualize(model, [unit], ascent, config.loading.seed + k)[0] for k in range(config.pictures)]}
    for weight in config.strengths:
        together = Channel(unit) + weight * scale * Diversity(unit.layer, config.pictures)
        found[f"diversity, weight {weight:g}"] = visualize(model, [together], ascent, config.loading.seed)
    return found


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size
        layers = [layer.name for layer in spread(model, 2 * config.depth)][-config.depth :]
        units = strongest_of_each(model, photos, layers)
        most = maxima(model, [Channel(unit) for unit in units], views(model, photos, size))
        drawn, made, metrics = [], {}, {}
        caption = CAPTION.format(images=config.pictures, weights=" and ".join(f"{weight:g}" for weight in config.strengths))
        for done, (unit, (natural, _)) in enumerate(zip(units, most, strict=True)):
            tick("optimizing images", done, len(units))
            scale = natural.maximum if natural is not None and natural.maximum > 0 else 1.0
            found = rows(model, unit, AscentConfig(config.steps, size, precision=FLOAT32), scale, config)
            rated = {name: faces(model, unit, features) for name, features in found.items()}
            grid = figure(rated, natural, f"Faces of {unit}, {config.model}")
            drawn.append(Figure(f"faces-{done + 1}", grid, f"Several images of {unit}, with and without diversity", caption, str(unit)))
            metrics[str(unit)] = {name: row.numbers for name, row in rated.items()}
            made |= {f"{unit}, {name}, {k + 1}": feature for name, features in found.items() for k, feature in enumerate(features)}
        tick("optimizing images", len(units), len(units))
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("Several faces of one unit", lead, drawn, arrays(made), {"faces": metrics}, tolerances=tolerances.FACES)

    publish(
        "diversity",
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
