"""What does each regularization do to an optimized image?

One row per unit, one column per recipe, the same seed for all: free pixels, free pixels with one remedy at a time (the
image shifted at random before each step, a penalty on total variation, Fourier coefficients in decorrelated
colours), and all of them together. Free pixels tend to score high and to show noise (Olah, Mordvintsev & Schubert 2017),
which the spectra tell beside those of photographs, and the score that is left after a small shift.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.ablation import CAPTION, SPECTRA, figure, lines, spectra, treated
from interp.comparisons.feature_grids import arrays, strongest_of_each
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import NONE, STANDARD, AscentConfig, Feature, Fourier, Jitter, Pixels, TotalVariation, Weighted, visualize
from interp.featurevis.quality import views
from interp.featurevis.quality.spectra import mean_radial
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network, how many depths, how long; ``tv``: total variation's weight in scores of free pixels, ``together``: with the rest."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    depth: int = 3
    steps: int = 128
    size: int | None = None
    tv: float = 1.0
    together: float = 0.1
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def row(model: Model, unit: Unit, plain: AscentConfig, config: Config) -> dict[str, Feature]:
    """The images of one unit by recipe. A penalty means the same for every unit where it is weighed in the unit's own scores."""
    side = (plain.size or model.preprocess.size)[0]
    pixels = replace(plain, param=Pixels(decorrelated=False), transform=NONE)
    (free,) = visualize(model, [unit], pixels, config.loading.seed)
    score = abs(free.final) or 1.0
    smooth, smoother = ((Weighted(TotalVariation(), weight * score),) for weight in (config.together, config.tv))
    recipes = {
        "jitter": replace(pixels, transform=Jitter(max(1, side // 12))),
        "total variation": replace(pixels, regularizers=smoother),
        "frequency": replace(pixels, param=Fourier()),
        "all together": replace(plain, param=Fourier(), transform=STANDARD, regularizers=smooth),
    }
    return {"none": free} | {name: visualize(model, [unit], recipe, config.loading.seed)[0] for name, recipe in recipes.items()}


def main(config: Config) -> None:
    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size
        units = strongest_of_each(model, photos, [layer.name for layer in spread(model, config.depth)])
        found: dict[Unit, dict[str, Feature]] = {}
        for done, unit in enumerate(units):
            tick("optimizing images", done, len(units))
            found[unit] = row(model, unit, AscentConfig(config.steps, size, precision=FLOAT32), config)
        tick("optimizing images", len(units), len(units))
        rows, natural = treated(model, found, photos), views(model, photos, size)
        theirs = mean_radial(list(natural.images[: natural.whole]))
        caption = CAPTION.format(tv=config.tv, together=config.together, steps=config.steps)
        images = figure(rows, f"Optimized images by regularization, {config.model}")
        curves = spectra(lines(rows, theirs), "Spectra by regularization")
        drawn = [
            Figure("ablation", images, "Optimized images by unit and regularization", caption, "Images"),
            Figure("spectra", curves, "Radial spectra by unit and regularization", SPECTRA, "Spectra"),
        ]
        made = {f"{unit}, {recipe}": feature for unit, mine in found.items() for recipe, feature in mine.items()}
        table = {unit: {recipe: one.numbers for recipe, one in row.items()} for unit, row in rows.items()}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("What regularization does", lead, drawn, arrays(made), {"table": table}, tolerances=tolerances.ABLATION)

    publish(
        "regularization_ablation",
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
