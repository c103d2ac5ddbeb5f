"""A network in double precision is shown images in double precision, whoever of the missions shows them."""

from __future__ import annotations

from dataclasses import fields

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model


class Exact(Model):
    """Takes images of less than its own precision; of more than its own a `Model` takes them already."""

    def forward(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        own = _precision(self)
        return super().forward(images.to(own) if own.itemsize > images.dtype.itemsize else images)


def exact(model: Model) -> Model:
    """``model``, or of a network in float64 an `Exact` one. The module is the same object."""
    if _precision(model) is not torch.float64:
        return model
    return Exact(**{field.name: getattr(model, field.name) for field in fields(model)})


def _precision(model: Model) -> torch.dtype:
    return next((one.dtype for one in model.module.parameters() if one.is_floating_point()), torch.float32)
