"""Gaussian blur: of an image's gradient, so that a step moves coarse shapes before single pixels, and of images."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError

# A kernel ends at this many standard deviations: beyond lie 0.3% of its mass.
_REACH = 3.0
# Below this many pixels a Gaussian is a single pixel.
_NARROWEST = 1e-2


def smooth(gradient: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """``gradient`` blurred by a Gaussian of standard deviation ``sigma`` pixels; 0 gives it back as it is.

    At its edges the gradient is mirrored. The sum of what lies further than 3 ``sigma`` from the edges is kept.

    Raises InterpError for a ``sigma`` that is negative or not finite. (What DeepDream tools call gradient smoothing:
    it holds high frequencies back without changing what is optimized.)
    """
    if not 0 <= sigma < math.inf:
        raise InterpError(f"the gradient cannot be smoothed by {sigma} px: give a standard deviation, 0 or more, such as 1.0")
    return gradient if sigma == 0 else blurred(gradient, torch.full((len(gradient),), sigma, dtype=torch.float64), sigma)


def blurred(images: Float[Tensor, "n c h w"], sigmas: Float[Tensor, " n"], widest: float) -> Float[Tensor, "n c h w"]:
    """Each image blurred by a Gaussian of its own standard deviation in pixels, at most ``widest``; mirrored at its edges.

    Kernels end at 3 ``widest``, or at the image's own length, and sum to 1.
    """
    return _along(_along(images, sigmas, widest, 2), sigmas, widest, 3)


def _along(images: Float[Tensor, "n c h w"], sigmas: Float[Tensor, " n"], widest: float, axis: int) -> Float[Tensor, "n c h w"]:
    # A mirror image has no more to give than the image has.
    reach = min(math.ceil(_REACH * widest), images.shape[axis] - 1)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernels = torch.softmax(-0.5 * (places / sigmas.double().clamp_min(_NARROWEST)[:, None]).square(), dim=1).to(images)
    count = images.shape[0] * images.shape[1]
    weights = kernels.repeat_interleave(images.shape[1], dim=0).view(count, 1, *((-1, 1) if axis == 2 else (1, -1)))
    # One group per channel of each image: measured, the fastest of convolutions, Fourier transforms and matrix products.
    border = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    padded = F.pad(images.reshape(1, count, *images.shape[2:]), border, mode="reflect")
    return F.conv2d(padded, weights, groups=count).view_as(images)
