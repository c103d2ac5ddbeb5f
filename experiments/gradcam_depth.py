"""How does the faithfulness of a class activation map change with the layer it is taken from?

Grad-CAM is meant for the last convolution; LayerCAM and HiResCAM were made for layers before it. Here each kind is scored at
every stage of the network, from one pass, beside controls that have no layer: where a curve crosses a control's, the map at
that layer is worth no more than, say, the picture's edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp.attribution.registry import method
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.contenders import Limits
from interp.core.depth import spread
from interp.core.model import Model
from interp.images import SAMPLES, Photo, load
from interp.metrics.registry import metric
from interp.report.compare import compare
from interp.report.comparison import Asked
from interp.report.excerpt import excerpt
from interp.report.product import Product, Tick


@dataclass(frozen=True)
class Config:
    """Which network, photographs and kinds of map, at how many layers, by which metrics; ``maps``: of how many pictures they are kept."""

    model: str = "embedded"
    images: tuple[str, ...] = SAMPLES
    methods: tuple[str, ...] = ("gradcam", "hirescam", "layercam", "eigencam")
    metrics: tuple[str, ...] = ("deletion", "insertion", "road", "infidelity", "sparseness")
    depth: int = 6
    maps: int = 2
    target: str | None = None
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    methods, metrics = tuple(map(method, config.methods)), tuple(map(metric, config.metrics))

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        target = None if config.target is None else model.class_unit(config.target)
        layers = tuple(layer.name for layer in spread(model, config.depth))
        return excerpt(compare(model, photos, Asked(methods, layers, metrics, target), Limits(config.loading.seed), tick), config.maps)

    publish(
        "gradcam_depth",
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
