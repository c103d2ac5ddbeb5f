"""What stands for "nothing there": the baselines that attributions start from and that metrics remove places to.

Zero after the normalization is the data set's mean colour, not black. Which baseline is meant is always said.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from interp.core.model import Model


class Baseline(StrEnum):
    """``MEAN``: the preprocessing's mean colour, zero to the network; ``BLUR``: the image itself, strongly blurred."""

    BLACK = "black"
    WHITE = "white"
    GREY = "grey"
    MEAN = "mean"
    BLUR = "blur"


_LEVELS = {Baseline.BLACK: 0.0, Baseline.WHITE: 1.0, Baseline.GREY: 0.5}


def baseline(model: Model, images: Float[Tensor, "n c h w"], kind: Baseline) -> Float[Tensor, "n c h w"]:
    """The baseline of each image, [0, 1]. The blur's standard deviation is a tenth of the shorter side, so that nothing is left to see."""
    if kind is Baseline.BLUR:
        return blurred(images, min(images.shape[-2:]) / 10)
    if kind is Baseline.MEAN:
        mean = torch.tensor(model.preprocess.mean, device=images.device, dtype=images.dtype)
        return mean.view(1, -1, 1, 1).expand_as(images).clone()
    return torch.full_like(images, _LEVELS[kind])


def blurred(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """Gaussian blur of standard deviation ``sigma`` pixels, reflected at the borders."""
    rows, cols = images.shape[-2:]
    # The reflection cannot be wider than the image.
    reach = [max(1, min(round(3 * sigma), side - 1)) for side in (cols, rows)]
    return gaussian_blur(images, [2 * r + 1 for r in reach], [sigma, sigma])
