"""Small transformers of torchvision and timm, with random weights from a seed of their own; made once, so copied to be changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torchvision.models.maxvit import MaxVit
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vision_transformer import VisionTransformer

from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.images import Preprocess


def made(make: Callable[[], nn.Module], size: int, name: str = "net") -> Model:
    """A traced network whose weights are strong enough for its attention to be far from uniform."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.ndim > 1 or not parameter.any():
                    parameter.add_(torch.randn_like(parameter) * 0.3)
    return trace(module, ModelSpec(name), Preprocess(size=(size, size), resize=size))


@cache
def vit() -> Model:
    return made(lambda: VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5), 32, "vit")


@cache
def swin(size: int = 32) -> Model:
    """At 32 px 8x8 places in windows of 4x4, then 4x4 in one; at 40 px 10x10 padded to 12x12, then 5x5 padded to 8x8."""
    return made(lambda: SwinTransformer([4, 4], 12, [2, 2], [2, 2], [4, 4], stochastic_depth_prob=0.0, num_classes=5), size, "swin")


@cache
def swin_v2(size: int = 40) -> Model:
    make = partial(SwinTransformer, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2, num_classes=5)
    return made(lambda: make([4, 4], 12, [2, 2], [2, 2], [4, 4]), size, "swin_v2")


@cache
def maxvit() -> Model:
    """8x8 places, then 4x4, in partitions of 2x2: as many windows as places in each, which look like rows and columns."""
    return made(lambda: MaxVit((32, 32), 12, 2, [12, 24], [1, 1], 4, 0.0, num_classes=5), 32, "maxvit")


@cache
def timm_vit(**options: object) -> Model:
    """Class token and three registers, 4x4 patches."""
    given = {"reg_tokens": 3, "qk_norm": True, **options}
    return made(lambda: timm.models.VisionTransformer(32, 8, num_classes=5, embed_dim=16, depth=3, num_heads=2, **given), 32, "timm_vit")


@cache
def timm_swin() -> Model:
    make = partial(timm.models.SwinTransformer, patch_size=4, window_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 2))
    return made(lambda: make(img_size=32, num_classes=5), 32, "timm_swin")


def images(model: Model, count: int = 2) -> Tensor:
    return torch.rand(count, 3, *model.preprocess.size, generator=torch.Generator().manual_seed(1))


def shifted_windows(rows: int, cols: int, window: int, shift: int) -> np.ndarray:
    """Swin's partition by its definition: pad right and below, roll by the shift, cut into squares; -1 at padding."""
    padded = np.pad(np.arange(rows * cols).reshape(rows, cols), ((0, -rows % window), (0, -cols % window)), constant_values=-1)
    shifts = [0 if side <= window else shift for side in padded.shape]
    rolled = np.roll(padded, [-s for s in shifts], (0, 1))
    tall, wide = (side // window for side in padded.shape)
    return rolled.reshape(tall, window, wide, window).swapaxes(1, 2).reshape(tall * wide, window * window)


def strided_windows(side: int, parts: int) -> np.ndarray:
    """MaxViT's grid attention by its definition: of every side/parts-th row and column, parts x parts places."""
    step = side // parts
    places = np.arange(side * side).reshape(side, side)
    return np.stack([places[row::step, col::step].ravel() for row in range(step) for col in range(step)])


def dense(tokens: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """(windows, q, k) as one matrix over all places, entry by entry; padding left out."""
    full = np.zeros((tokens.max() + 1,) * 2)
    for window, matrix in zip(tokens, matrices, strict=True):
        for query, row in zip(window, matrix, strict=True):
            for key, value in zip(window, row, strict=True):
                if query >= 0 and key >= 0:
                    full[query, key] = value
    return full


def merging(rows: int, cols: int) -> np.ndarray:
    """The matrix from each of (rows / 2) x (cols / 2) merged places to the places it came from, in equal parts; even sizes."""
    full = np.zeros((rows * cols // 4, rows * cols))
    for row in range(rows):
        for col in range(cols):
            full[(row // 2) * (cols // 2) + col // 2, row * cols + col] = 0.25
    return full
