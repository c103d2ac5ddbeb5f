"""A small vision transformer for drawn shapes: the same pictures as for the convolutional network, looked at by attention.

A few convolutions stand in for the patch embedding: with them a transformer learns from thousands of pictures instead of
millions (Xiao et al. 2021, 2106.14881). A token sees 15 px of the picture, strides of 8; everything wider goes through attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models.vision_transformer import EncoderBlock

from interp.core.model import Model
from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.synthetic.network import ConvUnit
from interp.synthetic.options import EASY, ShapeOptions
from interp.synthetic.training import CPU, Lesson, Progress, TrainingOptions, fit, silent

PATCH = 8


def _training() -> TrainingOptions:
    """More of the plain pictures than a convolutional network needs: from cluttered ones attention learns nothing at first."""
    return TrainingOptions(
        ShapeOptions(difficulty=EASY),
        n_images=10000,
        n_plain=6000,
        n_epochs=3,
        batch_size=32,
        learning_rate=0.001,
        weight_decay=0.05,
    )


@dataclass(frozen=True)
class TransformerOptions:
    """A network of ``n_blocks`` with ``n_heads`` each on tokens of ``width`` numbers, and how it is trained.

    ``stem``: channels after each of its first convolutions, which halve the picture each; the last gives 8 x 8 px to a token.
    """

    training: TrainingOptions = field(default_factory=_training)
    n_blocks: int = 4
    n_heads: int = 4
    width: int = 64
    stem: tuple[int, int, int] = (24, 48, 96)

    def __post_init__(self) -> None:
        """Raises InterpError where the sizes do not fit each other, Unsupported for pictures that cannot be cut into tokens."""
        if min(self.n_blocks, self.n_heads, *self.stem) < 1:
            raise InterpError(f"`n_blocks` is {self.n_blocks}, `n_heads` {self.n_heads}, `stem` {self.stem}: give at least 1 of each")
        if self.width < 1 or self.width % self.n_heads:
            raise InterpError(f"`width` is {self.width}: give a multiple of the {self.n_heads} heads")
        rows, cols = self.training.shapes.size
        if rows % PATCH or cols % PATCH:
            raise Unsupported(f"pictures of {rows} x {cols} px cannot be cut into tokens: give sides that are multiples of {PATCH}")


class ShapeTransformer(nn.Module):
    """(N, 3, rows, cols), normalized -> logits (N, classes), read from a class token.

    Tokens have an eighth of the picture's rows and columns; the blocks are those of the ViT (Dosovitskiy et al. 2021).
    """

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        rows, cols = options.training.shapes.size
        width, norm = options.width, partial(nn.LayerNorm, eps=1e-6)
        before = (3, *options.stem[:-1])
        units = [ConvUnit(channels, wider, stride=2) for channels, wider in zip(before, options.stem, strict=True)]
        self.stem = nn.Sequential(*units, nn.Conv2d(options.stem[-1], width, 1))
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 1 + (rows // PATCH) * (cols // PATCH), width))
        self.blocks = nn.Sequential(*(EncoderBlock(options.n_heads, width, 2 * width, 0.0, 0.0, norm) for _ in range(options.n_blocks)))
        self.norm = norm(width)
        self.head = nn.Linear(width, len(options.training.shapes.classes))

    def forward(self, images: Float[Tensor, "n 3 rows cols"]) -> Float[Tensor, "n classes"]:
        places = self.stem(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), places], dim=1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens))[:, 0])
        return logits


def train(
    options: TransformerOptions = TransformerOptions(),
    on_step: Callable[[Progress], None] = silent,
    pictures: Lesson | None = None,
    device: torch.device = CPU,
) -> Model:
    """A transformer that tells the shapes apart, as a `Model` with class names; otherwise as `interp.synthetic.training.train`."""
    # On the CPU the fused backward of attention takes longer than all the rest for so few tokens.
    with sdpa_kernel(SDPBackend.MATH):
        model = fit(untrained(options), options.training, on_step, pictures, device)
    return replace(model, spec=replace(model.spec, reference="shapes-transformer"))


def untrained(options: TransformerOptions = TransformerOptions()) -> ShapeTransformer:
    """The network with weights drawn from the training's seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(options.training.seed, "weights").initial_seed())
        return ShapeTransformer(options)
