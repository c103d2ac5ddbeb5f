"""Which optimizer, and which course of its step width, climbs fastest and highest?

The same start and the same random transformations for all; scores without transformations at moments on the way, for a
unit of an early, a middle and a deep layer. A step width that suits one optimizer is no measure for another, so each
is run with several. A wide step may buy its score with black and white pixels, which no photograph has so many of: of the
widths whose images are not saturated (of all, where each has one that is), the one with the highest final scores is
shown, as shares of the best that any ascent reached, averaged over units. The schedules are compared with Adam at one width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons import race
from interp.comparisons.feature_grids import arrays, strongest_of_each
from interp.core.depth import spread
from interp.core.model import Model
from interp.errors import InterpError
from interp.featurevis import Adam, AscentConfig, Feature, Optimizer, Torch, visualize
from interp.featurevis.optimizer import BRISK
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick

OPTIMIZERS: dict[str, tuple[Optimizer, tuple[float, ...]]] = {
    "Adam": (Adam(), (0.05, 0.2, 0.8)),
    "brisk Adam": (BRISK, (0.05, 0.2, 0.8)),
    "RMSprop": (Torch("RMSprop"), (0.02, 0.08, 0.3)),
    "momentum SGD": (Torch("SGD", (("momentum", 0.9),)), (1.0, 5.0, 25.0)),
    "Adagrad": (Torch("Adagrad"), (0.2, 0.8, 3.0)),
}


@dataclass(frozen=True)
class Config:
    """Which network, how many depths, how long; ``rate``: the step width of the schedules; ``moments``: of a curve."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    depth: int = 3
    steps: int = 64
    size: int | None = None
    rate: float = 0.05
    moments: int = 13
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    if config.moments < 2:
        raise InterpError(f"`moments` is {config.moments}: a curve has at least 2, its start and its end")

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size
        units = strongest_of_each(model, photos, [layer.name for layer in spread(model, config.depth)])
        # Without `best`, the last frame of the film is the last step, whatever it scores.
        plain = AscentConfig(config.steps, size, optimizer=Adam(), films=config.moments, best=False, precision=FLOAT32)
        courses = race.schedules(config.rate)
        recipes = race.recipes(plain, OPTIMIZERS, courses)
        found: dict[race.Recipe, list[Feature]] = {}
        for done, (way, ascent) in enumerate(recipes.items()):
            tick("optimizing images", done, len(recipes))
            same = next((other for other in found if recipes[other] == ascent), None)  # one schedule is that of an optimizer
            found[way] = found[same] if same else visualize(model, units, ascent, config.loading.seed)
        widths, rated = race.best_rates({name: {rate: found[name, rate] for rate in rates} for name, (_, rates) in OPTIMIZERS.items()})
        groups = {
            "optimizers": {f"{name} at {rate:g}": found[name, rate] for name, rate in widths.items()},
            f"schedules of Adam at {config.rate:g}": {name: found[name, None] for name in courses},
        }
        ran = race.ran(model, units, groups, photos, plain)
        figures = [Figure("curves", ran.curves(f"Ascents on {config.model}"), "Scores against steps, by unit", race.CURVES, "Scores")]
        for stem, group in zip(("optimizers", "schedules"), groups, strict=True):
            grid = ran.images(group, f"After {config.steps} steps on {config.model}: {group}")
            figures.append(Figure(stem, grid, f"Images by unit and {stem}", race.IMAGES, "Images"))
        metrics = {"curves": ran.numbers, "optimizers": rated}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("Optimizers and schedules", lead, figures, arrays(ran.named), metrics, tolerances=tolerances.RACE)

    publish(
        "optimizers_and_schedules",
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
