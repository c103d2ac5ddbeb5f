"""A small vision transformer for drawn shapes: the same pictures as for the convolutional network, looked at by attention.

A few convolutions stand in for the patch embedding: with them a transformer learns from thousands of pictures instead of
millions (Xiao et al. 2021, 2106.14881). Each token sees 15 px; everything wider goes through attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from torchvision.models.vision_transformer import ConvStemConfig, VisionTransformer  # type: ignore[import-untyped]

from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.synthetic.options import EASY, ShapeOptions
from interp.synthetic.training import Progress, TrainingOptions, fit, silent

PATCH = 8
_INITIAL = 0.02
"""Standard deviation of the head's first weights: torchvision starts it at zero, where no gradient passes."""


def _training() -> TrainingOptions:
    return TrainingOptions(ShapeOptions(difficulty=EASY), n_images=8000, n_plain=2000, n_epochs=5, learning_rate=0.002, weight_decay=0.05)


@dataclass(frozen=True)
class TransformerOptions:
    """A network of ``n_blocks`` with ``n_heads`` each on tokens of ``width`` numbers, and how it is trained.

    ``stem``: channels after each of its first convolutions, which halve the picture each; the last gives 8 x 8 px to a token.
    """

    training: TrainingOptions = field(default_factory=_training)
    n_blocks: int = 4
    n_heads: int = 4
    width: int = 96
    stem: tuple[int, int, int] = (16, 32, 64)

    def __post_init__(self) -> None:
        """Raises InterpError where the sizes do not fit each other, Unsupported for pictures that are not square."""
        if min(self.n_blocks, self.n_heads, *self.stem) < 1:
            raise InterpError(f"`n_blocks` is {self.n_blocks}, `n_heads` {self.n_heads}, `stem` {self.stem}: give at least 1 of each")
        if self.width < 1 or self.width % self.n_heads:
            raise InterpError(f"`width` is {self.width}: give a multiple of the {self.n_heads} heads")
        rows, cols = self.training.shapes.size
        if rows != cols or rows % PATCH:
            raise Unsupported(f"pictures of {rows} x {cols} px cannot be cut into tokens: give a square whose side is a multiple of {PATCH}")


def train(options: TransformerOptions = TransformerOptions(), on_step: Callable[[Progress], None] = silent) -> Model:
    """A transformer that tells the shapes apart, as a `Model` with class names; otherwise as `interp.synthetic.training.train`."""
    return fit(untrained(options), options.training, on_step)


def untrained(options: TransformerOptions = TransformerOptions()) -> VisionTransformer:
    """The network with weights drawn from the training's seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(options.training.seed, "weights").initial_seed())
        net = VisionTransformer(
            image_size=options.training.shapes.size[0],
            patch_size=PATCH,
            num_layers=options.n_blocks,
            num_heads=options.n_heads,
            hidden_dim=options.width,
            mlp_dim=2 * options.width,
            num_classes=len(options.training.shapes.classes),
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            conv_stem_configs=[ConvStemConfig(channels, 3, 2, activation_layer=_relu) for channels in options.stem],
        )
        nn.init.trunc_normal_(net.heads.head.weight, std=_INITIAL)
        return net


def _relu(inplace: bool = False) -> nn.ReLU:
    """Never in place: hooks then see what the layer before gave."""
    return nn.ReLU()
