"""Which attribution method should be believed on this network?

Maps of about ten methods for the same predictions, what six metrics say of them, and how far they agree. Beside them stand
four controls that know nothing of the unit: a random map, the image's own magnitude, its edges, and a blob in the middle. A
method whose interval overlaps a control's has not been shown to be better than it (2304.13836 found such cases for ROAD).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp.attribution.registry import method
from interp.cli import experiment
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.comparisons.contenders import Limits
from interp.core.model import Model
from interp.images import SAMPLES, Photo, load
from interp.metrics.registry import metric
from interp.report.compare import compare
from interp.report.comparison import Asked
from interp.report.excerpt import excerpt
from interp.report.product import Product, Tick
from interp.report.standard import layers_for


@dataclass(frozen=True)
class Config:
    """Which network, photographs, methods (those that suit the network where none are named) and metrics; at which layers.

    ``depth``: at how many layers where none are named, the deepest among them (`gradcam_depth.py` asks about the others); ``maps``: of
    how many pictures they are kept.
    """

    model: str = "embedded"
    images: tuple[str, ...] = SAMPLES
    methods: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    depth: int = 1
    metrics: tuple[str, ...] = ("deletion", "insertion", "road", "infidelity", "randomization:n_steps=3", "sparseness")
    maps: int = 2
    target: str | None = None
    batch_size: int = 32
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    methods, metrics = tuple(map(method, config.methods)), tuple(map(metric, config.metrics))

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        target = None if config.target is None else model.class_unit(config.target)
        layers = config.layers or tuple(layers_for(model, (), [target or model.class_unit(0)], config.depth))
        limits = Limits(config.loading.seed, config.batch_size)
        return excerpt(compare(model, photos, Asked(methods, layers, metrics, target), limits, tick), config.maps)

    publish(
        "compare_methods",
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
