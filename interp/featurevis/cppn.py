"""``Cppn``: the image is a small network of its coordinates, without pixels of its own: sharp at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError, Unsupported
from interp.featurevis.param import ImageParam, Size, normal, to_rgb

# Of atan(z), z a standard normal number: its root mean square, and mean and standard deviation of its square.
_RMS, _SQUARE_MEAN, _SQUARE_SD = 0.6706, 0.4497, 0.3961
# As in lucid: coordinates from -sqrt(3) to sqrt(3) have standard deviation 1; offsets are drawn ten times smaller than weights.
_EDGE, _OFFSET_SD = math.sqrt(3), 0.1
# The last layer is drawn smaller, so that the image starts near grey and yet not silent.
_LAST = 0.1


@dataclass(frozen=True)
class Cppn(ImageParam):
    """A compositional pattern-producing network (Stanley 2007; Mordvintsev et al. 2018, "Differentiable image parameterizations").

    From (col, row), the longer side from -sqrt(3) to sqrt(3), through ``depth`` layers of ``width`` numbers to three
    decorrelated colours (RGB where not ``decorrelated``). Each layer's activation is the pair (atan x, atan(x) ** 2),
    each brought to mean 0 and standard deviation 1 for a standard normal x. Each image has a network of its own; its
    weights are divided by the square root of a layer's inputs, so that one step width suits all layers. The same
    tensors give the same picture at any size.
    """

    width: int = 24
    depth: int = 8
    decorrelated: bool = True

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InterpError(f"the `width` of Cppn is {self.width}: give at least 1 number per layer, such as 24")
        if self.depth < 1:
            raise InterpError(f"the `depth` of Cppn is {self.depth}: give at least 1 hidden layer, such as 8")

    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        """Weights (images, outputs, inputs) and offsets (images, outputs, 1) of each layer in turn."""
        tensors = []
        for inputs, outputs in [(2, self.width), *[(2 * self.width, self.width)] * (self.depth - 1), (2 * self.width, 3)]:
            tensors.append(normal((outputs, inputs), generators, 1.0, device))
            tensors.append(normal((outputs, 1), generators, _OFFSET_SD, device))
        return tensors

    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        weights, offsets = tensors[::2], tensors[1::2]
        signal = _coordinates(size, tensors[0]).expand(len(tensors[0]), 2, size[0] * size[1])
        for weight, offset in zip(weights[:-1], offsets[:-1], strict=True):
            signal = _activation(torch.baddbmm(offset, weight / math.sqrt(weight.shape[2]), signal))
        values = torch.baddbmm(offsets[-1], weights[-1] / math.sqrt(weights[-1].shape[2]), signal)
        return to_rgb(_LAST * values.unflatten(2, size), self.decorrelated)

    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        raise Unsupported("Cppn cannot start from an image: a network of coordinates has no inverse; use Fourier, Pixels or Pyramid")


def _coordinates(size: Size, like: Tensor) -> Float[Tensor, "1 2 pixels"]:
    """(col, row) of each pixel's centre."""
    longer = max(size)
    rows, cols = (_EDGE * (2 * torch.arange(side, device=like.device, dtype=like.dtype) + 1 - side) / longer for side in size)
    col, row = torch.meshgrid(cols, rows, indexing="xy")
    return torch.stack([col, row]).flatten(1)[None]


def _activation(values: Float[Tensor, "n width pixels"]) -> Float[Tensor, "n twice pixels"]:
    bent = torch.atan(values)
    return torch.cat([bent / _RMS, (bent.square() - _SQUARE_MEAN) / _SQUARE_SD], dim=1)
