"""A photograph as the start, or the target, of optimized images."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.featurevis import Fixed, ImageParam, Started
from interp.images import Photo


def canvas(model: Model, photo: Photo, base: ImageParam, size: tuple[int, int]) -> tuple[Started, Float[Tensor, "1 3 h w"]]:
    """Images of ``base`` that start as the part of ``photo`` that the model sees, and that part at ``size`` = (rows, cols), in 8 bits.

    It is taken from the photograph itself, so that a size above the model's own shows more than the model's input has.
    """
    view = torch.from_numpy(model.preprocess.view(photo, size[0]))
    started = Started(base, Fixed.of(view.permute(2, 0, 1), photo.name))
    return started, (started.shown(size) * 255).round() / 255
