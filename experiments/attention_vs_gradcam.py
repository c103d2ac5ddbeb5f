"""Does attention show what a transformer used?

A small vision transformer learns to tell shapes apart, on pictures where the pixels that matter are known. Where its class token
looks, layer by layer and rolled out over all of them, is scored against those pixels beside class activation maps at its blocks
and integrated gradients. Attention knows no class: it is the same map for every class that could be asked about (Jain & Wallace
2019), so what it finds is what the network looks at, not what speaks for the answer. What leaves the last block's patches no
longer reaches the classes, so class activation maps end one block earlier than attention.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from interp.attribution import attention
from interp.attribution.registry import method
from interp.cli import experiment
from interp.cli.options import SaveOptions, Saving
from interp.cli.publish import publish
from interp.cli.shapes import Difficulty, Level, watched
from interp.comparisons.contenders import Limits
from interp.core.model import Model
from interp.images import Photo
from interp.metrics.registry import metric
from interp.report.attention import by_block
from interp.report.comparison import Asked
from interp.report.excerpt import excerpt
from interp.report.product import Product, Tick
from interp.report.truth import examined, product
from interp.synthetic import truth
from interp.synthetic.transformer import TransformerOptions, train
from interp.zoo.device import device


@dataclass(frozen=True)
class Config:
    """What is drawn and learned; by how many pictures which methods are judged, at which blocks, by which metrics.

    ``maps``: of how many pictures the maps are kept; the values of all are.
    """

    difficulty: Difficulty = Level.EASY
    side: int = 48
    training_images: int = 8000
    plain_images: int = 6000
    epochs: int = 2
    held_out: int = 500
    images: int = 24
    maps: int = 3
    methods: tuple[str, ...] = ("attention-rollout", "gradient-rollout", "gradcam", "layercam", "saliency", "integrated-gradients")
    layers: tuple[str, ...] = ("blocks.0", "blocks.1", "blocks.2")
    metrics: tuple[str, ...] = ("pointing-game", "relevance-mass", "relevance-rank", "mask-auc", "deletion", "insertion")
    seed: int = 0
    device: str = "cpu"
    saving: Saving = field(default_factory=SaveOptions)


def main(config: Config) -> None:
    shapes = config.difficulty.shapes(config.side)
    training = TransformerOptions().training
    training = replace(training, shapes=shapes, n_images=config.training_images, n_plain=config.plain_images, n_epochs=config.epochs)
    options = TransformerOptions(replace(training, seed=config.seed))
    methods, metrics = tuple(map(method, config.methods)), tuple(map(metric, config.metrics))

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        attending = tuple(method(f"attention:layer={layer}") for layer in attention.layers(model))
        asked = Asked((*attending, *methods), config.layers, metrics)
        drawn = truth(model, shapes, config.held_out, config.seed)
        found = examined(model, drawn, config.images, asked, Limits(config.seed), tick)
        found = replace(found, comparison=by_block(found.comparison), parts=by_block(replace(found.comparison, scored=found.parts)).scored)
        title = f"Attention and class activation maps against known pixels ({config.difficulty} shapes)"
        return excerpt(product(found, title, " ".join(str(__doc__).split("\n\n", 1)[1].split())), config.maps, weights=False)

    publish(
        "attention_vs_gradcam",
        config,
        lambda: watched(lambda on_step: train(options, on_step, device=device(config.device))),
        make,
        reference="shapes-transformer",
        seed=config.seed,
        saving=config.saving,
    )


if __name__ == "__main__":
    experiment(Config, main)
