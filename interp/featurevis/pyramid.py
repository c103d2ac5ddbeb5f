"""``Pyramid``: an image as a sum of pixel grids of halving resolution, so that ascent moves coarse parts as fast as fine ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError
from interp.featurevis.param import Additive, Size, check_sd, normal


@dataclass(frozen=True)
class Pyramid(Additive):
    """A Laplacian pyramid (Burt & Adelson 1983; lucid's ``laplacian_pyramid_image``).

    The values before the sigmoid are the sum of ``levels`` grids of pixels, the first of the image's size, each next
    one of half the rows and columns (rounded up), enlarged bilinearly. Each is drawn with standard deviation ``sd``.
    """

    levels: int = 4
    decorrelated: bool = True
    sd: float = 0.01

    def __post_init__(self) -> None:
        check_sd(self.sd)
        if not 1 <= self.levels <= 16:
            raise InterpError(f"the `levels` of Pyramid are {self.levels}: give how many resolutions to add up, from 1 to 16, such as 4")

    @property
    def count(self) -> int:
        return self.levels

    def draw(self, channels: int, size: Size, generators: Sequence[torch.Generator], device: torch.device | str) -> list[Tensor]:
        return [normal((channels, *level), generators, self.sd, device) for level in self.sizes(size)]

    def values(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        whole = tensors[0]
        for level in tensors[1:]:
            whole = whole + enlarged(level, size)
        return whole

    def tensors_of(self, values: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """Each level holds what the coarser ones left, averaged to its size; the finest holds all that remains."""
        size = (values.shape[2], values.shape[3])
        levels: list[Tensor] = []
        left = values
        for coarse in reversed(self.sizes(size)[1:]):
            levels.insert(0, F.interpolate(left, size=coarse, mode="area"))
            left = left - enlarged(levels[0], size)
        return [left, *levels]

    def sizes(self, size: Size) -> list[Size]:
        """(rows, cols) of each level, the finest first."""
        return [(-(-size[0] // 2**level), -(-size[1] // 2**level)) for level in range(self.levels)]

    def check(self, size: Size) -> None:
        least = 2 ** (self.levels - 1)
        if min(size) < least:
            raise InterpError(
                f"a Pyramid of {self.levels} levels cannot write images of {size[0]} x {size[1]} px (rows x cols): "
                f"the smallest are {least} x {least} px; give a larger size or fewer levels"
            )


def enlarged(values: Float[Tensor, "n c rows cols"], size: Size) -> Float[Tensor, "n c h w"]:
    """Bilinearly, to ``size``."""
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)
