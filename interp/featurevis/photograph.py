"""``Started``: ascent from a photograph instead of noise, as in DeepDream and feature accentuation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError
from interp.featurevis.fixed import Fixed
from interp.featurevis.param import ImageParam, Size, leaf


@dataclass(frozen=True)
class Started(ImageParam):
    """Images of ``base`` that start as ``photo``: (3, rows, cols), [0, 1] RGB.

    The middle of the photograph that has the asked shape is resized, with antialiasing. ``noise`` times the base's own
    random start is added to its tensors; with 0 each image starts as the photograph itself.

    DeepDream: Mordvintsev, Olah & Tyka 2015. Feature accentuation (Hamblin et al. 2024): with ``Fourier(decay=1.5)``,
    whose gradient falls as 1 / f ** 1.5, and an objective that keeps a hidden layer near the photograph's.
    """

    base: ImageParam
    photo: Fixed
    noise: float = 0.0

    def __post_init__(self) -> None:
        values = self.photo.values
        if values.ndim != 3 or values.shape[0] != 3 or values.numel() == 0:
            shape = "x".join(map(str, values.shape)) or "a number"
            raise InterpError(f"the photograph '{self.photo}' has shape {shape}: give one image (3, rows, cols)")
        if not 0 <= float(values.min()) <= float(values.max()) <= 1:
            found = f"{float(values.min()):.3g} to {float(values.max()):.3g}"
            raise InterpError(f"the photograph '{self.photo}' has values from {found}: give [0, 1] RGB, without normalization")
        if not 0 <= self.noise < math.inf:
            raise InterpError(f"the `noise` of Started is {self.noise}: give the weight of the base's random start, 0 for none")

    @property
    def alpha(self) -> bool:
        return self.base.alpha

    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        """Raises Unsupported where ``base`` cannot write a given image."""
        drawn = self.base.start(size, generators, device, group)
        # Inverted once for all of them: the rounding of a batch would depend on how many there are.
        tensors = self.base.of(self.shown(size).to(device))
        return [leaf(t + self.noise * d.detach()) for t, d in zip(tensors, drawn, strict=True)]

    def shown(self, size: Size) -> Float[Tensor, "1 3 h w"]:
        """The photograph at ``size``."""
        rows, cols = self.photo.shape[1:]
        # The largest part of the asked shape.
        scale = min(rows / size[0], cols / size[1])
        high, wide = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
        top, left = (rows - high) // 2, (cols - wide) // 2
        part = self.photo.values[None, :, top : top + high, left : left + wide]
        resized = F.interpolate(part, size=size, mode="bilinear", align_corners=False, antialias=True)
        return resized.clamp(0, 1)

    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        return self.base.image(tensors, size)

    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        return self.base.of(images)

    def check(self, size: Size) -> None:
        self.base.check(size)
