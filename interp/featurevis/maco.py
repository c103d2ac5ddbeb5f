"""``Maco``: how strong each frequency is stays as in photographs; only where its waves lie is optimized.

No penalty is needed against high frequencies: an image cannot have more of them than photographs do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError, Unsupported
from interp.featurevis.magnitude import Magnitude, sample_magnitude
from interp.featurevis.param import ImageParam, Size, normal, to_rgb

_LEAST = 4


@dataclass(frozen=True)
class Maco(ImageParam):
    """Magnitude-constrained images (Fel et al. 2023, "Unlocking feature visualization for deeper networks").

    The phases (images, 3, rows, cols / 2 + 1) are drawn standard normal, and brought to mean 0 and standard deviation
    ``spread`` in each image; with the magnitudes of photographs they make values in decorrelated colours, of mean 0
    and standard deviation ``contrast``, which go through colours and sigmoid. ``spread`` is 1 as published.

    The usual ascent is NAdam with rate 1 (``Torch("NAdam")``) over at least 256 steps, of which many crops are seen at
    each: 6 to 32 squares about a quarter of the side, placed around the middle (normal, standard deviation .15 of the
    side), resized to the model's input, with noise of .05 to .08.
    """

    magnitude: Magnitude = field(default_factory=sample_magnitude)
    spread: float = 1.0
    contrast: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.spread < math.inf:
            raise InterpError(f"the `spread` of Maco is {self.spread}: give the standard deviation of the phases in radians, such as 1")
        if not 0 < self.contrast < 100:
            raise InterpError(f"the `contrast` of Maco is {self.contrast}: give the standard deviation before the sigmoid, such as 1")

    @property
    def earns_opacity(self) -> bool:
        return True

    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        return [normal((3, size[0], size[1] // 2 + 1), generators, 1.0, device)]

    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        return to_rgb(self.values(tensors, size), decorrelated=True)

    def values(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n 3 h w"]:
        """Before colours and sigmoid: |rfft2| of it is the template at ``size``, times ``contrast``."""
        deviation, mean = torch.std_mean(tensors[0], dim=(1, 2, 3), keepdim=True)
        phases = _of_real((tensors[0] - mean) / deviation * self.spread, size)
        # The template is scaled such that the values' mean is 0 and their deviation 1: nothing is left to standardize.
        magnitudes = self.magnitude.at(size, phases) * self.contrast
        values: Tensor = torch.fft.irfft2(torch.polar(magnitudes.expand_as(phases), phases), s=size)
        return values

    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        raise Unsupported("Maco cannot write a given image: its magnitudes are those of other photographs; use Fourier, Pixels or Pyramid")

    def check(self, size: Size) -> None:
        if min(size) < _LEAST:
            raise InterpError(
                f"Maco cannot write images of {size[0]} x {size[1]} px (rows x cols), which have hardly a phase: "
                f"the smallest are {_LEAST} x {_LEAST} px"
            )


def _of_real(phases: Float[Tensor, "n 3 h half"], size: Size) -> Float[Tensor, "n 3 h half"]:
    """``phases`` such as a real image can have.

    Where the column frequency is 0 or 1/2, row -k is the conjugate of row k: without this, the inverse transform
    would average the two and shrink their magnitude. What is its own conjugate is real: its phase is 0 or pi.
    """
    rows, cols = size
    edges = phases[..., :: cols // 2] if cols % 2 == 0 else phases[..., :1]
    real = torch.where(edges.cos() < 0, math.pi, 0.0).to(phases.dtype)
    free = edges[..., 1 : (rows + 1) // 2, :]
    halfway = [real[..., rows // 2 : rows // 2 + 1, :]] if rows % 2 == 0 else []
    edges = torch.cat([real[..., :1, :], free, *halfway, -free.flip(-2)], dim=-2)
    last = [edges[..., 1:]] if cols % 2 == 0 else []
    return torch.cat([edges[..., :1], phases[..., 1 : (cols + 1) // 2], *last], dim=-1)
