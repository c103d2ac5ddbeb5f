"""Do a convolutional network and a transformer that solve the same task look at the same pixels?

Both learn to tell the same shapes apart, from the same pictures, and both are right on the pictures shown here. The same methods
explain the same class: their maps are set side by side, scored against the pixels that are known to matter, and correlated
across the networks. Two networks of one kind do not agree fully either: the convolutional network trained from another seed is
the yardstick, maps of different pictures are the control.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, partial

from interp.attribution.registry import method
from interp.cli import experiment
from interp.cli.options import SaveOptions, Saving
from interp.cli.publish import publish
from interp.cli.shapes import Difficulty, Level, told, watched
from interp.comparisons.contenders import Limits
from interp.core.model import Model
from interp.images import Photo
from interp.metrics.registry import metric
from interp.report.comparison import Asked
from interp.report.excerpt import excerpt
from interp.report.networks import examined_alike, product
from interp.report.product import Product, Tick
from interp.synthetic import TrainingOptions, lesson, train, truth
from interp.synthetic.transformer import TransformerOptions
from interp.synthetic.transformer import train as train_transformer
from interp.zoo.device import device

CONVNET, TRANSFORMER, TWIN = "ConvNet", "Transformer", "ConvNet of another seed"


@dataclass(frozen=True)
class Config:
    """What is drawn and learned; by how many pictures which methods are judged; layers of the one network and the other.

    ``maps``: of how many pictures the maps are kept; the values of all are.
    """

    difficulty: Difficulty = Level.EASY
    side: int = 48
    training_images: int = 8000
    plain_images: int = 6000
    epochs: int = 2
    convnet_epochs: int = 1
    held_out: int = 500
    images: int = 32
    maps: int = 2
    methods: tuple[str, ...] = ("saliency", "input-x-gradient", "integrated-gradients", "occlusion", "gradcam", "layercam")
    layers: tuple[str, str] = ("stage2.1", "blocks.2")
    metrics: tuple[str, ...] = ("pointing-game", "relevance-mass", "relevance-rank", "mask-auc")
    seed: int = 0
    device: str = "cpu"
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    shapes = config.difficulty.shapes(config.side)
    counts = {"shapes": shapes, "n_images": config.training_images, "n_plain": config.plain_images, "seed": config.seed}
    training = TrainingOptions(**counts, n_epochs=config.convnet_epochs)
    attending = TransformerOptions(replace(TransformerOptions().training, **counts, n_epochs=config.epochs))
    place = device(config.device)
    drawn_once = cache(lambda: watched(partial(lesson, training)))  # all three networks learn from the same pictures
    methods, metrics = tuple(map(method, config.methods)), tuple(map(metric, config.metrics))
    of_convnet, of_transformer = (Asked(methods, (layer,), metrics) for layer in config.layers)

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        other = train_transformer(attending, told(tick, f"training {TRANSFORMER}"), drawn_once(), place)
        twin = train(replace(training, seed=config.seed + 1), told(tick, f"training {TWIN}"), drawn_once(), place)
        models = {CONVNET: model, TRANSFORMER: other, TWIN: twin}
        asked = {CONVNET: of_convnet, TRANSFORMER: of_transformer, TWIN: of_convnet}
        drawn = {name: truth(each, shapes, config.held_out, config.seed) for name, each in models.items()}
        found = examined_alike(models, drawn, asked, config.images, Limits(config.seed), tick)
        title = f"A convolutional network and a transformer on the same pictures ({config.difficulty} shapes)"
        yardstick = found.pop(TWIN)
        whole = product(found, yardstick, title, " ".join(str(__doc__).split("\n\n", 1)[1].split()), config.seed)
        return excerpt(whole, config.maps, weights=False)

    publish(
        "convnet_vs_transformer",
        config,
        lambda: watched(lambda on_step: train(training, on_step, drawn_once(), place)),
        make,
        reference="shapes",
        seed=config.seed,
        saving=config.saving,
    )


if __name__ == "__main__":
    experiment(Config, main)
