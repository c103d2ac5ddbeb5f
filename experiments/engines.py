"""How do the images of lucent, the baseline, compare with interp's, for the same units and as many steps?

Each engine with its own default recipe and its own random draws. The scores are of the finished 8-bit images without
transformations, by one and the same measurement. Lucent's own 512 steps are not waited for; give --steps 512 for them.
The times are printed at the end, and kept out of the run, whose files are hashed and must come out the same again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.baseline import CAPTION, figure, named, summary
from interp.comparisons.feature_grids import arrays, strongest_of_each
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Feature, lucent, visualize
from interp.featurevis.quality import Checks, measure
from interp.images import Photo, load
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick

Engine = Callable[[Model, Sequence[Unit], AscentConfig, int], list[Feature]]
ENGINES: dict[str, Engine] = {"lucent": lucent.render, "interp": visualize}


@dataclass(frozen=True)
class Config:
    """Which network, how many depths, how long."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    depth: int = 5
    steps: int = 128
    size: int | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def square(model: Model, config: Config) -> tuple[int, int]:
    """The size asked for, or a suitable one at which lucent does not enlarge: both engines then show the network the same."""
    own = max(model.preprocess.size)
    side = config.size or max(own, *(suitable_size(model) or (own,)))
    return (side, side)


def main(config: Config) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size, seed = square(model, config), config.loading.seed
        ascent = AscentConfig(config.steps, size, precision=FLOAT32)
        units = strongest_of_each(model, photos, [layer.name for layer in spread(model, config.depth)])
        found: dict[str, list[Feature]] = {name: [] for name in ENGINES}
        # What is loaded and tried once is not the engines' time per unit.
        for engine in ENGINES.values():
            engine(model, units, replace(ascent, steps=1), seed)
        for done, unit in enumerate(units):
            tick("optimizing images", done, len(units))
            for name, engine in ENGINES.items():
                started = time.perf_counter()
                found[name] += engine(model, [unit], ascent, seed)
                seconds[name].append(time.perf_counter() - started)
        tick("optimizing images", len(units), len(units))
        qualities = {name: measure(model, features, units, photos, Checks(), ascent, seed) for name, features in found.items()}
        caption = CAPTION.format(steps=config.steps, rows=size[0], cols=size[1])
        grid = figure(found, qualities, units, f"lucent and interp on {config.model}, {config.steps} steps")
        drawn = Figure("engines", grid, "Images of the same units by lucent and by interp", caption, "Images")
        metrics = {"engines": {name: summary(these) for name, these in qualities.items()}}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("Lucent beside interp", lead, [drawn], arrays(named(found)), metrics, tolerances=tolerances.ENGINES)

    def told() -> None:
        for name, times in seconds.items():
            sys.stdout.write(f"{name}: {median(times):.2f} s per unit (median of {len(times)}), {config.steps} steps each\n")

    publish(
        "engines",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
        before=told,
        pictures=load(config.images),
    )


if __name__ == "__main__":
    experiment(Config, main)
