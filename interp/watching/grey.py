"""A network of grey images seen as one of colour, so that images can be optimized for its units as for any other's."""

from __future__ import annotations

from dataclasses import fields, replace

from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.watching.precision import Exact


class _InColour(Exact):
    """Takes RGB, of which the network sees the mean over the colours."""

    def normalized(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
        return super().normalized(images).mean(1, keepdim=True)


def in_colour(model: Model) -> Model:
    """``model`` as it is where it takes three channels; of one channel, as a model of RGB images. The module is the same object."""
    if len(model.preprocess.mean) != 1:
        return model
    values = {field.name: getattr(model, field.name) for field in fields(model)}
    three = replace(model.preprocess, mean=model.preprocess.mean * 3, std=model.preprocess.std * 3)
    return _InColour(**{**values, "preprocess": three})
