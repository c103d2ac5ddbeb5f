"""Does one unit turn into another step by step, or all at once?

Each image of a row is optimized for a mixture of two units, from the one to the other; the two are those that tell
two photographs apart best at their layer. Optimized apart, neighbours differ in all that no unit asks for; with
coarse pixels in common and maps that are kept aligned, what need not change stays (Mordvintsev et al. 2018). The
curves say whether the two can be mixed at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from interp import activations, featurevis
from interp.activations import Rank
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.interpolation import CAPTION, Way, figure
from interp.core.depth import spread
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import Alignment, AscentConfig, Cosine, Interpolation, Shared, Weighted, objective_of
from interp.featurevis.quality import rounded, score_of
from interp.images import Photo, load, uint8
from interp.report import tolerances
from interp.report.features import FLOAT32, suitable_size
from interp.report.product import Figure, Product, Tick


@dataclass(frozen=True)
class Config:
    """Which layers (two over the depth if none); each way has ``count`` images; ``alignment``: the weight of that regularizer."""

    model: str = "embedded"
    images: tuple[str, str] = ("cat", "coffee")
    layers: tuple[str, ...] = ()
    count: int = 5
    steps: int = 160
    size: int | None = None
    alignment: float = 3.0
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    if len(pictures := load(config.images)) != 2:
        raise InterpError(f"`images` are {len(pictures)} photographs: give two, between which units can tell")

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        depths = [layer.name for layer in spread(model, 5)]
        found = activations.of(model, model.preprocess(photos), config.layers or (depths[len(depths) // 2], depths[-1]))
        early = depths[min(1, len(depths) - 1)]
        size = (config.size, config.size) if config.size else suitable_size(model)
        alone = AscentConfig(config.steps, size, rate=Cosine(0.05), precision=FLOAT32)
        together = replace(alone, param=Shared(), regularizers=(Weighted(Alignment(early, config.count), config.alignment),))
        drawn, arrays, metrics = [], {}, {}
        for layer, answers in found.items():
            one, other = answers.strength(Rank.MEAN)
            units = (Unit(layer, int((one - other).argmax())), Unit(layer, int((other - one).argmax())))
            ways = {name: walk(model, units, ascent, config, tick) for name, ascent in (("separate", alone), ("shared, aligned", together))}
            title = f"From {units[0]} to {units[1]}, {config.model}"
            how = f" {config.steps} steps; lower row: shared coarse pixels, Alignment at {early} of weight {config.alignment:g}."
            drawn.append(Figure(f"interpolation-{layer}", figure(ways, units, title), title, CAPTION + how, layer))
            for name, way in ways.items():
                arrays |= {f"{layer}/{name}/images": uint8(way.images), f"{layer}/{name}/activations": np.stack([way.first, way.second])}
            metrics[layer] = {"units": [*map(str, units)]} | {name: way.numbers for name, way in ways.items()}
        lead = str(__doc__).split("\n\n", 1)[1]
        return Product("From one unit to another", lead, drawn, arrays, {"interpolation": metrics}, tolerances=tolerances.INTERPOLATED)

    publish(
        "interpolation",
        config,
        lambda: config.loading.load(config.model),
        make,
        reference=config.model,
        seed=config.loading.seed,
        saving=config.saving,
        pictures=pictures,
    )


def walk(model: Model, units: tuple[Unit, Unit], ascent: AscentConfig, config: Config, tick: Tick) -> Way:
    """The images from one unit to the other, and what both answer."""
    objective = Interpolation(*units, config.count)
    features = featurevis.visualize(model, [objective], ascent, config.loading.seed, lambda done, total: tick(f"{objective}", done, total))
    images = np.stack([feature.image for feature in features])
    first, second = (score_of(model, objective_of(unit), rounded(images)) for unit in units)
    return Way(images, first, second)


if __name__ == "__main__":
    experiment(Config, main)
