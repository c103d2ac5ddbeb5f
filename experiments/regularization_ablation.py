"""What does each regularization do to an optimized image?

One row per unit, one column per recipe, the same seed for all: free pixels, free pixels with one remedy at a time (the
image shifted at random before each step, a penalty on total variation, Fourier coefficients in decorrelated
colours), and all of them together. Free pixels tend to score high and to show noise (Olah, Mordvintsev & Schubert 2017),
which the spectra tell beside those of photographs, and the score that is left after a small shift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from interp import zoo
from interp.cli import experiment
from interp.cli.publish import publish
from interp.comparisons import feature_grids as grids
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import NONE, STANDARD, AscentConfig, Feature, Fourier, Jitter, Pixels, TotalVariation, Weighted, visualize
from interp.featurevis.quality import Check, Checks, measure, radial, rounded, score_of, views
from interp.featurevis.quality.spectra import mean_radial
from interp.images import Photo, load
from interp.report.features import suitable_size
from interp.report.product import Figure, Product, Tick

COLUMNS = ("none", "jitter", "total variation", "frequency", "all together")
CHECKS = Checks(frozenset({Check.NATURAL, Check.SPECTRUM, Check.ROBUSTNESS}))
CAPTION = (
    "Rows: of each layer the channel with the largest mean on the photographs. Under each image: its score without "
    "transformations, and that over the largest that photographs and their crops reach. The total variation costs {tv:g} times the "
    "score of free pixels, {together:g} times all together; {steps} steps each."
)
SPECTRA = "Amplitudes averaged over rings of frequencies and colours; photographs: the mean of those given, at the images' size."


@dataclass(frozen=True)
class Config:
    """Which network, how many depths, how long; ``tv``: total variation's weight in scores of free pixels, ``together``: with the rest."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    weights: Path | None = None
    depth: int = 4
    steps: int = 128
    size: int | None = None
    tv: float = 1.0
    together: float = 0.1
    seed: int = 0
    out: Path | None = None


def row(model: Model, unit: Unit, plain: AscentConfig, config: Config) -> list[Feature]:
    """The images of one unit. A penalty means the same for every unit where it is weighed in the unit's own scores."""
    side = (plain.size or model.preprocess.size)[0]
    pixels = replace(plain, param=Pixels(decorrelated=False), transform=NONE)
    (free,) = visualize(model, [unit], pixels, config.seed)
    score = abs(free.final) or 1.0
    smooth, smoother = ((Weighted(TotalVariation(), weight * score),) for weight in (config.together, config.tv))
    recipes = (
        replace(pixels, transform=Jitter(max(1, side // 12))),
        replace(pixels, regularizers=smoother),
        replace(pixels, param=Fourier()),
        replace(plain, param=Fourier(), transform=STANDARD, regularizers=smooth),
    )
    return [free, *(visualize(model, [unit], recipe, config.seed)[0] for recipe in recipes)]


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size
        units = grids.strongest_of_each(model, photos, [layer.name for layer in spread(model, config.depth)])
        features: list[Feature] = []
        for done, unit in enumerate(units):
            tick("optimizing images", done, len(units))
            features += row(model, unit, AscentConfig(config.steps, size), config)
        tick("optimizing images", len(units), len(units))
        qualities = measure(model, features, [unit for unit in units for _ in COLUMNS], photos, CHECKS)
        rough = -score_of(model, TotalVariation(), rounded(np.stack([feature.image for feature in features])))
        natural = views(model, photos, size)
        theirs = mean_radial(list(natural.images[: natural.whole]))
        panels, lines, table, made = {}, {}, {}, {}
        for k, name in enumerate(map(str, units)):
            mine = dict(zip(COLUMNS, range(k * len(COLUMNS), (k + 1) * len(COLUMNS)), strict=True))
            panels[name] = [grids.judged(features[i], qualities[i].score, qualities[i].natural) for i in mine.values()]
            lines[name] = {column: radial(features[i].image) for column, i in mine.items()} | {grids.PHOTOGRAPHS: theirs}
            table[name] = {column: qualities[i].as_dict() | {"total_variation": float(rough[i])} for column, i in mine.items()}
            made |= {f"{name}, {column}": features[i] for column, i in mine.items()}
        caption = CAPTION.format(tv=config.tv, together=config.together, steps=config.steps)
        images = grids.beside(panels, COLUMNS, f"Optimized images by regularization, {config.model}")
        curves = grids.spectra(lines, "Spectra by regularization")
        figures = [
            Figure("ablation", images, "Optimized images by unit and regularization", caption, "Images"),
            Figure("spectra", curves, "Radial spectra by unit and regularization", SPECTRA, "Spectra"),
        ]
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("What regularization does", lead, figures, grids.arrays(made), {"table": table})

    publish(
        "regularization_ablation",
        config,
        lambda: zoo.load(config.model, weights=config.weights),
        make,
        reference=config.model,
        seed=config.seed,
        out=config.out,
        pictures=load(config.images),
    )


if __name__ == "__main__":
    experiment(Config, main)
