"""``Alpha``: images with a fourth channel, opacity, so that what a unit does not need can be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError
from interp.featurevis.param import EDGE, FOURIER, Additive, ImageParam, Size, additive, leaf


@dataclass(frozen=True)
class Alpha(ImageParam):
    """Images of ``base`` with an opacity, the sigmoid of one channel written as ``opacity`` (whose colours do not matter).

    Opacity starts near one half. Laid over another random background at each step, a part that does not raise the
    score gains nothing by being opaque (Mordvintsev et al. 2018, "Differentiable image parameterizations",
    semi-transparent patterns).
    """

    base: ImageParam = FOURIER
    opacity: ImageParam = FOURIER

    def __post_init__(self) -> None:
        if not isinstance(self.base, ImageParam) or self.base.alpha:
            raise InterpError(f"the `base` of Alpha is {self.base}: give a parametrization without opacity, such as Fourier()")
        _ = self.channel

    @property
    def alpha(self) -> bool:
        return True

    @property
    def channel(self) -> Additive:
        """``opacity``, as what has any number of channels."""
        return additive(self.opacity, "the `opacity` of Alpha")

    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        """The tensors of ``base``, then those of the opacity."""
        return [*self.base.start(size, generators, device, group), *self.channel.draw(1, size, generators, device)]

    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        colours = self.base.image(tensors[: -self.channel.count], size)
        opacity = torch.sigmoid(self.channel.values(tensors[-self.channel.count :], size))
        return torch.cat([colours, opacity], dim=1)

    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """Three channels are taken as half opaque, as at the start; opacity, too, stays 1e-4 away from 0 and 1."""
        opacity = images[:, 3:] if images.shape[1] == 4 else torch.full_like(images[:, :1], 0.5)
        return [*self.base.of(images[:, :3]), *(leaf(t) for t in self.channel.tensors_of(torch.logit(opacity, EDGE)))]

    def check(self, size: Size) -> None:
        self.base.check(size)
        self.opacity.check(size)
