"""What stands for "nothing there": the baselines that attributions start from and that metrics remove places to.

Zero after the normalization is the data set's mean colour, not black. Which baseline is meant is always said.
"""

from __future__ import annotations

from enum import StrEnum

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

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
    """Gaussian blur of standard deviation ``sigma`` pixels, cut at three of them, reflected at the borders.

    Rows and columns one after the other: torchvision's blur runs the whole square kernel, forty times the work at this width.
    """
    for axis in (2, 3):
        # The reflection cannot be wider than the image.
        reach = max(1, min(round(3 * sigma), images.shape[axis] - 1)) if images.shape[axis] > 1 else 0
        places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
        weights = torch.exp(-0.5 * (places / sigma) ** 2)
        kernel = (weights / weights.sum()).view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)).expand(images.shape[1], 1, -1, -1)
        padded = F.pad(images, (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0), mode="reflect")
        images = F.conv2d(padded, kernel, groups=images.shape[1])
    return images
