"""``Shared``: images that are optimized together have their coarse part in common, so that they stay aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError
from interp.featurevis.param import FOURIER, Additive, ImageParam, Size, additive, check_sd, from_rgb, leaf, normal, to_rgb
from interp.featurevis.pyramid import enlarged


@dataclass(frozen=True)
class Shared(ImageParam):
    """Each image's own ``base``, plus low-resolution pixels that the images of a group share.

    For each of ``scales`` a grid of rows / scale x cols / scale pixels (rounded down), drawn with standard deviation
    ``sd``, is enlarged bilinearly and added before colours and sigmoid. Where a group interpolates between two
    objectives, what need not change then stays in place (Mordvintsev et al. 2018, "Differentiable image
    parameterizations", aligned interpolation). The scales are lucid's.
    """

    base: ImageParam = FOURIER
    scales: tuple[int, ...] = (2, 4, 8, 16)
    sd: float = 0.01

    def __post_init__(self) -> None:
        check_sd(self.sd)
        _ = self.own
        if not self.scales or min(self.scales) < 2:
            raise InterpError(f"the `scales` of Shared are {self.scales}: give how many times smaller than the image, each 2 or more")

    @property
    def own(self) -> Additive:
        """``base``, as what can be added to."""
        return additive(self.base, "the `base` of Shared")

    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        """The tensors of ``base``, then one per scale, with one entry per group, drawn from its first image's generator."""
        if group < 1 or len(generators) % group:
            raise InterpError(f"{len(generators)} images cannot be shared in groups of {group}: give a multiple of the group")
        # An image's own draws come first: they are the same in any group.
        drawn = self.own.start(size, generators, device)
        return [*drawn, *(normal((3, *low), generators[::group], self.sd, device) for low in self.sizes(size))]

    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        values = self.own.values(tensors[: self.own.count], size)
        common = tensors[self.own.count :]
        total = enlarged(common[0], size)
        for level in common[1:]:
            total = total + enlarged(level, size)
        group = values.shape[0] // total.shape[0]
        return to_rgb(values + total.repeat_interleave(group, dim=0), self.own.decorrelated)

    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """All of an image is its own; what is shared starts at zero, with one entry per image (groups of one)."""
        size = (images.shape[2], images.shape[3])
        values = from_rgb(images, self.own.decorrelated)
        zeros = [values.new_zeros(values.shape[0], 3, *low) for low in self.sizes(size)]
        return [leaf(t) for t in (*self.own.tensors_of(values), *zeros)]

    def sizes(self, size: Size) -> list[Size]:
        """(rows, cols) of each shared grid, in the order of ``scales``."""
        return [(size[0] // scale, size[1] // scale) for scale in self.scales]

    def check(self, size: Size) -> None:
        self.own.check(size)
        least = max(self.scales)
        if min(size) < least:
            raise InterpError(
                f"Shared with scale {least} cannot write images of {size[0]} x {size[1]} px (rows x cols): "
                f"the smallest are {least} x {least} px; give a larger size or smaller scales"
            )
