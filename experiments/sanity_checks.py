"""Which attribution methods notice that the weights were randomized?

Adebayo et al. (2018): a map that stays the same when what was learned is destroyed explains the picture, not the network.
Layers are drawn anew from the classes downwards, and from the picture upwards; the curves say how alike each map remains to
the trained network's. The controls are the yardstick: |input| and edges stay at 1, whatever happens to the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp.attribution.registry import method
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.attributed import attribute
from interp.comparisons.contenders import Limits, controls
from interp.comparisons.sanity import randomized
from interp.comparisons.subjects import subjects
from interp.core.model import Model
from interp.images import Photo, load
from interp.metrics.agreement import Similarity
from interp.metrics.cascade import Order
from interp.report.excerpt import excerpt
from interp.report.product import Product, Tick
from interp.report.sanity import product
from interp.report.standard import contending

MEASURES = (Similarity.ABSOLUTE_SPEARMAN, Similarity.SSIM)


@dataclass(frozen=True)
class Config:
    """Which network, photographs and methods; in how many stages the weights are randomized.

    ``maps``: of how many photographs the maps are kept; the values of all are.
    """

    model: str = "embedded"
    images: tuple[str, ...] = ("cat", "coffee", "rocket", "motorcycle")
    methods: tuple[str, ...] = (
        "saliency",
        "smoothgrad",
        "input-x-gradient",
        "integrated-gradients",
        "guided-backprop",
        "gradcam",
        "layercam",
    )
    layers: tuple[str, ...] = ()
    steps: int = 8
    maps: int = 2
    target: str | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    methods = tuple(map(method, config.methods))

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        images, people = subjects(model, photos, None if config.target is None else model.class_unit(config.target))
        units, limits = [s.unit for s in people], Limits(config.loading.seed)
        found, _ = contending(model, methods, config.layers, units, limits)
        deepest = {c.title: c for c in found}  # the last of each method
        maps = attribute(model, images, units, [*deepest.values(), *controls(limits)], tick).maps
        tried = [
            randomized(model, images, units, maps, order, MEASURES, config.steps, config.loading.seed, tick)
            for order in (Order.TOP_DOWN, Order.BOTTOM_UP)
        ]
        return excerpt(product(model, people, maps, tried, config.loading.seed, str(__doc__).split("\n\n", 1)[1]), config.maps)

    publish(
        "sanity_checks",
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
