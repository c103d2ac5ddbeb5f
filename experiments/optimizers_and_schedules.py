"""Which optimizer, and which course of its step width, climbs fastest and highest?

The same start and the same random transformations for all; scores without transformations at moments on the way, for a
unit of an early, a middle and a deep layer. A step width that suits one optimizer is no measure for another, so each
is run with several. A wide step may buy its score with black and white pixels, which no photograph has so many of: of the
widths whose images are not saturated (of all, where each has one that is), the one with the highest final scores is
shown, as shares of the best that any ascent reached, averaged over units. The schedules are compared with Adam at one width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from interp import zoo
from interp.cli import experiment
from interp.cli.publish import publish
from interp.comparisons import feature_grids as grids
from interp.core.depth import spread
from interp.core.model import Model
from interp.featurevis import Adam, AscentConfig, Channel, Cosine, Feature, Linear, Optimizer, Torch, visualize
from interp.featurevis.optimizer import BRISK
from interp.featurevis.quality import maxima, views
from interp.featurevis.quality.parts import look
from interp.featurevis.quality.result import MOST_SATURATION
from interp.featurevis.schedule import Schedule
from interp.figures import Panel
from interp.images import Photo, load
from interp.report.features import suitable_size
from interp.report.product import Figure, Product, Tick

OPTIMIZERS: dict[str, tuple[Optimizer, tuple[float, ...]]] = {
    "Adam": (Adam(), (0.05, 0.2, 0.8)),
    "brisk Adam": (BRISK, (0.05, 0.2, 0.8)),
    "NAdam": (Torch("NAdam"), (0.05, 0.2, 0.8)),
    "RMSprop": (Torch("RMSprop"), (0.02, 0.08, 0.3)),
    "momentum SGD": (Torch("SGD", (("momentum", 0.9),)), (1.0, 5.0, 25.0)),
    "Adagrad": (Torch("Adagrad"), (0.2, 0.8, 3.0)),
}
CURVES = (
    "Scores of the 8-bit image without transformations, at moments on the way; the level line: the largest that photographs and "
    "their crops reach. Behind each optimizer stands its step width at the widest, in the image parametrization's unit (of SGD: per "
    "unit of gradient), which ebbs away as half a cosine wave; brisk Adam forgets faster. A constant width goes about twice as far "
    "as one that ebbs away."
)
IMAGES = "The same ascents after the last step. Under each image: its score, and that over the largest of the photographs and their crops."
_TINY = 1e-12


@dataclass(frozen=True)
class Config:
    """Which network, how many depths, how long; ``rate``: the step width of the schedules; ``moments``: of a curve."""

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket")
    weights: Path | None = None
    depth: int = 3
    steps: int = 96
    size: int | None = None
    rate: float = 0.05
    moments: int = 13
    seed: int = 0
    out: Path | None = None


def schedules(rate: float) -> dict[str, Schedule]:
    return {"constant": rate, "cosine": Cosine(rate), "linear": Linear(rate, 0.0), "warm-up 20%, cosine": Cosine(rate, warmup=0.2)}


def best_rate(features: Mapping[float, Sequence[Feature]], most: Sequence[float]) -> tuple[float, dict[str, object]]:
    """The step width to show, and the numbers of every width; ``most``: the best score of each unit."""
    shares = {rate: float(np.mean([f.final / top for f, top in zip(found, most, strict=True)])) for rate, found in features.items()}
    saturation = {rate: max(look(f.image)[1] for f in found) for rate, found in features.items()}
    sound = [rate for rate in features if saturation[rate] <= MOST_SATURATION]
    chosen = max(sound or features, key=shares.__getitem__)
    widths = {
        f"{rate:g}": {"scores": [f.final for f in found], "mean_share": shares[rate], "most_saturation": saturation[rate]}
        for rate, found in features.items()
    }
    return chosen, {"width": chosen, "widths": widths}


def main(config: Config) -> None:
    grids.moments(config.steps, config.moments)  # refused before any work

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        size = (config.size, config.size) if config.size else suitable_size(model) or model.preprocess.size
        units = grids.strongest_of_each(model, photos, [layer.name for layer in spread(model, config.depth)])
        # Without `best`, the last frame of the film is the last step, whatever it scores.
        plain, courses = AscentConfig(config.steps, size, films=config.moments, best=False), schedules(config.rate)
        total, done = sum(len(rates) for _, rates in OPTIMIZERS.values()) + len(courses), 0

        def climbed(ascent: AscentConfig) -> list[Feature]:
            nonlocal done
            tick("optimizing images", done, total)
            done += 1
            return visualize(model, units, ascent, config.seed)

        tried = {
            name: {rate: climbed(replace(plain, optimizer=optimizer, rate=Cosine(rate))) for rate in rates}
            for name, (optimizer, rates) in OPTIMIZERS.items()
        }
        finals = [[feature.final for feature in features] for rates in tried.values() for features in rates.values()]
        most = [max(*column, _TINY) for column in zip(*finals, strict=True)]
        rated = {name: best_rate(rates, most) for name, rates in tried.items()}
        groups = {
            "optimizers": {f"{name} at {rate:g}": tried[name][rate] for name, (rate, _) in rated.items()},
            f"schedules of Adam at {config.rate:g}": {name: climbed(replace(plain, rate=course)) for name, course in courses.items()},
        }
        natural = [top for top, _ in maxima(model, [Channel(unit) for unit in units], views(model, photos, size))]
        lines: dict[str, list[Panel]] = {str(unit): [] for unit in units}
        curves: dict[str, dict[str, object]] = {str(unit): {} for unit in units}
        figures, made = [], {}
        for stem, (title, group) in zip(("optimizers", "schedules"), groups.items(), strict=True):
            panels = {
                name: [grids.judged(found[k], found[k].final, natural[k]) for found in group.values()] for k, name in enumerate(lines)
            }
            grid = grids.beside(panels, tuple(group), f"After {config.steps} steps on {config.model}: {title}")
            figures.append(Figure(stem, grid, f"Images by unit and {stem}", IMAGES, "Images"))
            made |= {f"{f.unit}, {way}": f for way, features in group.items() for f in features}
            for k, (unit, name) in enumerate(zip(units, lines, strict=True)):
                scores = {way: grids.along(model, Channel(unit), found[k], config.steps, config.moments) for way, found in group.items()}
                lines[name].append(grids.ascent(scores, natural[k]))
                curves[name] |= {way: {"steps": list(points), "scores": list(points.values())} for way, points in scores.items()}
        grid = grids.beside(lines, tuple(groups), f"Ascents on {config.model}", 3.0)
        figures.insert(0, Figure("curves", grid, "Scores against steps, by unit", CURVES, "Scores"))
        metrics = {"curves": curves, "optimizers": {name: numbers for name, (_, numbers) in rated.items()}}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("Optimizers and schedules", lead, figures, grids.arrays(made), metrics)

    publish(
        "optimizers_and_schedules",
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
