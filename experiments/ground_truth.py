"""Which attribution methods find the pixels that are known to matter?

A small convolutional network learns to tell shapes apart: one textured shape on each picture, among distractors, on a background
that says nothing of the class. So the pixels that matter are known, to the pixel. Every method's maps of held-out pictures are
scored against them, and by metrics that know no masks, beside controls. A map that knows nothing puts as much of its relevance
on the object as the object has of the area. With --correlation above 0 the background tells the class too, and masks say less.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interp.attribution.registry import method
from interp.cli import experiment
from interp.cli.options import SaveOptions, Saving
from interp.cli.publish import publish
from interp.cli.shapes import Difficulty, Level, watched
from interp.comparisons.contenders import Limits
from interp.core.model import Model
from interp.images import Photo
from interp.metrics.registry import metric
from interp.report.comparison import Asked
from interp.report.excerpt import excerpt
from interp.report.product import Product, Tick
from interp.report.truth import examined, product
from interp.synthetic import TrainingOptions, train, truth
from interp.zoo.device import device


@dataclass(frozen=True)
class Config:
    """What is drawn and learned; by how many pictures which methods are judged, at which layers, by which metrics.

    ``maps``: of how many pictures the maps are kept; the values of all are.
    """

    difficulty: Difficulty = Level.MEDIUM
    side: int = 48
    correlation: float = 0.0
    training_images: int = 8000
    plain_images: int = 2000
    epochs: int = 4
    held_out: int = 500
    images: int = 32
    maps: int = 2
    methods: tuple[str, ...] = (
        "saliency",
        "smoothgrad",
        "input-x-gradient",
        "integrated-gradients",
        "deeplift",
        "guided-backprop",
        "occlusion",
        "feature-ablation:n_segments=100",
        "gradcam",
        "layercam",
        "eigencam",
        "ablationcam",
    )
    layers: tuple[str, ...] = ("stage1.1", "stage2.1")
    metrics: tuple[str, ...] = ("pointing-game", "relevance-mass", "relevance-rank", "mask-auc", "deletion", "insertion")
    seed: int = 0
    device: str = "cpu"
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    asked = Asked(tuple(map(method, config.methods)), config.layers, tuple(map(metric, config.metrics)))
    shapes = config.difficulty.shapes(config.side, config.correlation)
    options = TrainingOptions(
        shapes, n_images=config.training_images, n_plain=config.plain_images, n_epochs=config.epochs, seed=config.seed
    )

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        drawn = truth(model, shapes, config.held_out, config.seed)
        found = examined(model, drawn, config.images, asked, Limits(config.seed), tick)
        title = f"Attribution methods against known pixels ({config.difficulty} shapes)"
        return excerpt(product(found, title, " ".join(str(__doc__).split("\n\n", 1)[1].split())), config.maps, weights=False)

    publish(
        "ground_truth",
        config,
        lambda: watched(lambda on_step: train(options, on_step, device=device(config.device))),
        make,
        reference="shapes",
        seed=config.seed,
        saving=config.saving,
    )


if __name__ == "__main__":
    experiment(Config, main)
